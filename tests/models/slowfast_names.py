"""Names and shapes of the tensors in PySlowFast's and mmaction2's checkpoints of SlowFast, Slow-only and X3D, written
out from their projects' networks; {name: shape}, 400 classes.
"""

from collections.abc import Sequence

from tests.models.classifier_names import CLASSES, DEPTHS, affine, norm, tensor
from tests.models.public_names import Shapes, joined

TIME_KERNELS = {"slow": (1, 1, 3, 3), "fast": (3, 3, 3, 3)}


def bottleneck(style: str, name: str, widths: tuple[int, int, int], *, time_kernel: int, shortcut: bool) -> Shapes:
    d_in, inner, d_out = widths
    kernels = ((inner, d_in, time_kernel, 1, 1), (inner, inner, 1, 3, 3), (d_out, inner, 1, 1, 1))
    parts = []
    if style == "pyslowfast":
        parts += [tensor(f"{name}.branch1.weight", d_out, d_in, 1, 1, 1)] if shortcut else []
        parts += [norm(f"{name}.branch1_bn", d_out)] if shortcut else []
        for letter, shape in zip("abc", kernels):
            parts += [tensor(f"{name}.branch2.{letter}.weight", *shape), norm(f"{name}.branch2.{letter}_bn", shape[0])]
        return joined(parts)
    for n, shape in enumerate(kernels, start=1):
        parts += [tensor(f"{name}.conv{n}.conv.weight", *shape), norm(f"{name}.conv{n}.bn", shape[0])]
    if shortcut:
        parts += [tensor(f"{name}.downsample.conv.weight", d_out, d_in, 1, 1, 1), norm(f"{name}.downsample.bn", d_out)]
    return joined(parts)


def pathway(style: str, before: str, kind: str, *, width: int, lateral: Sequence[int] = (0, 0, 0, 0)) -> Shapes:
    """A ResNet-50 without its head; `before`: pathway's number in PySlowFast, prefix in mmaction2; `lateral`: widths of
    what is appended to each stage's input."""
    kernel = 1 if kind == "slow" else 5
    stem = f"s1.pathway{before}_stem" if style == "pyslowfast" else f"{before}conv1"
    parts = [tensor(f"{stem}.conv.weight", width, 3, kernel, 7, 7), norm(f"{stem}.bn", width)]
    d_in = width
    for i, (depth, time_kernel, more) in enumerate(zip(DEPTHS, TIME_KERNELS[kind], lateral, strict=True)):
        d_in += more
        for j in range(depth):
            block = f"s{i + 2}.pathway{before}_res{j}" if style == "pyslowfast" else f"{before}layer{i + 1}.{j}"
            inner, d_out = width * 2**i, 4 * width * 2**i
            parts += [bottleneck(style, block, (d_in, inner, d_out), time_kernel=time_kernel, shortcut=j == 0)]
            d_in = d_out
    return joined(parts)


def slow(style: str) -> Shapes:
    head = "head.projection" if style == "pyslowfast" else "cls_head.fc_cls"
    return pathway(style, "0" if style == "pyslowfast" else "backbone.", "slow", width=64) | affine(head, CLASSES, 2048)


def slowfast(style: str, *, fusion_kernel: int) -> Shapes:
    names = ("0", "1") if style == "pyslowfast" else ("backbone.slow_path.", "backbone.fast_path.")
    d_fused = (8, 32, 64, 128)  # of the fast pathway's stem and first three stages
    parts = [pathway(style, names[0], "slow", width=64, lateral=[2 * d for d in d_fused])]
    parts += [pathway(style, names[1], "fast", width=8)]
    for i, d_fast in enumerate(d_fused):
        shape = (2 * d_fast, d_fast, fusion_kernel, 1, 1)
        if style == "pyslowfast":
            parts += [tensor(f"s{i + 1}_fuse.conv_f2s.weight", *shape), norm(f"s{i + 1}_fuse.bn", 2 * d_fast)]
        else:
            parts += [tensor(f"{names[0]}{'conv1' if i == 0 else f'layer{i}'}_lateral.conv.weight", *shape)]
    head = "head.projection" if style == "pyslowfast" else "cls_head.fc_cls"
    return joined([*parts, affine(head, CLASSES, 2048 + 256)])


def x3d(style: str) -> Shapes:
    theirs = style == "pyslowfast"
    space, time, first = (
        ("s1.pathway0_stem.conv_xy", "s1.pathway0_stem.conv", "s1.pathway0_stem.bn")
        if theirs
        else ("backbone.conv1_s.conv", "backbone.conv1_t.conv", "backbone.conv1_t.bn")
    )
    parts = [tensor(f"{space}.weight", 24, 3, 1, 3, 3), tensor(f"{time}.weight", 24, 1, 5, 1, 1), norm(first, 24)]
    d_in = 24
    for i, (depth, inner, squeezed) in enumerate(zip((3, 5, 11, 7), (54, 108, 216, 432), (8, 8, 16, 32), strict=True)):
        d_out = 24 * 2**i
        for j in range(depth):
            block = f"s{i + 2}.pathway0_res{j}" if theirs else f"backbone.layer{i + 1}.{j}"
            shapes = bottleneck(style, block, (d_in, inner, d_out), time_kernel=1, shortcut=j == 0)
            depthwise = f"{block}.branch2.b.weight" if theirs else f"{block}.conv2.conv.weight"
            parts += [shapes | tensor(depthwise, inner, 1, 3, 3, 3)]
            if j % 2 == 0:
                squeeze = f"{block}.branch2.se" if theirs else f"{block}.se_module"
                parts += [affine(f"{squeeze}.fc1", squeezed, inner, 1, 1, 1)]
                parts += [affine(f"{squeeze}.fc2", inner, squeezed, 1, 1, 1)]
            d_in = d_out
    if theirs:
        parts += [tensor("head.conv_5.weight", 432, 192, 1, 1, 1), norm("head.conv_5_bn", 432)]
        parts += [tensor("head.lin_5.weight", 2048, 432, 1, 1, 1)]
    else:
        parts += [tensor("backbone.conv5.conv.weight", 432, 192, 1, 1, 1), norm("backbone.conv5.bn", 432)]
        parts += [tensor("cls_head.fc1.weight", 2048, 432)]
    return joined([*parts, affine("head.projection" if theirs else "cls_head.fc2", CLASSES, 2048)])
