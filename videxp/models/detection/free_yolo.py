"""FreeYOLO nano and tiny without their predictions: YOWOv2's branch over the key frame (Yang & Dai 2023, section 3.1).
yjh0410/FreeYOLO, MIT; its COCO checkpoints (yolo_free_nano_coco.pth) load by FREE_YOLO_NAMES.

Nano: ShuffleNet V2 1.0x, SPPF, depthwise convolutions. Tiny: YOLOv7-tiny's ELAN backbone, a CSP of poolings.
Legend: widths D of features at strides 8, 16, 32; convolutions have no bias and are followed by norm and activation.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.layers.shufflenet import ShuffleNet
from videxp.models.layers.stages import multiple_of_8
from videxp.models.weights import Renames

Variant = Literal["nano", "tiny"]

_PYRAMID = {"elan": "elans", "conv": "widening"}
FREE_YOLO_NAMES: Renames = (
    (r"^(obj|cls|reg)_preds\..*", ""),
    (r"\.convs\.", "."),
    (r"^backbone\.conv1\.", "backbone.stem."),
    (r"^backbone\.stage(\d)\.", lambda found: f"backbone.stages.{int(found[1]) - 2}."),
    (r"\.branch1\.", ".shortcut."),
    (r"\.branch2\.", ".branch."),
    (r"^backbone\.layer_(\d)\.", lambda found: f"backbone.layers.{int(found[1]) - 1}."),
    (r"^(backbone\..*\.cv[34])\.0\.", r"\1."),
    (r"^(fpn\.head_elan_\d)\.cv3\.1\.", r"\1.cv4."),
    (r"^(fpn\.head_elan_\d\.cv3)\.0\.", r"\1."),
    (r"^neck\.m\.0\.", "neck.before."),
    (r"^neck\.m\.1\.", "neck.pool."),
    (r"^neck\.m\.2\.", "neck.after."),
    (r"^fpn\.cv1\.", "fpn.top_down.0."),
    (r"^fpn\.cv3\.", "fpn.top_down.1."),
    (r"^fpn\.cv2\.", "fpn.lateral.0."),
    (r"^fpn\.cv4\.", "fpn.lateral.1."),
    (r"^fpn\.mp(\d)\.", lambda found: f"fpn.bottom_up.{int(found[1]) - 1}."),
    (r"^fpn\.head_(elan|conv)_(\d)\.", lambda found: f"fpn.{_PYRAMID[found[1]]}.{int(found[2]) - 1}."),
    (r"^fpn\.out_layers\.", "fpn.out."),
    (r"^non_shared_heads\.(\d)\.cls_feats\.", r"class_heads.\1."),
    (r"^non_shared_heads\.(\d)\.reg_feats\.", r"box_heads.\1."),
)


class FreeYOLO(nn.Module):
    """[B,3,H,W], H and W multiples of 32 -> features for classes and for boxes, [B,64,h,w] at strides 8, 16, 32 each.

    width_factor: of all features but the heads'.
    """

    def __init__(self, variant: Variant, *, width_factor: float = 1.0, head_width: int = 64) -> None:
        super().__init__()
        nano = variant == "nano"

        def scaled(*widths: int) -> list[int]:
            return scale_widths(widths, width_factor)

        if nano:
            widths, (d_neck,) = scaled(116, 232, 464), scaled(232)
            self.backbone: nn.Module = ShuffleNet([*scaled(24), *widths])
            self.neck: nn.Module = PyramidPooling(widths[2], d_neck, inner=widths[2] // 2, plain=True)
        else:
            widths, (d_neck,) = scaled(128, 256, 512), scaled(256)
            self.backbone = ELANNet(scaled(32, 64), widths)
            self.neck = CrossStagePooling(widths[2], d_neck)
        (base,) = scaled(64)
        self.fpn = PathAggregation([widths[0], widths[1], d_neck], base=base, d_out=head_width, depthwise=nano)
        self.class_heads = nn.ModuleList(head(head_width, depthwise=nano) for _ in range(3))
        self.box_heads = nn.ModuleList(head(head_width, depthwise=nano) for _ in range(3))

    def forward(self, picture: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        at_8, at_16, at_32 = self.backbone(picture)
        features = self.fpn(at_8, at_16, self.neck(at_32))
        of_classes = [head(x) for head, x in zip(self.class_heads, features, strict=True)]
        return of_classes, [head(x) for head, x in zip(self.box_heads, features, strict=True)]


def scale_widths(widths: Iterable[int], factor: float) -> list[int]:
    """Multiples of 8, unless nothing is scaled: ShuffleNet's published widths are not."""
    return [width if factor == 1 else multiple_of_8(width * factor) for width in widths]


