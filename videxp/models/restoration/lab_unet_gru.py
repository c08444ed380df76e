"""Color for grey footage: a U-Net that sees lightness and gives a and b of CIELAB, with a recurrent layer each way over
time at its coarsest level. Networks of videxp's own, of a size that a CPU trains: one that knows nothing but the grey
footage, and one that is shown a frame in color.

Legend: B clips, T frames, N = B*T, H, W pixels.
"""

from collections.abc import Sequence
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
MATCH_PIXELS = 8  # and of each place that is compared with the exemplar's
TEMPERATURE = 0.05  # of their cosines: the smaller, the fewer places color one
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
        self.unet = _UNet(1, channels, recurrent=recurrent)
        load_weights(self, weights)

    def forward(self, video: Tensor) -> Tensor:
        lightness = _lightness(video.flatten(0, 1))
        small = _at_most(lightness, self.short_side)
        chroma = LARGEST * self.unet(small / 50 - 1, num_frames=video.shape[1]).tanh()
        return _colored(lightness, chroma).unflatten(0, video.shape[:2])


class ExemplarUNetGRU(nn.Module):
    """The same, shown a picture with like colors, such as one frame of the video that was colored by hand.

    forward(video [B,T,3,H,W], exemplar [B,T,3,H,W]), of which the first frame counts. Each place of a frame gets the
    colors of those places of the exemplar that look like it in grey; the U-Net sees them, and the exemplar, and adds
    what they lack.
    """

    scale = 1
    whole_frames = True
    told = "exemplar"

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
        d = 2 * channels
        self.match = nn.Sequential(_block(1, channels, stride=2), _block(channels, d, stride=2), _block(d, d, stride=2))
        self.unet = _UNet(6, channels, recurrent=recurrent)
        load_weights(self, weights)

    def forward(self, video: Tensor, exemplar: Tensor) -> Tensor:
        lightness = _lightness(video.flatten(0, 1))
        grey = _at_most(lightness, self.short_side) / 50 - 1
        shown = _at_most(_lab(exemplar[:, 0].expand(-1, 3, -1, -1)), self.short_side)
        shown_grey, shown_chroma = shown[:, :1] / 50 - 1, shown[:, 1:] / LARGEST
        found = self.found(grey.unflatten(0, video.shape[:2]), shown_grey, shown_chroma).flatten(0, 1)
        same_place = torch.cat([shown_grey, shown_chroma], dim=1).repeat_interleave(video.shape[1], dim=0)
        added = self.unet(torch.cat([grey, same_place, found], dim=1), num_frames=video.shape[1])
        chroma = LARGEST * (found + _resized(added, found.shape[-2:]).tanh())
        return _colored(lightness, chroma).unflatten(0, video.shape[:2])

    def found(self, grey_BT1HW: Tensor, shown_grey_B1HW: Tensor, shown_chroma_B2HW: Tensor) -> Tensor:
        """The exemplar's chroma where it looks like each place: [B,T,2,H,W]."""
        size = grey_BT1HW.shape[-2:]
        looks = self.match(pad_to_multiple(grey_BT1HW, MATCH_PIXELS).flatten(0, 1)).unflatten(0, grey_BT1HW.shape[:2])
        shown = self.match(pad_to_multiple(shown_grey_B1HW[:, None], MATCH_PIXELS)[:, 0])
        colors = F.avg_pool2d(pad_to_multiple(shown_chroma_B2HW[:, None], MATCH_PIXELS)[:, 0], MATCH_PIXELS).flatten(2)
        mean = shown.mean((2, 3), keepdim=True)
        keys_BDM = F.normalize((shown - mean).flatten(2), dim=1)
        queries_BTDL = F.normalize((looks - mean[:, None]).flatten(3), dim=2)
        likeness_BTLM = torch.einsum("btdl,bdm->btlm", queries_BTDL, keys_BDM) / TEMPERATURE
        found = torch.einsum("btlm,bcm->btcl", likeness_BTLM.softmax(-1), colors)
        found = found.unflatten(-1, looks.shape[-2:]).flatten(0, 1)
        found = F.interpolate(found, scale_factor=MATCH_PIXELS, mode="bilinear", align_corners=False)
        return found[..., : size[0], : size[1]].unflatten(0, grey_BT1HW.shape[:2])


