"""BSVD: two U-Nets whose convolutions see the frames before and after through shifted features; it also runs as a
stream, frame by frame. Qi et al. 2022, "Real-time Streaming Video Denoising with Bidirectional Buffers", section 3.

The defaults are BSVD-64 (9,815,683 parameters; blind 9,815,107); the authors' training checkpoints load. A fresh one
starts near the identity, unlike theirs: a short training gets further. N frames of all clips, D features.
"""

from collections.abc import Iterable, Iterator
from itertools import tee
from typing import Annotated, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.models.layers.restoration_blocks import initialize_small, pad_to_multiple
from videxp.models.weights import load_weights

SHIFTED_SHARE = 8  # one of so many features comes from the next frame, and as many from the one before
SHIFTS_PER_STAGE = 8


class BSVD(nn.Module):
    """video [B,T,3,H,W] in [0,1] and its noise, sigma / 255 at each pixel [B,T,1,H,W] -> [B,T,3,H,W].

    channels: features at full size; twice and four times as many at half and a quarter of it. entry: features within
    the first layer of each stage; None: as many as channels. between: features that the first stage gives to the
    second; None: as many as channels. blind: the network is not told the noise.
    """

    scale = 1
    radius = 2 * SHIFTS_PER_STAGE
    told = "noise_level"

    def __init__(
        self,
        *,
        channels: Annotated[int, Ge(4)] = 64,
        entry: Annotated[int, Ge(1)] | None = None,
        between: Annotated[int, Ge(3)] | None = None,
        blind: bool = False,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.told = "" if blind else "noise_level"
        entry, between = entry or channels, between or channels
        self.nets_list = nn.ModuleList(
            [
                ShiftedUNet(3 if blind else 4, between, channels=channels, entry=entry),
                ShiftedUNet(between, 3, channels=channels, entry=entry),
            ]
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for unet in self.nets_list:
            initialize_small(cast(ShiftedUNet, unet).last)
        load_weights(self, weights)

    def forward(self, video: Tensor, noise_level: Tensor | None = None) -> Tensor:
        (count, height, width) = video.shape[1], *video.shape[-2:]
        x = pad_to_multiple(video if noise_level is None else torch.cat([video, noise_level], dim=2), 4).flatten(0, 1)
        for stage in self.nets_list:
            x = stage(x, count)
        return x.unflatten(0, (-1, count))[..., :height, :width]

    def stream(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same for a video of any length, in constant memory: frame t comes out when frame t + 16 has come in.

        frames: float [B,3,H,W] each, or [B,4,H,W] with the noise beside the colors unless the network is blind.
        """
        sizes: list[tuple[int, int]] = []

        def padded() -> Iterator[Tensor]:
            for frame in frames:
                sizes[:] = [(frame.shape[-2], frame.shape[-1])]
                yield pad_to_multiple(frame.unsqueeze(1), 4).squeeze(1)

        x: Iterator[Tensor] = padded()
        for stage in self.nets_list:
            x = cast(ShiftedUNet, stage).stream(x)
        for frame in x:
            height, width = sizes[0]
            yield frame[..., :height, :width]


class ShiftedUNet(nn.Module):
    """A U-Net: [N,d_in,H,W] -> [N,d_out,H,W], whose first three channels are the input's less what it predicts."""

    def __init__(self, d_in: int, d_out: int, *, channels: int, entry: int) -> None:
        super().__init__()
        full, half, quarter = channels, 2 * channels, 4 * channels
        self.inc = ShiftedBlock(_conv(d_in, entry), nn.Identity(), _relu(), _conv(entry, full), nn.Identity(), _relu())
        self.downc0 = ShiftedBlock(_conv(full, half, stride=2), nn.Identity(), _relu(), ShiftedPair(half))
        self.downc1 = ShiftedBlock(_conv(half, quarter, stride=2), nn.Identity(), _relu(), ShiftedPair(quarter))
        self.upc2 = ShiftedBlock(ShiftedPair(quarter), _conv(quarter, 4 * half), nn.PixelShuffle(2))
        self.upc1 = ShiftedBlock(ShiftedPair(half), _conv(half, 4 * full), nn.PixelShuffle(2))
        self.outc = ShiftedBlock(_conv(full, full), nn.Identity(), _relu(), _conv(full, d_out))

    @property
    def last(self) -> nn.Conv2d:
        """What predicts the noise."""
        return cast(nn.Conv2d, self.outc.convblock[-1])

    def forward(self, x: Tensor, count: int) -> Tensor:
        """count: T, the frames of each clip among the N."""
        full = self.inc(x, count)
        half = self.downc0(full, count)
        half = half + self.upc2(self.downc1(half, count), count)
        return _residual(x, self.outc(full + self.upc1(half, count), count))

    def stream(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """`tee` keeps what a skip connection must wait for, and no more."""
        inputs, x = tee(frames)
        full, x = tee(self.inc.stream(x))
        half, x = tee(self.downc0.stream(x))
        x = self.upc2.stream(self.downc1.stream(x))
        x = self.upc1.stream(there + here for here, there in zip(x, half))
        x = self.outc.stream(there + here for here, there in zip(x, full))
        return (_residual(before, after) for after, before in zip(x, inputs))


class ShiftedBlock(nn.Module):
    """Layers in a row, named as the authors name them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.convblock = nn.Sequential(*layers)

    def forward(self, x: Tensor, count: int) -> Tensor:
        for layer in self.convblock:
            x = layer(x, count) if isinstance(layer, ShiftedPair) else layer(x)
        return x

    def stream(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        for layer in self.convblock:
            frames = layer.stream(frames) if isinstance(layer, ShiftedPair) else map(layer, frames)
        return frames


class ShiftedPair(nn.Module):
    """Two convolutions over time and space: [N,D,h,w] -> [N,D,h,w]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c1 = ShiftedConv(width)
        self.c2 = ShiftedConv(width)

    def forward(self, x: Tensor, count: int) -> Tensor:
        return F.relu6(self.c2(F.relu6(self.c1(x, count)), count))

    def stream(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        return map(F.relu6, self.c2.stream(map(F.relu6, self.c1.stream(frames))))


class ShiftedConv(nn.Module):
    """A convolution of which D/8 features are those of the next frame, and D/8 of the one before; zero at the ends."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = _conv(width, width)
        self.shifted = width // SHIFTED_SHARE

    def forward(self, x: Tensor, count: int) -> Tensor:
        clips, n = x.unflatten(0, (-1, count)), self.shifted
        later = F.pad(clips[:, 1:, :n], (0, 0, 0, 0, 0, 0, 0, 1))
        earlier = F.pad(clips[:, :-1, n : 2 * n], (0, 0, 0, 0, 0, 0, 1, 0))
        return self.net(torch.cat([later, earlier, clips[:, :, 2 * n :]], dim=2).flatten(0, 1))

    def stream(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Frame t when t+1 has come, and the last one at the end."""
        n = self.shifted
        earlier: Tensor | None = None
        here: Tensor | None = None
        for later in frames:
            if here is not None:
                yield self._one(earlier, here, later[:, :n])
                earlier = here[:, n : 2 * n]
            here = later
        if here is not None:
            yield self._one(earlier, here, None)

    def _one(self, earlier: Tensor | None, here: Tensor, later: Tensor | None) -> Tensor:
        n = self.shifted
        nothing = torch.zeros_like(here[:, :n])
        parts = [nothing if part is None else part for part in (later, earlier)]
        return self.net(torch.cat([*parts, here[:, 2 * n :]], dim=1))


def _conv(d_in: int, d_out: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(d_in, d_out, 3, stride=stride, padding=1)


def _relu() -> nn.Module:
    return nn.ReLU6(inplace=True)


def _residual(x: Tensor, predicted: Tensor) -> Tensor:
    return torch.cat([x[:, :3] - predicted[:, :3], predicted[:, 3:]], dim=1)