def conv(
    d_in: int, d_out: int, kernel: int = 1, *, stride: int = 1, depthwise: bool = False, silu: bool = False
) -> nn.Sequential:
    """Convolution, norm, activation; depthwise: a convolution for each channel and one over channels, each so."""

    def unit(d_in: int, d_out: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
        layer = nn.Conv2d(d_in, d_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
        return [layer, nn.BatchNorm2d(d_out), nn.SiLU(inplace=True) if silu else nn.LeakyReLU(0.1, inplace=True)]

    if depthwise:
        return nn.Sequential(*unit(d_in, d_in, kernel, stride, d_in), *unit(d_in, d_out, 1, 1, 1))
    return nn.Sequential(*unit(d_in, d_out, kernel, stride, 1))


def head(width: int, *, depthwise: bool) -> nn.Sequential:
    """Two 3x3 convolutions."""
    return nn.Sequential(*(conv(width, width, 3, depthwise=depthwise) for _ in range(2)))


class ELANBlock(nn.Module):
    """Two projections and the second after one and two 3x3 convolutions, merged (YOLOv7, Wang et al. 2022, fig. 2)."""

    def __init__(self, d_in: int, d_out: int, *, inner: int, depthwise: bool = False, silu_out: bool = False) -> None:
        super().__init__()
        self.cv1 = conv(d_in, inner)
        self.cv2 = conv(d_in, inner)
        self.cv3 = conv(inner, inner, 3, depthwise=depthwise)
        self.cv4 = conv(inner, inner, 3, depthwise=depthwise)
        self.out = conv(4 * inner, d_out, silu=silu_out)

    def forward(self, x: Tensor) -> Tensor:
        second = self.cv2(x)
        third = self.cv3(second)
        return self.out(torch.cat([self.cv1(x), second, third, self.cv4(third)], 1))


class ELANNet(nn.Module):
    """YOLOv7-tiny's backbone: [B,3,H,W] -> features at strides 8, 16, 32. Its blocks end in SiLU, all else is leaky."""

    def __init__(self, stem: list[int], widths: list[int]) -> None:
        super().__init__()

        def block(d_in: int, d_out: int) -> ELANBlock:
            return ELANBlock(d_in, d_out, inner=d_in // 2, silu_out=True)

        first, second = stem
        layers = [conv(3, first, 3, stride=2)]
        layers += [nn.Sequential(conv(first, second, 3, stride=2), block(second, second))]
        for d_in, d_out in zip([second, *widths], widths):
            layers += [nn.Sequential(nn.MaxPool2d(2), block(d_in, d_out))]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return features[2:]


class PyramidPooling(nn.Module):
    """SPP: features beside their maxima over squares of 5, 9 and 13, each the maximum over 5 of the one before.

    plain: its two convolutions have a bias, neither norm nor activation.
    """

    def __init__(self, d_in: int, d_out: int, *, inner: int, plain: bool = False) -> None:
        super().__init__()
        self.cv1 = nn.Sequential(nn.Conv2d(d_in, inner, 1)) if plain else conv(d_in, inner)
        self.cv2 = nn.Sequential(nn.Conv2d(4 * inner, d_out, 1)) if plain else conv(4 * inner, d_out)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.cv1(x)]
        for _ in range(3):
            parts.append(F.max_pool2d(parts[-1], 5, stride=1, padding=2))
        return self.cv2(torch.cat(parts, 1))


class CrossStagePooling(nn.Module):
    """A projection, and beside it another one that goes through a 3x3 convolution, pooling, and one more."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        inner = d_in // 2
        self.cv1 = conv(d_in, inner)
        self.cv2 = conv(d_in, inner)
        self.before = conv(inner, inner, 3)
        self.pool = PyramidPooling(inner, inner, inner=inner)
        self.after = conv(inner, inner, 3)
        self.cv3 = conv(2 * inner, d_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat([self.cv1(x), self.after(self.pool(self.before(self.cv2(x))))], 1))


class PathAggregation(nn.Module):
    """From coarse to fine and back (PAFPN), with ELAN blocks: features at strides 8, 16, 32 -> the same, `d_out` wide.

    base: width at stride 8; twice and four times as many at 16 and 32.
    """

    def __init__(self, widths: list[int], *, base: int, d_out: int, depthwise: bool) -> None:
        super().__init__()
        d8, d16, d32 = widths

        def block(d_in: int, d_out: int) -> ELANBlock:
            return ELANBlock(d_in, d_out, inner=d_in // 4, depthwise=depthwise)

        def halve(d_in: int, d_out: int) -> nn.Sequential:
            pooled = nn.Sequential(nn.MaxPool2d(2), conv(d_in, d_out))
            return pooled if depthwise else conv(d_in, d_out, 3, stride=2)

        outputs = (base, 2 * base, 4 * base)
        self.top_down = nn.ModuleList([conv(d32, 2 * base), conv(2 * base, base)])
        self.lateral = nn.ModuleList([conv(d16, 2 * base), conv(d8, base)])
        self.bottom_up = nn.ModuleList([halve(base, 2 * base), halve(2 * base, 4 * base)])
        self.elans = nn.ModuleList(
            [
                block(4 * base, 2 * base),
                block(2 * base, base),
                block(4 * base, 2 * base),
                block(4 * base + d32, 4 * base),
            ]
        )
        self.widening = nn.ModuleList(conv(width, 2 * width, 3, depthwise=depthwise) for width in outputs)
        self.out = nn.ModuleList(conv(2 * width, d_out) for width in outputs)

    def forward(self, at_8: Tensor, at_16: Tensor, at_32: Tensor) -> list[Tensor]:
        middle = self.elans[0](torch.cat([_doubled(self.top_down[0](at_32)), self.lateral[0](at_16)], 1))
        fine = self.elans[1](torch.cat([_doubled(self.top_down[1](middle)), self.lateral[1](at_8)], 1))
        middle = self.elans[2](torch.cat([self.bottom_up[0](fine), middle], 1))
        coarse = self.elans[3](torch.cat([self.bottom_up[1](middle), at_32], 1))
        return [out(widen(x)) for out, widen, x in zip(self.out, self.widening, (fine, middle, coarse), strict=True)]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0)
