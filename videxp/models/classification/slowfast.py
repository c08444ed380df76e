"""SlowFast-R50. Feichtenhofer et al. 2019, "SlowFast Networks for Video Recognition", table 1 and section 3.

A slow pathway sees every alpha-th frame with all its channels; a fast one sees every frame with an eighth of them, and
is fed into the slow one after the stem and stages 2-4 by a convolution of stride alpha in time.
`slow_r50_8x8` is the slow pathway alone, on 8 frames ("Slow-only", table 5a).
Keys are pytorchvideo's: `.../pytorchvideo/model_zoo/kinetics/SLOWFAST_8x8_R50.pyth` loads into `slowfast_r50_8x8`, and
`SLOW_8x8_R50.pyth` into `slow_r50_8x8`. PySlowFast's and mmaction2's files load, too: `slowfast_names.py`.
mmaction2's SlowFast is another network: set `variant=mmaction2` for its weights.
`output_stride=16` keeps the last stage's pictures as large as its input's, and dilates its kernels: as detection of
actions on AVA has it (section 5), with the same parameters.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge, Interval, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.classification.slowfast_names import SLOW_NAMES, SLOWFAST_NAMES
from videxp.models.layers.residual3d import bottleneck_stage, initialize, stem
from videxp.models.layers.stages import require_four_stages
from videxp.models.weights import load_weights

Variant = Literal["paper", "mmaction2"]
OutputStride = Literal[16, 32]
"""Pixels of the clip for one of the last stage's."""
_FAST_SHARE = 8  # 1 / beta: slow channels per fast channel
_SLOW_TIME_KERNELS = (1, 1, 3, 3)  # no motion in the slow pathway's early stages
_FAST_TIME_KERNELS = (3, 3, 3, 3)


class SlowFast(nn.Module):
    """[B,T,C,H,W], T a multiple of alpha -> [B,num_classes].

    variant: "paper", as the authors' code has it. "mmaction2": what is fused has no norm and no ReLU, the slow pathway
    sees frames 0, alpha, 2 alpha, ..., and the classifier has the fast features before the slow ones.
    """

    feature_map = FeatureMap("blocks.4", item=0)  # the slow pathway's
    box_features = FeatureMap("blocks.4")

    def __init__(
        self,
        *,
        alpha: int,
        fusion_kernel: int,
        num_classes: int,
        dropout: float,
        width: int,
        depths: Sequence[int],
        variant: Variant = "paper",
        output_stride: OutputStride = 32,
    ) -> None:
        super().__init__()
        require_four_stages(depths, name="depths")
        self.alpha, self.variant = alpha, variant

        def fusion(d_fast: int) -> _Fusion:
            return _Fusion(d_fast, kernel=fusion_kernel, stride=alpha, variant=variant)

        fast = width // _FAST_SHARE
        stems = [stem(width, time_kernel=1), stem(fast, time_kernel=5)]
        blocks: list[nn.Module] = [_Pathways(stems, fusion(fast))]
        d_slow, d_fast = width, fast
        for i, depth in enumerate(depths):
            inner, last = 2**i, i == len(depths) - 1
            space = _space(i, output_stride)
            slow_stage = bottleneck_stage(
                d_slow + 2 * d_fast,
                width * inner,
                width * inner * 4,
                time_kernels=[_SLOW_TIME_KERNELS[i]] * depth,
                **space,
            )
            fast_stage = bottleneck_stage(
                d_fast,
                fast * inner,
                fast * inner * 4,
                time_kernels=[_FAST_TIME_KERNELS[i]] * depth,
                **space,
            )
            d_slow, d_fast = width * inner * 4, fast * inner * 4
            blocks.append(_Pathways([slow_stage, fast_stage], None if last else fusion(d_fast)))
        blocks += [_PoolAndConcatenate(variant), _Head(d_slow + d_fast, num_classes=num_classes, dropout=dropout)]
        self.blocks = nn.ModuleList(blocks)
        initialize(self)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        clip = video.transpose(1, 2)
        slow, fast = clip[:, :, slow_frames(clip.shape[2], alpha=self.alpha, variant=self.variant)], clip
        *stages, pool, head = self.blocks
        for stage in stages:
            slow, fast = stage(slow, fast)
        return head(pool(slow, fast))


class Slow(nn.Module):
    """The slow pathway alone: [B,T,C,H,W] -> [B,num_classes]; time is never reduced before the last average."""

    feature_map = FeatureMap("blocks.4")

    def __init__(
        self,
        *,
        num_classes: int,
        dropout: float,
        width: int,
        depths: Sequence[int],
        output_stride: OutputStride = 32,
    ) -> None:
        super().__init__()
        require_four_stages(depths, name="depths")
        blocks: list[nn.Module] = [stem(width, time_kernel=1)]
        d_in = width
        for i, depth in enumerate(depths):
            inner = width * 2**i
            kernels = [_SLOW_TIME_KERNELS[i]] * depth
            blocks.append(bottleneck_stage(d_in, inner, 4 * inner, time_kernels=kernels, **_space(i, output_stride)))
            d_in = 4 * inner
        blocks.append(_Head(d_in, num_classes=num_classes, dropout=dropout))
        self.blocks = nn.ModuleList(blocks)
        initialize(self)

    def forward(self, video: Tensor) -> Tensor:
        """[B,T,C,H,W] -> [B,num_classes]."""
        features = video.transpose(1, 2)
        *stages, head = self.blocks
        for stage in stages:
            features = stage(features)
        return head(features.mean(dim=(2, 3, 4)))


