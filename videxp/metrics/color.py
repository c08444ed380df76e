"""Are the colors right, are they there, do they stay? Legend: B clips, T frames, C = 3 channels, H, W; frames are sRGB.

The functions come first; the classes are for a config's `task.test_metrics`. Three of these say something of one video
alone: a recipe can have them of the output and, by `of: target`, of what it should be like.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge
from videxp.metrics.restoration import in_chunks
from videxp.transforms.lab import rgb_to_lab

Of = Literal["output", "target"]
LUMA = (0.299, 0.587, 0.114)  # BT.601


def delta_e_2000(one: Tensor, other: Tensor) -> Tensor:
    """CIEDE2000 of colors in CIELAB: [...,3] twice -> [...] (Sharma, Wu and Dalal 2005, with all three factors 1)."""
    (l1, a1, b1), (l2, a2, b2) = one.unbind(-1), other.unbind(-1)
    stretch = 1.5 - 0.5 * _chroma_share((a1.hypot(b1) + a2.hypot(b2)) / 2)
    c1, c2 = (a1 * stretch).hypot(b1), (a2 * stretch).hypot(b2)
    h1, h2 = (torch.atan2(b, a * stretch).remainder(2 * math.pi) for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0  # a hue that is none: there is no difference, and the other's is the mean
    turn = torch.where(grey, 0.0, (h2 - h1 + math.pi).remainder(2 * math.pi) - math.pi)
    middle = (h1 + h2) / 2 + torch.where((h2 - h1).abs() > math.pi, math.pi, 0.0)  # of the shorter way round
    hue = torch.where(grey, h1 + h2, middle).remainder(2 * math.pi)
    lightness, chroma = (l1 + l2) / 2 - 50, (c1 + c2) / 2
    t = torch.ones_like(hue)
    for factor, times, shift in ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63)):
        t = t + factor * (times * hue + math.radians(shift)).cos()
    d_l = (l2 - l1) / (1 + 0.015 * lightness.square() / (20 + lightness.square()).sqrt())
    d_c = (c2 - c1) / (1 + 0.045 * chroma)
    d_h = 2 * (c1 * c2).sqrt() * (turn / 2).sin() / (1 + 0.015 * chroma * t)
    rotation = (math.pi / 3 * (-((hue.rad2deg() - 275) / 25).square()).exp()).sin() * 2 * _chroma_share(chroma)
    return (d_l.square() + d_c.square() + d_h.square() - rotation * d_c * d_h).clamp(min=0).sqrt()


def _chroma_share(chroma: Tensor) -> Tensor:
    seventh = chroma**7
    return (seventh / (seventh + 25**7)).sqrt()


def colorfulness(frames: Tensor) -> Tensor:
    """Hasler and Suesstrunk 2003 of each frame: [...,3,H,W] in [0,1] -> [...].

    0 is grey; people call 33 moderately, 59 quite, 109 extremely colorful.
    """
    red, green, blue = (255 * frames).flatten(-2).unbind(-2)
    pair = torch.stack([red - green, (red + green) / 2 - blue])
    spread, mean = pair.var(-1, correction=0).sum(0).sqrt(), pair.mean(-1).square().sum(0).sqrt()
    return spread + 0.3 * mean


def color_distribution_consistency(video: Tensor, steps: Sequence[int] = (1, 2, 4)) -> Tensor:
    """CDC of Liu et al. 2021 ("Temporally Consistent Video Colorization"): [B,T,3,H,W] in [0,1] -> [B,1]; 0: no change.

    The Jensen-Shannon divergence (natural logarithm) of the 256-bin histograms of frames t and t+d, the mean over
    channels, frames and then d of `steps`. Steps that are as long as the clip are left out; [B,0] if all are.
    """
    histograms = torch.stack([torch.stack([_histogram(frame) for frame in clip]) for clip in video])
    means = [
        _divergence(histograms[:, :-d], histograms[:, d:]).mean((1, 2), dtype=torch.float64)
        for d in steps
        if d < video.shape[1]
    ]
    return torch.stack(means).mean(0).unsqueeze(1) if means else histograms.new_zeros(len(video), 0)


def _histogram(frame_CHW: Tensor) -> Tensor:
    """Shares of the 256 levels of each channel: [C,256], float64."""
    levels = (frame_CHW * 255).round().long().clamp(0, 255).flatten(1)
    return torch.stack([channel.bincount(minlength=256) for channel in levels]).double() / levels.shape[1]


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon, over the last dimension: 0 to log 2."""
    middle = (p + q) / 2
    return torch.stack([(x * (x / middle).where(x > 0, 1.0).log()).sum(-1) / 2 for x in (p, q)]).sum(0)