class _UNet(nn.Module):
    """[N,inputs,H,W] -> [N,2,H,W], zero to begin with; N frames of clips of `num_frames`."""

    def __init__(self, inputs: int, channels: int, *, recurrent: bool) -> None:
        super().__init__()
        widths = [channels, 2 * channels, 4 * channels, 4 * channels]
        self.down = nn.ModuleList(_block(d_in, d, stride=2) for d_in, d in zip([inputs, *widths], widths))
        d = widths[-1]
        each_way = [ConvGRU(d), ConvGRU(d, reverse=True)] if recurrent else [_EachFrame(d), _EachFrame(d)]
        self.over_time = nn.ModuleList(each_way)
        self.fusion = nn.Conv2d(2 * d, d, 1)
        self.up = nn.ModuleList(_block(below + d, d) for below, d in zip(widths[:0:-1], widths[-2::-1]))
        self.head = nn.Conv2d(channels, 2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def forward(self, frames_NCHW: Tensor, *, num_frames: int) -> Tensor:
        height, width = frames_NCHW.shape[-2:]
        x = pad_to_multiple(frames_NCHW.unsqueeze(1), COARSEST)[:, 0]
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        clips = x.unflatten(0, (-1, num_frames))
        x = x + self.fusion(torch.cat([layer(clips) for layer in self.over_time], dim=2).flatten(0, 1))
        for up, finer in zip(self.up, levels[-2::-1]):
            x = up(torch.cat([_doubled(x), finer], dim=1))
        return _doubled(self.head(x))[..., :height, :width]


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


def _at_most(frames_NCHW: Tensor, short_side: int) -> Tensor:
    """The same where no side is shorter than that; else brought to it, antialiased."""
    height, width = frames_NCHW.shape[-2:]
    shrink = short_side / min(height, width)
    if shrink >= 1:
        return frames_NCHW
    return F.interpolate(frames_NCHW, (round(height * shrink), round(width * shrink)), mode="bilinear", antialias=True)


def _resized(frames_NCHW: Tensor, size: tuple[int, ...]) -> Tensor:
    if frames_NCHW.shape[-2:] == size:
        return frames_NCHW
    return F.interpolate(frames_NCHW, size, mode="bilinear", align_corners=False)


def _parts(frames_NCHW: Tensor, *, like: Tensor) -> Sequence[Tensor]:
    """The frames by as many as are in CIELAB at a time, where they are of the size of `like`: all in an exported graph,
    in which that is not known."""
    if torch.compiler.is_exporting():
        return [frames_NCHW]
    return frames_NCHW.split(max(1, PIXELS_AT_ONCE // like[0, 0].numel()))


def _lab(frames_N3HW: Tensor) -> Tensor:
    """[N,3,H,W]: L, a, b."""
    with without_autocast(frames_N3HW):
        return rgb_to_lab(exact(frames_N3HW).movedim(1, -1)).movedim(-1, 1)


def _lightness(frames_N3HW: Tensor) -> Tensor:
    """[N,1,H,W] in [0,100]."""
    return torch.cat([_lab(part)[:, :1] for part in _parts(frames_N3HW, like=frames_N3HW)])


def _colored(lightness_N1HW: Tensor, chroma_N2hw: Tensor) -> Tensor:
    """[N,3,H,W] in [0,1]; the chroma is brought to the lightness's size."""
    size = lightness_N1HW.shape[-2:]
    parts = (_parts(frames, like=lightness_N1HW) for frames in (lightness_N1HW, chroma_N2hw))
    colored = []
    with without_autocast(lightness_N1HW):
        for lightness, chroma in zip(*parts):
            lab = torch.cat([lightness, _resized(chroma.to(lightness), size)], dim=1)
            colored.append(lab_to_rgb_of_same_lightness(lab.movedim(1, -1)).movedim(-1, 1))
    return torch.cat(colored)
