"""Names and shapes of the tensors in public checkpoints of classifiers, written out from their projects' networks.

Each function gives {name: shape}, 400 classes. pytorchvideo: `slow`, `slowfast`, `x3d`; its authors' code: `uniformer`;
mmaction2 ("mmaction2") and the authors' ("authors"): `tsm`. MoViNet-pytorch's streams have 600 classes: `movinet_a0`.
"""

from collections.abc import Sequence

from tests.models.public_names import Shapes, joined, prefixed

DEPTHS = (3, 4, 6, 3)
CLASSES = 400


def tensor(name: str, *shape: int) -> Shapes:
    return {name: shape}


def norm(name: str, width: int) -> Shapes:
    shapes = {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**shapes, f"{name}.num_batches_tracked": ()}


def affine(name: str, d_out: int, *rest: int) -> Shapes:
    """A layer with a bias; a layer norm where nothing but its width is given."""
    return {f"{name}.weight": (d_out, *rest), f"{name}.bias": (d_out,)}


def stage(name: str, d_in: int, inner: int, d_out: int, *, depth: int, time_kernel: int) -> Shapes:
    parts = []
    for i in range(depth):
        block = f"{name}.res_blocks.{i}"
        if i == 0:
            parts += [
                tensor(f"{block}.branch1_conv.weight", d_out, d_in, 1, 1, 1),
                norm(f"{block}.branch1_norm", d_out),
            ]
        first = d_in if i == 0 else d_out
        parts += [tensor(f"{block}.branch2.conv_a.weight", inner, first, time_kernel, 1, 1)]
        parts += [tensor(f"{block}.branch2.conv_b.weight", inner, inner, 1, 3, 3)]
        parts += [tensor(f"{block}.branch2.conv_c.weight", d_out, inner, 1, 1, 1)]
        parts += [norm(f"{block}.branch2.norm_{x}", d) for x, d in (("a", inner), ("b", inner), ("c", d_out))]
    return joined(parts)


def slow() -> Shapes:
    parts = [tensor("blocks.0.conv.weight", 64, 3, 1, 7, 7), norm("blocks.0.norm", 64)]
    d_in = 64
    for i, (depth, time_kernel) in enumerate(zip(DEPTHS, (1, 1, 3, 3), strict=True)):
        inner = 64 * 2**i
        parts += [stage(f"blocks.{i + 1}", d_in, inner, 4 * inner, depth=depth, time_kernel=time_kernel)]
        d_in = 4 * inner
    return joined([*parts, affine("blocks.5.proj", CLASSES, d_in)])


