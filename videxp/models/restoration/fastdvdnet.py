"""FastDVDnet: two stages of U-Nets over five frames, without motion compensation. Tassano et al. 2020, "FastDVDnet:
Towards Real-Time Deep Video Denoising Without Flow Estimation", section 3.

The defaults are the published network (2,479,096 parameters); the authors' files load. A fresh one starts near the
identity, unlike theirs: a short training gets further. N frames of all clips.
"""

from typing import Annotated, cast

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge
from videxp.models.layers.restoration_blocks import initialize_small, pad_to_multiple, windows
from videxp.models.weights import load_weights


class FastDVDnet(nn.Module):
    """video [B,T,3,H,W] in [0,1] and its noise, sigma / 255 at each pixel [B,T,1,H,W] -> [B,T,3,H,W].

    channels: features at full size; twice and four times as many at half and a quarter of it. entry: features of each
    frame in a block's first layer, left at 30 by the authors. over_time=False puts each frame into the place of its
    neighbors: the same network for single frames, to see what the others are worth.
    """

    scale = 1
    radius = 2
    told = "noise_level"

    def __init__(
        self,
        *,
        channels: Annotated[int, Ge(1)] = 32,
        entry: Annotated[int, Ge(1)] = 30,
        over_time: bool = True,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.over_time = over_time
        self.radius = FastDVDnet.radius if over_time else 0
        self.temp1 = DenoisingBlock(channels, entry)
        self.temp2 = DenoisingBlock(channels, entry)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for block in (self.temp1, self.temp2):
            initialize_small(block.last)
        load_weights(self, weights)

    def forward(self, video: Tensor, noise_level: Tensor) -> Tensor:
        """Each block sees a triplet once, where the authors' code computes those that windows share again."""
        frames, levels = pad_to_multiple(video, 4), pad_to_multiple(noise_level, 4)
        if self.over_time:  # two more frames at either end, mirrored
            around = windows(video.shape[1], self.radius)
            order = [*around[0][: self.radius], *range(video.shape[1]), *around[-1][-self.radius :]]
            frames, levels = frames[:, order], levels[:, order]
        first = self._stage(self.temp1, frames, levels)
        second = self._stage(self.temp2, first, self._triplets(levels)[:, :, 1:2])
        return second[..., : video.shape[3], : video.shape[4]]

    def _stage(self, block: nn.Module, frames: Tensor, levels: Tensor) -> Tensor:
        """The middle frame of each three: [B,T+2,3,H,W] -> [B,T,3,H,W]."""
        triplets = self._triplets(torch.cat([frames, levels], dim=2))
        return block(triplets.flatten(0, 1), triplets[:, :, 4:7].flatten(0, 1)).unflatten(0, triplets.shape[:2])

    def _triplets(self, each: Tensor) -> Tensor:
        """Three in a row beside one another, [B,T+2,C,H,W] -> [B,T,3C,H,W]; of single frames the same three times."""
        return torch.cat([each[:, :-2], each[:, 1:-1], each[:, 2:]] if self.over_time else [each] * 3, dim=2)


class DenoisingBlock(nn.Module):
    """A U-Net: triplets of frames with their noise [N,12,H,W] -> the middle one [N,3,H,W] less what it predicts."""

    def __init__(self, channels: int, entry: int) -> None:
        super().__init__()
        widths = channels, 2 * channels, 4 * channels
        self.inc = Convolutions(
            *_conv(12, 3 * entry, groups=3),
            *_conv(3 * entry, widths[0]),
        )
        self.downc0 = Convolutions(*_conv(widths[0], widths[1], stride=2), twice(widths[1]))
        self.downc1 = Convolutions(*_conv(widths[1], widths[2], stride=2), twice(widths[2]))
        self.upc2 = Convolutions(twice(widths[2]), *_double(widths[2], widths[1]))
        self.upc1 = Convolutions(twice(widths[1]), *_double(widths[1], widths[0]))
        self.outc = Convolutions(*_conv(widths[0], widths[0]), nn.Conv2d(widths[0], 3, 3, padding=1, bias=False))

    @property
    def last(self) -> nn.Conv2d:
        """What predicts the noise."""
        return cast(nn.Conv2d, self.outc.convblock[-1])

    def forward(self, triplets: Tensor, middle: Tensor) -> Tensor:
        full = self.inc(triplets)
        half = self.downc0(full)
        half = half + self.upc2(self.downc1(half))
        return middle - self.outc(full + self.upc1(half))


class Convolutions(nn.Module):
    """Layers in a row, named as the authors name them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.convblock = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.convblock(x)


def _conv(d_in: int, d_out: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(d_in, d_out, 3, stride=stride, padding=1, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(d_out), nn.ReLU(inplace=True)]


def twice(width: int) -> Convolutions:
    """Two convolutions that keep the width."""
    return Convolutions(*_conv(width, width), *_conv(width, width))


def _double(d_in: int, d_out: int) -> list[nn.Module]:
    """Twice the size: [N,d_in,h,w] -> [N,d_out,2h,2w]."""
    return [nn.Conv2d(d_in, 4 * d_out, 3, padding=1, bias=False), nn.PixelShuffle(2)]
