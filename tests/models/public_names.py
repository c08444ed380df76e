"""Names and shapes of the tensors in public checkpoints, written out from the networks that made them.

Each function gives {name: shape} for `channels` and `blocks`; `style` is "basicsr" or "mmagic", whose names differ.
"""

from collections.abc import Iterable

Shapes = dict[str, tuple[int, ...]]


def conv(name: str, d_out: int, d_in: int, kernel: int = 3) -> Shapes:
    return {f"{name}.weight": (d_out, d_in, kernel, kernel), f"{name}.bias": (d_out,)}


def joined(parts: Iterable[Shapes]) -> Shapes:
    return {name: shape for part in parts for name, shape in part.items()}


def prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def chain(name: str, width: int, blocks: int) -> Shapes:
    return joined(conv(f"{name}.{i}.conv{j}", width, width) for i in range(blocks) for j in (1, 2))


def trunk(name: str, d_in: int, width: int, blocks: int) -> Shapes:
    return conv(f"{name}.main.0", width, d_in) | chain(f"{name}.main.2", width, blocks)


def spynet(style: str, *, file: bool = False) -> Shapes:
    """`file`: as in SPyNet's own checkpoint, which lacks the constants."""
    step, wrapped = (2, "") if style == "basicsr" else (1, ".conv")
    widths = [8, 32, 64, 32, 16, 2]
    convs = joined(
        conv(f"basic_module.{level}.basic_module.{step * i}{wrapped}", widths[i + 1], widths[i], 7)
        for level in range(6)
        for i in range(5)
    )
    return convs if file else {"mean": (1, 3, 1, 1), "std": (1, 3, 1, 1)} | convs


def head(style: str, width: int) -> Shapes:
    names = ("upconv1", "upconv2") if style == "basicsr" else ("upsample1.upsample_conv", "upsample2.upsample_conv")
    last = min(64, width)
    ups = conv(names[0], 4 * width, width) | conv(names[1], 4 * last, width)
    return ups | conv("conv_hr", last, last) | conv("conv_last", 3, last)


def deformable(name: str, d_out: int, d_in: int) -> Shapes:
    return {f"{name}.weight": (d_out, d_in, 3, 3), f"{name}.bias": (d_out,)}


def edvr_features(style: str, width: int) -> Shapes:
    wrapped = "" if style == "basicsr" else ".conv"  # mmagic's ConvModule
    pcd = "pcd_align" if style == "basicsr" else "pcd_alignment"
    pyramid = "conv_l{}_{}" if style == "basicsr" else "feat_l{}_conv{}.conv"
    parts = [conv("conv_first", width, 3), chain("feature_extraction", width, 5)]
    parts += [conv(pyramid.format(level, i), width, width) for level in (2, 3) for i in (1, 2)]
    for level in (3, 2, 1):
        parts += [conv(f"{pcd}.offset_conv1.l{level}{wrapped}", width, 2 * width)]
        parts += [conv(f"{pcd}.offset_conv2.l{level}{wrapped}", width, width if level == 3 else 2 * width)]
        parts += [deformable(f"{pcd}.dcn_pack.l{level}", width, width)]
        parts += [conv(f"{pcd}.dcn_pack.l{level}.conv_offset", 27 * 8, width)]
        if level < 3:
            parts += [conv(f"{pcd}.offset_conv3.l{level}{wrapped}", width, width)]
            parts += [conv(f"{pcd}.feat_conv.l{level}{wrapped}", width, 2 * width)]
    parts += [conv(f"{pcd}.cas_offset_conv1{wrapped}", width, 2 * width)]
    parts += [conv(f"{pcd}.cas_offset_conv2{wrapped}", width, width)]
    parts += [deformable(f"{pcd}.cas_dcnpack", width, width), conv(f"{pcd}.cas_dcnpack.conv_offset", 27 * 8, width)]
    parts += [conv(f"fusion.temporal_attn{i}", width, width) for i in (1, 2)]
    attention = {"attn1": (5, 1), "attn2": (2, 1), "attn3": (1, 3), "attn4": (1, 1)}
    attention |= {"attn_l1": (1, 1), "attn_l2": (2, 3), "attn_l3": (1, 3), "attn_add1": (1, 1)}
    parts += [conv(f"fusion.feat_fusion{wrapped}", width, 5 * width, 1)]
    parts += [conv(f"fusion.spatial_{key}{wrapped}", width, n * width, k) for key, (n, k) in attention.items()]
    parts += [conv("fusion.spatial_attn5", width, width), conv("fusion.spatial_attn_add2", width, width, 1)]
    return joined(parts)


def edvr(style: str, channels: int, blocks: int) -> Shapes:
    return edvr_features(style, channels) | chain("reconstruction", channels, blocks) | head(style, channels)


def _trunks(style: str) -> tuple[str, str]:
    return ("backward_trunk", "forward_trunk") if style == "basicsr" else ("backward_resblocks", "forward_resblocks")


