"""X3D. Feichtenhofer 2020, "X3D: Expanding Architectures for Efficient Video Recognition", tables 1 and 3.

A tiny 2-D network expanded step by step in time, size, width and depth. XS, S and M are one network on different clips.
Keys are pytorchvideo's: `weights=https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/X3D_XS.pyth` loads.
PySlowFast's and mmaction2's files load, too: `slowfast_names.py`.
"""

import math
from collections import OrderedDict
from typing import Annotated

from torch import Tensor, nn

from videxp.core.limits import Ge, Gt, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.classification.slowfast_names import X3D_NAMES, x3d_as_pytorchvideos
from videxp.models.layers.residual3d import ResBlock, ResStage, initialize, same_padding_conv
from videxp.models.layers.stages import multiple_of_8
from videxp.models.weights import load_weights

_STAGE_DEPTHS = (1, 2, 5, 3)  # before expansion: table 1
_STAGE_WIDTHS = (12, 24, 48, 96)
_CLASSIFIER = "blocks.5.proj"


@accepts()
class X3D(nn.Module):
    """[B,T,C,H,W] -> [B,num_classes]; space is halved five times, time never. `depth_factor` 2.2: XS, S, M; 5: L."""

    feature_map = FeatureMap("blocks.4")

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] = 400,
        weights: str | None = None,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
        width_factor: Annotated[float, Gt(0)] = 2.0,
        depth_factor: Annotated[float, Gt(0)] = 2.2,
        head_width: Annotated[int, Ge(1)] = 2048,
    ) -> None:
        super().__init__()
        widths = [multiple_of_8(width * width_factor) for width in _STAGE_WIDTHS]
        depths = [math.ceil(depth * depth_factor) for depth in _STAGE_DEPTHS]
        d_in = widths[0]
        blocks: list[nn.Module] = [_stem(d_in)]
        for width, depth in zip(widths, depths, strict=True):
            blocks.append(_stage(d_in, width, depth=depth))
            d_in = width
        blocks.append(_Head(d_in, d_out=head_width, num_classes=num_classes, dropout=dropout))
        self.blocks = nn.Sequential(*blocks)
        initialize(self)
        load_weights(self, weights, head=_CLASSIFIER, renames=X3D_NAMES, convert=x3d_as_pytorchvideos)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        return self.blocks(video.transpose(1, 2))


def _d_inner(d_out: int) -> int:
    return int(2.25 * d_out)  # the bottleneck of X3D is wider than its ends


def _stem(d_out: int) -> nn.Module:
    # pytorchvideo calls the spatial convolution conv_t and the temporal one conv_xy; its checkpoints too
    conv: OrderedDict[str, nn.Module] = OrderedDict(
        conv_t=same_padding_conv(3, d_out, kernel=(1, 3, 3), stride=(1, 2, 2)),
        conv_xy=same_padding_conv(d_out, d_out, kernel=(5, 1, 1), groups=d_out),
    )
    return nn.Sequential(
        OrderedDict(conv=nn.Sequential(conv), norm=nn.BatchNorm3d(d_out), activation=nn.ReLU(inplace=True))
    )


def _stage(d_in: int, d_out: int, *, depth: int) -> ResStage:
    blocks = []
    for i in range(depth):
        space_stride, excite = (2 if i == 0 else 1), i % 2 == 0  # squeeze-and-excitation in every other block
        blocks.append(_block(d_in if i == 0 else d_out, d_out, space_stride=space_stride, excite=excite))
    return ResStage(blocks)


def _block(d_in: int, d_out: int, *, space_stride: int, excite: bool) -> ResBlock:
    d_inner = _d_inner(d_out)
    stride = (1, space_stride, space_stride)
    norm_b = nn.BatchNorm3d(d_inner)
    branch2 = nn.Sequential(
        OrderedDict(
            conv_a=same_padding_conv(d_in, d_inner, kernel=(1, 1, 1)),
            norm_a=nn.BatchNorm3d(d_inner),
            act_a=nn.ReLU(inplace=True),
            conv_b=same_padding_conv(d_inner, d_inner, kernel=(3, 3, 3), stride=stride, groups=d_inner),
            norm_b=nn.Sequential(norm_b, _SqueezeExcitation(d_inner) if excite else nn.Identity()),
            act_b=nn.SiLU(inplace=True),
            conv_c=same_padding_conv(d_inner, d_out, kernel=(1, 1, 1)),
            norm_c=nn.BatchNorm3d(d_out),
        )
    )
    changes = d_in != d_out or space_stride > 1
    return ResBlock(
        branch1_conv=same_padding_conv(d_in, d_out, kernel=(1, 1, 1), stride=stride) if changes else None,
        branch1_norm=nn.BatchNorm3d(d_out) if d_in != d_out else None,  # none on the first stage's shortcut
        branch2=branch2,
    )


class _SqueezeExcitation(nn.Module):
    """x * sigmoid(W2 relu(W1 mean(x))), a sixteenth as wide inside (Hu et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        d_squeezed = multiple_of_8(width / 16)
        squeeze, excite = nn.Conv3d(width, d_squeezed, 1), nn.Conv3d(d_squeezed, width, 1)
        self.block = nn.Sequential(squeeze, nn.ReLU(inplace=True), excite, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.block(x.mean(dim=(2, 3, 4), keepdim=True))


class _Head(nn.Module):
    """Widen, pool, widen again, classify: [B,D,T,H,W] -> [B,num_classes]."""

    def __init__(self, d_in: int, *, d_out: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        d_inner = _d_inner(d_in)
        self.pool = nn.Sequential(
            OrderedDict(
                pre_conv=same_padding_conv(d_in, d_inner, kernel=(1, 1, 1)),
                pre_norm=nn.BatchNorm3d(d_inner),
                pre_act=nn.ReLU(inplace=True),
                pool=nn.AdaptiveAvgPool3d(1),
                post_conv=same_padding_conv(d_inner, d_out, kernel=(1, 1, 1)),
                post_act=nn.ReLU(inplace=True),
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.proj = nn.Linear(d_out, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        return self.proj(self.dropout(self.pool(features).flatten(1)))
