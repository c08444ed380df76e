"""Color for grey footage: a U-Net that sees lightness and gives a and b of CIELAB, with a recurrent layer each way over
time at its coarsest level. A network of videxp's own, of a size that a CPU trains.

Legend: B clips, T frames, N = B*T, H, W pixels.
"""

from typing import Annotated, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.core.precision import without_autocast
from videxp.core.warping import exact
from videxp.models.layers.conv_gru import ConvGRU
from videxp.models.layers.restoration_blocks import pad_to_multiple, residual_chain
from videxp.models.weights import load_weights
from videxp.transforms.lab import lab_to_rgb_of_same_lightness, rgb_to_lab

LARGEST = 110.0  # a and b of sRGB lie within -108 and 99
COARSEST = 16  # pixels of a frame for each of the coarsest level, along a side
PIXELS_AT_ONCE = 2**20  # in CIELAB: of a long clip it would take several times the clip's memory


class LabUNetGRU(nn.Module):
    """[B,T,3,H,W] in [0,1] -> the same lightness (CIE L, within 1e-3) in color; the input's own color is not looked at.

    a and b come at half the height and width, as 4:2:0 video keeps color, and of frames whose short side is longer than
    `short_side`, brought to that: color hangs on what is seen, and whole frames are seen. recurrent=False: frame by
    frame, with as many weights in place of the recurrent layers.
    """

    scale = 1
    whole_frames = True

    def __init__(
        self,
        *,
        channels: Annotated[int, Ge(1)] = 16,
        recurrent: bool = True,
        short_side: Annotated[int, Ge(16)] = 256,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.radius = None if recurrent else 0
        self.short_side = short_side
        widths = [channels, 2 * channels, 4 * channels, 4 * channels]
        self.down = nn.ModuleList(_block(d_in, d, stride=2) for d_in, d in zip([1, *widths], widths))
        d = widths[-1]
        each_way = [ConvGRU(d), ConvGRU(d, reverse=True)] if recurrent else [_EachFrame(d), _EachFrame(d)]
        self.over_time = nn.ModuleList(each_way)
        self.fusion = nn.Conv2d(2 * d, d, 1)
        self.up = nn.ModuleList(_block(below + d, d) for below, d in zip(widths[:0:-1], widths[-2::-1]))
        self.head = nn.Conv2d(channels, 2, 3, padding=1)
        nn.init.zeros_(self.head.weight)  # grey, to begin with
        nn.init.zeros_(cast(Tensor, self.head.bias))
        load_weights(self, weights)

    def forward(self, video: Tensor) -> Tensor:
        frames = video.flatten(0, 1)
        count = max(1, PIXELS_AT_ONCE // frames[0, 0].numel())
        lightness = torch.cat([_lightness(part) for part in frames.split(count)])
        chroma = self.chroma(lightness, num_frames=video.shape[1])
        parts = zip(lightness.split(count), chroma.split(count))
        return torch.cat([_colored(*part) for part in parts]).unflatten(0, video.shape[:2])

    def chroma(self, lightness_N1HW: Tensor, *, num_frames: int) -> Tensor:
        """a and b of clips of `num_frames`: [N,2,h,w], of the frames' size or, if that is large, smaller."""
        grey = lightness_N1HW / 50 - 1
        height, width = grey.shape[-2:]
        if (shrink := self.short_side / min(height, width)) < 1:
            height, width = round(height * shrink), round(width * shrink)
            grey = F.interpolate(grey, (height, width), mode="bilinear", antialias=True)
        x = pad_to_multiple(grey.unsqueeze(1), COARSEST)[:, 0]
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        clips = x.unflatten(0, (-1, num_frames))
        x = x + self.fusion(torch.cat([layer(clips) for layer in self.over_time], dim=2).flatten(0, 1))
        for up, finer in zip(self.up, levels[-2::-1]):
            x = up(torch.cat([_doubled(x), finer], dim=1))
        return _doubled(LARGEST * self.head(x).tanh())[..., :height, :width]


class _EachFrame(nn.Module):
    """What stands in place of a `ConvGRU` where frames know nothing of each other: three residual blocks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = residual_chain(width, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.blocks(features.flatten(0, 1)).unflatten(0, features.shape[:2])


def _block(d_in: int, d_out: int, *, stride: int = 1) -> nn.Sequential:
    convs = nn.Conv2d(d_in, d_out, 3, stride, padding=1), nn.Conv2d(d_out, d_out, 3, padding=1)
    for conv in convs:
        nn.init.kaiming_normal_(conv.weight, a=0.1)
    return nn.Sequential(convs[0], nn.LeakyReLU(0.1), convs[1], nn.LeakyReLU(0.1))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _lightness(frames_N3HW: Tensor) -> Tensor:
    """[N,1,H,W] in [0,100]."""
    with without_autocast(frames_N3HW):
        return rgb_to_lab(exact(frames_N3HW).movedim(1, -1))[..., 0].unsqueeze(1)


def _colored(lightness_N1HW: Tensor, chroma_N2hw: Tensor) -> Tensor:
    """[N,3,H,W] in [0,1]; the chroma is brought to the lightness's size."""
    with without_autocast(lightness_N1HW):
        size = lightness_N1HW.shape[-2:]
        chroma = chroma_N2hw.to(lightness_N1HW)
        if chroma.shape[-2:] != size:
            chroma = F.interpolate(chroma, size, mode="bilinear", align_corners=False)
        lab = torch.cat([lightness_N1HW, chroma], dim=1)
        return lab_to_rgb_of_same_lightness(lab.movedim(1, -1)).movedim(-1, 1)