def basicvsr(style: str, channels: int, blocks: int) -> Shapes:
    trunks = joined(trunk(name, channels + 3, channels, blocks) for name in _trunks(style))
    fusion = conv("fusion", channels, 2 * channels, 1)
    return prefixed("spynet.", spynet(style)) | trunks | fusion | head(style, channels)


def iconvsr(style: str, channels: int, blocks: int) -> Shapes:
    backward, forward = _trunks(style)
    return joined(
        [
            prefixed("edvr.", edvr_features(style, channels)),
            prefixed("spynet.", spynet(style)),
            conv("backward_fusion", channels, 2 * channels),
            trunk(backward, channels + 3, channels, blocks),
            conv("forward_fusion", channels, 2 * channels),
            trunk(forward, 2 * channels + 3, channels, blocks),
            head(style, channels),
        ]
    )


def basicvsr_pp(style: str, channels: int, blocks: int) -> Shapes:
    parts = [prefixed("spynet.", spynet(style)), trunk("feat_extract", 3, channels, 5)]
    for i, branch in enumerate(("backward_1", "forward_1", "backward_2", "forward_2")):
        align = f"deform_align.{branch}"
        parts += [deformable(align, channels, 2 * channels)]
        parts += [conv(f"{align}.conv_offset.0", channels, 3 * channels + 4)]
        parts += [conv(f"{align}.conv_offset.{j}", channels, channels) for j in (2, 4)]
        parts += [conv(f"{align}.conv_offset.6", 27 * 16, channels)]
        parts += [trunk(f"backbone.{branch}", (2 + i) * channels, channels, blocks)]
    return joined([*parts, trunk("reconstruction", 5 * channels, channels, 5), head(style, channels)])


def realbasicvsr(style: str, channels: int, blocks: int) -> Shapes:
    assert style == "mmagic"
    cleaner = trunk("image_cleaning.0", 3, channels, blocks) | conv("image_cleaning.1", 3, channels)
    return cleaner | prefixed("basicvsr.", basicvsr(style, channels, blocks))


def dense_block(name: str, width: int, growth: int) -> Shapes:
    layers = [conv(f"{name}.dense_layers.{i}.conv", growth, width + i * growth) for i in range(3)]
    return joined([*layers, conv(f"{name}.conv1x1", width, width + 3 * growth, 1)])


def estrnn(channels: int, blocks: int) -> Shapes:
    n, wide = channels, 5 * channels
    cell = [conv("F_B0", n, 3, 5), dense_block("F_B1.rdb", n, n), conv("F_B1.down_sampling", 2 * n, n, 5)]
    cell += [dense_block("F_B2.rdb", 2 * n, 3 * n // 2), conv("F_B2.down_sampling", 4 * n, 2 * n, 5)]
    cell += [dense_block(f"F_R.RDBs.{i}", wide, 2 * n) for i in range(blocks)]
    cell += [conv("F_R.conv1x1", wide, blocks * wide, 1), conv("F_R.conv3x3", wide, wide)]
    cell += [conv("F_h.0", n, wide), dense_block("F_h.1", n, n), conv("F_h.2", n, n)]
    up = [(5 * wide, 2 * n), (2 * n, n)]
    head = [{f"{i}.weight": (*widths, 3, 3), f"{i}.bias": widths[1:]} for i, widths in enumerate(up)]
    gate = [
        {f"F_f.{i}.weight": (d_out * wide, d_in * wide), f"F_f.{i}.bias": (d_out * wide,)}
        for i, d_out, d_in in ((0, 4, 2), (2, 2, 4))
    ]
    pair = [conv("F_p.0", 4 * wide, 2 * wide, 1), conv("F_p.1", 2 * wide, 4 * wide, 1)]
    fusion = [*gate, *pair, conv("condense", wide, 2 * wide, 1), conv("fusion", 5 * wide, 5 * wide, 1)]
    parts = {"cell.": cell, "recons.model.": [*head, conv("2", 3, n, 5)], "fusion.": fusion}
    return joined(prefixed(f"module.{prefix}", joined(shapes)) for prefix, shapes in parts.items())


def stdf(frames: int) -> Shapes:
    def doubling(name: str) -> Shapes:
        return {f"{name}.weight": (32, 32, 4, 4), f"{name}.bias": (32,)}

    fusion = [conv("in_conv.0", 32, frames), conv("out_conv.0", 32, 32), conv("offset_mask", 27 * frames, 32)]
    for i in (1, 2):
        fusion += [conv(f"dn_conv{i}.{j}", 32, 32) for j in (0, 2)]
        fusion += [conv(f"up_conv{i}.0", 32, 64), doubling(f"up_conv{i}.2")]
    fusion += [conv(f"tr_conv.{j}", 32, 32) for j in (0, 2)] + [doubling("tr_conv.4")]
    fusion += [deformable("deform_conv", 64, frames)]
    quality = [conv("in_conv.0", 48, 64), *(conv(f"hid_conv.{2 * i}", 48, 48) for i in range(6))]
    quality += [conv("out_conv", 1, 48)]
    return prefixed("module.ffnet.", joined(fusion)) | prefixed("module.qenet.", joined(quality))
