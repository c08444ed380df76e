"""Names and shapes of the tensors in public checkpoints of YOWOv2, in their order, written out from its networks."""

from tests.models.public_names import Shapes, joined, prefixed


def conv(name: str, d_out: int, d_in: int, *kernel: int, bias: bool = False) -> Shapes:
    weight = {f"{name}.weight": (d_out, d_in, *kernel)}
    return weight | {f"{name}.bias": (d_out,)} if bias else weight


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.{key}": (width,) for key in ("weight", "bias", "running_mean", "running_var")}


def unit(name: str, d_in: int, d_out: int, kernel: int = 1, *, depthwise: bool = False) -> Shapes:
    """A convolution and its norm; or one for each channel, its norm, and one over channels with its norm."""
    if depthwise:
        parts = [conv(f"{name}.convs.0", d_in, 1, kernel, kernel), norm(f"{name}.convs.1", d_in)]
        return joined([*parts, conv(f"{name}.convs.3", d_out, d_in, 1, 1), norm(f"{name}.convs.4", d_out)])
    return conv(f"{name}.convs.0", d_out, d_in, kernel, kernel) | norm(f"{name}.convs.1", d_out)


def shuffle_block(name: str, d_in: int, d_out: int, dims: int, branches: tuple[str, str], *, first: bool) -> Shapes:
    half, three, one = d_out // 2, (3,) * dims, (1,) * dims
    shortcut, branch = (f"{name}.{key}" for key in branches)
    parts = []
    if first:
        parts += [conv(f"{shortcut}.0", d_in, 1, *three), norm(f"{shortcut}.1", d_in)]
        parts += [conv(f"{shortcut}.2", half, d_in, *one), norm(f"{shortcut}.3", half)]
    parts += [conv(f"{branch}.0", half, d_in if first else half, *one), norm(f"{branch}.1", half)]
    parts += [conv(f"{branch}.3", half, 1, *three), norm(f"{branch}.4", half)]
    return joined([*parts, conv(f"{branch}.5", half, half, *one), norm(f"{branch}.6", half)])


def shufflenet(widths: list[int], dims: int) -> Shapes:
    """Stages by name in 2D, all blocks in one row in 3D."""
    parts = [conv("conv1.0", widths[0], 3, *(3,) * dims), norm("conv1.1", widths[0])]
    row = 0
    for stage, depth in enumerate((4, 8, 4)):
        for i in range(depth):
            name = f"stage{stage + 2}.{i}" if dims == 2 else f"features.{row}"
            branches = ("branch1", "branch2") if dims == 2 else ("banch1", "banch2")  # sic
            d_in = widths[stage] if i == 0 else widths[stage + 1]
            parts.append(shuffle_block(name, d_in, widths[stage + 1], dims, branches, first=i == 0))
            row += 1
    return joined(parts)


def elan(name: str, d_in: int, d_out: int, inner: int, names: tuple[str, str], *, depthwise: bool = False) -> Shapes:
    parts = [unit(f"{name}.cv{i}", d_in, inner) for i in (1, 2)]
    parts += [unit(f"{name}.{key}", inner, inner, 3, depthwise=depthwise) for key in names]
    return joined([*parts, unit(f"{name}.out", 4 * inner, d_out)])


def elan_net() -> Shapes:
    parts = [unit("layer_1", 3, 32, 3), unit("layer_2.0", 32, 64, 3)]
    for layer, (d_in, d_out) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512)), start=2):
        parts.append(elan(f"layer_{layer}.1", d_in, d_out, d_in // 2, ("cv3.0", "cv4.0")))
    return joined(parts)


def pyramid(d8: int, d16: int, d32: int, *, depthwise: bool) -> Shapes:
    names = ("cv3.0", "cv3.1")
    parts = [unit("cv1", d32, 128), unit("cv2", d16, 128)]
    parts += [elan("head_elan_1", 256, 128, 64, names, depthwise=depthwise)]
    parts += [unit("cv3", 128, 64), unit("cv4", d8, 64)]
    parts += [elan("head_elan_2", 128, 64, 32, names, depthwise=depthwise)]
    for i, (d_in, whole) in enumerate(((64, 256), (128, 256 + d32)), start=1):
        parts += [unit(f"mp{i}.1", d_in, 2 * d_in) if depthwise else unit(f"mp{i}", d_in, 2 * d_in, 3)]
        parts += [elan(f"head_elan_{i + 2}", whole, 2 * d_in, whole // 4, names, depthwise=depthwise)]
    parts += [unit(f"head_conv_{i}", 32 * 2**i, 64 * 2**i, 3, depthwise=depthwise) for i in (1, 2, 3)]
    return joined([*parts, *(unit(f"out_layers.{i}", 128 * 2**i, 64) for i in range(3))])


def heads(name: str, kinds: tuple[str, str], *, depthwise: bool) -> Shapes:
    places = [(level, kind, i) for level in range(3) for kind in kinds for i in range(2)]
    return joined(unit(f"{name}.{level}.{kind}.{i}", 64, 64, 3, depthwise=depthwise) for level, kind, i in places)


def free_yolo(variant: str) -> Shapes:
    nano = variant == "nano"
    if nano:
        neck = conv("neck.cv1.convs.0", 232, 464, 1, 1, bias=True)
        parts = [prefixed("backbone.", shufflenet([24, 116, 232, 464], 2)), neck]
        parts += [conv("neck.cv2.convs.0", 232, 928, 1, 1, bias=True)]
    else:
        parts = [prefixed("backbone.", elan_net()), unit("neck.cv1", 512, 256), unit("neck.cv2", 512, 256)]
        parts += [unit("neck.m.0", 256, 256, 3), unit("neck.m.1.cv1", 256, 256), unit("neck.m.1.cv2", 1024, 256)]
        parts += [unit("neck.m.2", 256, 256, 3), unit("neck.cv3", 512, 256)]
    widths = (116, 232, 232) if nano else (128, 256, 256)
    parts += [prefixed("fpn.", pyramid(*widths, depthwise=nano))]
    return joined([*parts, heads("non_shared_heads", ("cls_feats", "reg_feats"), depthwise=nano)])


def shufflenet3d(variant: str) -> Shapes:
    return shufflenet([24, 116, 232, 464] if variant == "nano" else [24, 224, 488, 976], 3)


def yowo(variant: str, num_classes: int) -> Shapes:
    parts = [prefixed("backbone_2d.backbone.", free_yolo(variant))]
    parts += [prefixed("backbone_3d.backbone.", shufflenet3d(variant))]
    d_in = 64 + (464 if variant == "nano" else 976)
    for kind in ("cls", "reg"):
        for level in range(3):
            name = f"{kind}_channel_encoders.{level}.fuse_convs"
            parts += [unit(f"{name}.0", d_in, 64), unit(f"{name}.1", 64, 64, 3), {f"{name}.2.gamma": (1,)}]
            parts += [unit(f"{name}.3", 64, 64, 3), conv(f"{name}.5", 64, 64, 1, 1, bias=True)]
    parts += [heads("heads", ("cls_head", "reg_head"), depthwise=variant == "nano")]
    for name, width in (("conf_preds", 1), ("cls_preds", num_classes), ("reg_preds", 4)):
        parts += [conv(f"{name}.{level}", width, 64, 1, 1, bias=True) for level in range(3)]
    return joined(parts)