def slow_frames(num_frames: int, *, alpha: int, variant: Variant = "paper") -> list[int]:
    """The frames of the slow pathway, first and last among them as in the authors' code: 8, alpha=4 -> [0, 7]; in
    mmaction2's [0, 4]."""
    if variant == "mmaction2":
        return list(range(0, num_frames - alpha + 1, alpha))
    num_slow = num_frames // alpha
    return [i * (num_frames - 1) // max(num_slow - 1, 1) for i in range(num_slow)]


def _space(stage: int, output_stride: OutputStride) -> dict[str, int]:
    """Stride and dilation of the stage's pictures; the first one's are the stem's."""
    if stage == 3 and output_stride == 16:
        return {"space_stride": 1, "space_dilation": 2}
    return {"space_stride": 1 if stage == 0 else 2}


class _Fusion(nn.Module):
    """Fast features, strided to the slow frame rate and doubled in width, are appended to the slow ones."""

    def __init__(self, d_fast: int, *, kernel: int, stride: int, variant: Variant) -> None:
        super().__init__()
        self.conv_fast_to_slow = nn.Conv3d(
            d_fast, 2 * d_fast, (kernel, 1, 1), stride=(stride, 1, 1), padding=(kernel // 2, 0, 0), bias=False
        )
        self.norm = nn.BatchNorm3d(2 * d_fast) if variant == "paper" else nn.Identity()
        self.activation = nn.ReLU(inplace=True) if variant == "paper" else nn.Identity()

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow, self.activation(self.norm(self.conv_fast_to_slow(fast)))], dim=1)


class _Pathways(nn.Module):
    """One stage of both pathways, then the fusion, if any."""

    def __init__(self, stages: Sequence[nn.Module], fusion: _Fusion | None) -> None:
        super().__init__()
        self.multipathway_blocks = nn.ModuleList(stages)
        self.multipathway_fusion = fusion

    def forward(self, slow: Tensor, fast: Tensor) -> tuple[Tensor, Tensor]:
        slow_stage, fast_stage = self.multipathway_blocks
        slow, fast = slow_stage(slow), fast_stage(fast)
        return (slow if self.multipathway_fusion is None else self.multipathway_fusion(slow, fast)), fast


class _PoolAndConcatenate(nn.Module):
    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        features = [slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))]
        return torch.cat(features if self.variant == "paper" else features[::-1], dim=1)


class _Head(nn.Sequential):
    def __init__(self, d_in: int, *, num_classes: int, dropout: float) -> None:
        super().__init__(OrderedDict(dropout=nn.Dropout(dropout), proj=nn.Linear(d_in, num_classes)))


def _slowfast(weights: str | None, **arguments: Any) -> nn.Module:
    net = SlowFast(**arguments)
    load_weights(net, weights, head="blocks.6.proj", renames=SLOWFAST_NAMES)
    return net


@accepts(min_frames=8, frames_multiple=8)
def slowfast_r50_4x16(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    width: Annotated[int, Ge(8)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (3, 4, 6, 3),
    variant: Variant = "paper",
    output_stride: OutputStride = 32,
) -> nn.Module:
    """SlowFast 4x16, R50: 32 frames in, of which the slow pathway sees 4; fusion kernel 5."""
    shape = {"alpha": 8, "fusion_kernel": 5, "width": width, "depths": depths, "variant": variant}
    return _slowfast(weights, num_classes=num_classes, dropout=dropout, output_stride=output_stride, **shape)


@accepts(min_frames=4, frames_multiple=4)
def slowfast_r50_8x8(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    width: Annotated[int, Ge(8)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (3, 4, 6, 3),
    variant: Variant = "paper",
    output_stride: OutputStride = 32,
) -> nn.Module:
    """SlowFast 8x8, R50: 32 frames in, of which the slow pathway sees 8; fusion kernel 7."""
    shape = {"alpha": 4, "fusion_kernel": 7, "width": width, "depths": depths, "variant": variant}
    return _slowfast(weights, num_classes=num_classes, dropout=dropout, output_stride=output_stride, **shape)


@accepts()
def slow_r50_8x8(
    *,
    num_classes: Annotated[int, Ge(1)] = 400,
    weights: str | None = None,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    width: Annotated[int, Ge(1)] = 64,
    depths: Sequence[Annotated[int, Ge(1)]] = (3, 4, 6, 3),
    output_stride: OutputStride = 32,
) -> nn.Module:
    """Slow-only 8x8, R50. Published at 8x256x256 (test crops), stride 8."""
    net = Slow(num_classes=num_classes, dropout=dropout, width=width, depths=depths, output_stride=output_stride)
    load_weights(net, weights, head="blocks.5.proj", renames=SLOW_NAMES)
    return net