def brightness_differences(video: Tensor) -> Tensor:
    """MABD of Jiang and Zheng 2019: mean |luma of frame t+1 minus that of t|, in levels of 255; [B,T,3,H,W] -> [B,T-1].

    Luma is BT.601's of full range.
    """
    steps = [_luma(video[:, t + 1]) - _luma(video[:, t]) for t in range(video.shape[1] - 1)]
    return (
        torch.stack([255 * step.abs().mean((1, 2)) for step in steps], dim=1)
        if steps
        else video.new_zeros(len(video), 0)
    )


def _luma(frames_BCHW: Tensor) -> Tensor:
    return torch.einsum("bchw,c->bhw", frames_BCHW, frames_BCHW.new_tensor(LUMA))


# ---- for a config ---------------------------------------------------------------------------------------------------


class DeltaE2000(nn.Module):
    """CIEDE2000, the mean over a frame's pixels: float [...,3,H,W] twice, in [0,1] -> [...]; about 1 is just seen."""

    better: ClassVar[str] = "min"
    protocol = "CIEDE2000 of 8-bit sRGB (D65, 2 degrees), mean over pixels, per frame"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return in_chunks(lambda a, b: delta_e_2000(_exact_lab(a), _exact_lab(b)).mean((1, 2)), output, target)


def _exact_lab(frames_NCHW: Tensor) -> Tensor:
    """[N,H,W,3], in float64 where there is one."""
    exact = torch.float32 if frames_NCHW.device.type == "mps" else torch.float64
    return rgb_to_lab(frames_NCHW.to(exact).clamp(0, 1).movedim(1, -1))


class _OfOneVideo(nn.Module):
    """of: the video that the figure tells of."""

    def __init__(self, *, of: Of = "output") -> None:
        super().__init__()
        self.of = of

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return self.score((output if self.of == "output" else target).float().clamp(0, 1))

    def score(self, video: Tensor) -> Tensor:
        raise NotImplementedError


class Colorfulness(_OfOneVideo):
    """`colorfulness` of each frame: float [B,T,3,H,W] twice, in [0,1] -> [B,T]. The target's is best, not the most."""

    @property
    def protocol(self) -> str:
        return f"colorfulness of the {self.of} (Hasler and Suesstrunk 2003), levels of 255, per frame"

    def score(self, video: Tensor) -> Tensor:
        return in_chunks(lambda frames, _: colorfulness(frames), video, video)


class CDC(_OfOneVideo):
    """`color_distribution_consistency`: float [B,T,3,H,W] twice, in [0,1] -> [B,1]. steps: its d."""

    better: ClassVar[str] = "min"

    def __init__(self, *, of: Of = "output", steps: Sequence[Annotated[int, Ge(1)]] = (1, 2, 4)) -> None:
        super().__init__(of=of)
        self.steps = tuple(steps)

    @property
    def protocol(self) -> str:
        return f"CDC of the {self.of}, Jensen-Shannon (natural logarithm) at d = {', '.join(map(str, self.steps))}"

    def score(self, video: Tensor) -> Tensor:
        return color_distribution_consistency(video, self.steps)


class MABD(_OfOneVideo):
    """`brightness_differences`: float [B,T,3,H,W] twice, in [0,1] -> [B,T-1] in levels of 255. The target's is best."""

    @property
    def protocol(self) -> str:
        return f"MABD of the {self.of}, BT.601 luma, levels of 255"

    def score(self, video: Tensor) -> Tensor:
        return brightness_differences(video)
