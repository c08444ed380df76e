"""AutoShot: the network that an architecture search found. Zhu et al. 2023, "AutoShot: A Short Video Dataset and
State-of-the-Art Shot Boundary Detection", section 4; as wentaozhu/AutoShot has it
(supernet_flattransf_3_8_8_8_13_12_0_16_60.py), whose weights (ckpt_0_200_0.pth) load.

14,299,202 parameters, of which 6,030,336 are never used: the search left out the attention before the first linear
layer, and the published weights hold that layer for both cases. They are kept, frozen, so that files load whole.
"""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from videxp.models.scenes.dilated import DilatedNetwork, SeparableConv, SpatialConv, initialize_as_keras
from videxp.models.scenes.interface import Dropout, Width, WindowFrames
from videxp.models.weights import Renames, load_weights

AUTOSHOT_NAMES: Renames = (
    (r"^Layer_(\d)_\d+\.", r"layers.\1."),
    (r"\.batch_norm\.", ".bn."),
    (r"^fc1\.", "unused_fc1."),
    (r"^fc1_0\.", "fc1."),
    (r"\.linear\.", "."),
)


class AutoShot(DilatedNetwork):
    """float [B,T,3,27,48] in [0,1] -> `TransitionLogits`."""

    def __init__(
        self,
        *,
        filters: Width = 16,
        hidden: Width = 1024,
        similarity: Width = 128,
        dropout: Dropout = 0.5,
        window_frames: WindowFrames = 100,
        weights: str | None = None,
    ) -> None:
        """filters: a quarter of the channels of the first pair of layers; each pair has twice those before."""
        widths = [4 * filters * 2**i for i in range(3)]
        features = widths[-1] * 3 * 6
        super().__init__(
            widths=widths,
            features=features,
            similarity=similarity,
            hidden=hidden,
            dropout=dropout,
            window_frames=window_frames,
        )
        first, second, third = widths
        self.layers = nn.ModuleList(
            [
                SeparateConvs(3, first, dilations=4, middle=filters),
                SharedConvs(first, first),
                SharedConvs(first, second),
                SharedConvs(second, second),
                SeparateConvs(second, third, dilations=5, middle=3 * third // 4),
                SeparateConvs(third, third, dilations=5, middle=2 * third // 4),
            ]
        )
        self.unused_fc1 = nn.Linear(features + 2 * similarity + hidden, hidden)
        initialize_as_keras(self)
        self.unused_fc1.requires_grad_(False)
        load_weights(self, weights, renames=AUTOSHOT_NAMES)

    def pairs(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        layers = list(self.layers)
        return zip(layers[::2], layers[1::2])


class SeparateConvs(nn.Module):
    """Convolutions of dilation 1, 2, 4, ... side by side, each within frames through `middle` channels of its own."""

    def __init__(self, d_in: int, d_out: int, *, dilations: int, middle: int) -> None:
        super().__init__()
        self.conv_blocks = _side_by_side(d_in, middle, d_out, dilations)
        self.bn = nn.BatchNorm3d(d_out, eps=1e-3, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(torch.cat([conv(x) for conv in self.conv_blocks], dim=1))


class SharedConvs(nn.Module):
    """The paper's variant A with 5 dilations: one convolution within frames, which those in time share."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.share = SpatialConv(d_in, d_out)
        self.conv_blocks = _side_by_side(d_out, None, d_out, 5)
        self.bn = nn.BatchNorm3d(d_out, eps=1e-3, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        shared = self.share(x)
        return self.bn(torch.cat([conv(shared) for conv in self.conv_blocks], dim=1))


def _side_by_side(d_in: int, middle: int | None, d_out: int, dilations: int) -> nn.ModuleList:
    """64 channels of 5 dilations: 12, 12, 12, 12, 16."""
    ends = [d_out // dilations * i for i in range(dilations)] + [d_out]
    return nn.ModuleList(
        SeparableConv(d_in, middle, end - start, dilation=2**i) for i, (start, end) in enumerate(pairwise(ends))
    )