def slowfast(fusion_kernel: int) -> Shapes:
    def fusion(block: int, d_fast: int) -> Shapes:
        name = f"blocks.{block}.multipathway_fusion"
        conv = tensor(f"{name}.conv_fast_to_slow.weight", 2 * d_fast, d_fast, fusion_kernel, 1, 1)
        return conv | norm(f"{name}.norm", 2 * d_fast)

    stem = "blocks.0.multipathway_blocks"
    parts = [tensor(f"{stem}.0.conv.weight", 64, 3, 1, 7, 7), norm(f"{stem}.0.norm", 64)]
    parts += [tensor(f"{stem}.1.conv.weight", 8, 3, 5, 7, 7), norm(f"{stem}.1.norm", 8), fusion(0, 8)]
    d_slow, d_fast = 64, 8
    for i, (depth, time_kernel) in enumerate(zip(DEPTHS, (1, 1, 3, 3), strict=True)):
        name, inner = f"blocks.{i + 1}.multipathway_blocks", 64 * 2**i
        parts += [stage(f"{name}.0", d_slow + 2 * d_fast, inner, 4 * inner, depth=depth, time_kernel=time_kernel)]
        parts += [stage(f"{name}.1", d_fast, inner // 8, inner // 2, depth=depth, time_kernel=3)]
        d_slow, d_fast = 4 * inner, inner // 2
        parts += [fusion(i + 1, d_fast)] if i < 3 else []
    return joined([*parts, affine("blocks.6.proj", CLASSES, d_slow + d_fast)])


def x3d(depths: Sequence[int] = (3, 5, 11, 7)) -> Shapes:
    parts = [
        tensor("blocks.0.conv.conv_t.weight", 24, 3, 1, 3, 3),
        tensor("blocks.0.conv.conv_xy.weight", 24, 1, 5, 1, 1),
    ]
    parts += [norm("blocks.0.norm", 24)]
    d_in = 24
    for i, (depth, inner, squeezed) in enumerate(zip(depths, (54, 108, 216, 432), (8, 8, 16, 32), strict=True)):
        d_out = 24 * 2**i
        for j in range(depth):
            block = f"blocks.{i + 1}.res_blocks.{j}"
            parts += [tensor(f"{block}.branch1_conv.weight", d_out, d_in, 1, 1, 1)] if j == 0 else []
            parts += [norm(f"{block}.branch1_norm", d_out)] if d_in != d_out else []
            parts += [tensor(f"{block}.branch2.conv_a.weight", inner, d_in, 1, 1, 1)]
            parts += [tensor(f"{block}.branch2.conv_b.weight", inner, 1, 3, 3, 3)]
            parts += [tensor(f"{block}.branch2.conv_c.weight", d_out, inner, 1, 1, 1)]
            parts += [norm(f"{block}.branch2.norm_a", inner), norm(f"{block}.branch2.norm_b.0", inner)]
            parts += [norm(f"{block}.branch2.norm_c", d_out)]
            if j % 2 == 0:
                parts += [affine(f"{block}.branch2.norm_b.1.block.0", squeezed, inner, 1, 1, 1)]
                parts += [affine(f"{block}.branch2.norm_b.1.block.2", inner, squeezed, 1, 1, 1)]
            d_in = d_out
    pool = tensor("blocks.5.pool.pre_conv.weight", 432, 192, 1, 1, 1) | norm("blocks.5.pool.pre_norm", 432)
    pool |= tensor("blocks.5.pool.post_conv.weight", 2048, 432, 1, 1, 1)
    return joined([*parts, pool, affine("blocks.5.proj", CLASSES, 2048)])


def uniformer() -> Shapes:
    parts, d_in = [], 3
    for i, (width, depth) in enumerate(zip((64, 128, 320, 512), (3, 4, 8, 3), strict=True), start=1):
        patch = (3, 4, 4) if i == 1 else (1, 2, 2)
        parts += [affine(f"patch_embed{i}.norm", width), affine(f"patch_embed{i}.proj", width, d_in, *patch)]
        for j in range(depth):
            block = f"blocks{i}.{j}"
            parts += [affine(f"{block}.pos_embed", width, 1, 3, 3, 3)]
            cube: tuple[int, ...] = ()
            if i <= 2:
                cube = (1, 1, 1)
                parts += [norm(f"{block}.norm{n}", width) for n in (1, 2)]
                parts += [affine(f"{block}.conv{n}", width, width, *cube) for n in (1, 2)]
                parts += [affine(f"{block}.attn", width, 1, 5, 5, 5)]
            else:
                parts += [affine(f"{block}.norm{n}", width) for n in (1, 2)]
                parts += [affine(f"{block}.attn.qkv", 3 * width, width), affine(f"{block}.attn.proj", width, width)]
            parts += [affine(f"{block}.mlp.fc1", 4 * width, width, *cube)]
            parts += [affine(f"{block}.mlp.fc2", width, 4 * width, *cube)]
        d_in = width
    return joined([*parts, norm("norm", 512), affine("head", CLASSES, 512)])


def tsm(style: str, *, shifted: bool = True) -> Shapes:
    """`shifted`: TSM, whose shifted convolutions lie in a module of their own, else TSN."""
    authors = style == "authors"
    conv, bn = ("conv{}", "bn{}") if authors else ("conv{}.conv", "conv{}.bn")
    shortcut = ("downsample.0", "downsample.1") if authors else ("downsample.conv", "downsample.bn")
    net = ".net" if shifted else ""
    parts = [tensor(f"{conv.format(1)}.weight", 64, 3, 7, 7), norm(bn.format(1), 64)]
    d_in = 64
    for i, depth in enumerate(DEPTHS):
        inner = 64 * 2**i
        for j in range(depth):
            block = f"layer{i + 1}.{j}"
            widths = ((1, inner, d_in, 1, net), (2, inner, inner, 3, ""), (3, 4 * inner, inner, 1, ""))
            for n, d_out, d_from, k, wrapped in widths:
                parts += [tensor(f"{block}.{conv.format(n)}{wrapped}.weight", d_out, d_from, k, k)]
                parts += [norm(f"{block}.{bn.format(n)}", d_out)]
            if j == 0:
                parts += [tensor(f"{block}.{shortcut[0]}.weight", 4 * inner, d_in, 1, 1)]
                parts += [norm(f"{block}.{shortcut[1]}", 4 * inner)]
            d_in = 4 * inner
    before, head = ("module.base_model.", "module.new_fc") if authors else ("backbone.", "cls_head.fc_cls")
    return prefixed(before, joined(parts)) | affine(head, CLASSES, d_in)


def movinet_a0() -> Shapes:
    widths = (8, 8, 32, 56, 56, 104)
    layers = (
        [(24, 1, 5)],
        [(80, 3, 3)] * 3,
        [(184, 5, 3), (112, 3, 3), (184, 3, 3)],
        [(184, 5, 3), *[(184, 3, 3)] * 3],
        [(384, 5, 3), (280, 1, 5), (280, 1, 5), (344, 1, 5)],
    )
    squeezed = {24: 16, 80: 40, 112: 56, 184: 96, 280: 144, 344: 176, 384: 192}

    def layer(name: str, *shape: int) -> Shapes:
        return tensor(f"{name}.conv2d.weight", *shape) | norm(f"{name}.norm", shape[0])

    def block(name: str, d_in: int, inner: int, d_out: int, *, frames: int, pixels: int, skip: str) -> Shapes:
        parts = [tensor(f"{name}.alpha"), layer(f"{name}.expand.conv_1", inner, d_in, 1, 1)]
        parts += [layer(f"{name}.deep.conv_1", inner, 1, pixels, pixels)]
        parts += [layer(f"{name}.deep.conv_2", inner, 1, frames, 1)] if frames > 1 else []
        parts += [affine(f"{name}.se.fc1.conv_1.conv2d", squeezed[inner], 2 * inner, 1, 1)]
        parts += [affine(f"{name}.se.fc2.conv_1.conv2d", inner, squeezed[inner], 1, 1)]
        parts += [layer(f"{name}.project.conv_1", d_out, inner, 1, 1)]
        return joined([*parts, layer(f"{name}.{skip}.conv_1", d_out, d_in, 1, 1) if skip else {}])

    parts = [layer("conv1.conv_1", 8, 3, 3, 3), layer("conv7.conv_1", 480, 104, 1, 1)]
    for i, stage_layers in enumerate(layers):
        for j, (inner, frames, pixels) in enumerate(stage_layers):
            skip = "" if j > 0 or i == 3 else "res.1"
            d_in = widths[i + 1] if j > 0 else widths[i]
            parts += [block(f"blocks.b{i}_l{j}", d_in, inner, widths[i + 1], frames=frames, pixels=pixels, skip=skip)]
    head = [
        affine("classifier.0.conv_1.conv2d", 2048, 480, 1, 1),
        affine("classifier.3.conv_1.conv2d", 600, 2048, 1, 1),
    ]
    return joined([*parts, *head])
