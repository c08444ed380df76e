"""Degradations of color, on the device: without color, dark, graded otherwise. Each clip has one, all its frames alike.

Legend: N clips, T frames, C = 3 channels, H, W. `forward(clip float [N,T,C,H,W] in [0,1], rngs: a numpy generator for
each clip) -> Degraded`, whose video is in the 256 levels of an image file.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.limits import Interval
from videxp.transforms.color import GREY
from videxp.transforms.lab import LUMINANCE, linear_to_rgb, rgb_to_linear
from videxp.transforms.lut import apply_lut, read_cube
from videxp.transforms.noise import Strength, limits, spelled, standard_normal
from videxp.transforms.restoration import Degraded

By = Literal["lightness", "luma"]


class Greyed(nn.Module):
    """Takes the color away: of each pixel stays its CIE lightness L, or its BT.601 luma, as old video has it.

    It also tells the first frame in color, for networks that are shown one.
    """

    tells: ClassVar[str] = "exemplar"

    def __init__(self, *, by: By = "lightness") -> None:
        super().__init__()
        self.by = by

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator] = ()) -> Degraded:
        """Nothing is random. The condition is the clip's first frame, for each of its frames: [N,T,3,H,W]."""
        return Degraded(_levels(grey(clip, by=self.by)), clip, clip[:, :1].expand_as(clip))

    def __str__(self) -> str:
        kind = {"lightness": "CIE lightness", "luma": "BT.601 luma"}[self.by]
        return f"grey of equal {kind}; the exemplar, where one is shown, is the first frame"


def grey(clip: Tensor, *, by: By = "lightness") -> Tensor:
    """float [...,3,H,W] in [0,1] -> the same, three equal channels."""
    if by == "luma":
        one = torch.einsum("...chw,c->...hw", clip, clip.new_tensor(GREY))
    else:
        one = linear_to_rgb(torch.einsum("...chw,c->...hw", rgb_to_linear(clip), clip.new_tensor(LUMINANCE)))
    return one.unsqueeze(-3).expand_as(clip).contiguous()


class Darkened(nn.Module):
    """Takes light away, and adds the noise that comes with little of it.

    x -> (exposure * x) ^ gamma + noise, a Gaussian of `noise` levels of 255 at each pixel and channel, clipped; x is an
    sRGB value. Each of the three is a number, or drawn from [low, high] for each clip.
    """

    def __init__(
        self,
        *,
        exposure: Strength = (0.3, 0.8),
        gamma: Strength = (1.2, 2.0),
        noise: Strength = (0.0, 4.0),
    ) -> None:
        super().__init__()
        self.exposure = limits("exposure", exposure)
        self.gamma = limits("gamma", gamma)
        self.noise = limits("noise", noise)

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator]) -> Degraded:
        return Degraded(torch.stack([self._one(one, rng) for one, rng in zip(clip, rngs, strict=True)]), clip)

    def _one(self, clip: Tensor, rng: np.random.Generator) -> Tensor:
        exposure, gamma, noise = (rng.uniform(*drawn) for drawn in (self.exposure, self.gamma, self.noise))
        dark = (clip * exposure) ** gamma
        return _levels(dark + standard_normal(clip, rng) * (noise / 255) if noise > 0 else dark)

    def __str__(self) -> str:
        noise = f"noise of {spelled(self.noise)} levels, clipped"
        return f"darkened: exposure {spelled(self.exposure)}, gamma {spelled(self.gamma)}, {noise}"


class Graded(nn.Module):
    """Another look: a random smooth grade for each clip, or always the same one from a `.cube` file.

    A random grade is, for each channel, x -> lift + (gain - lift) * x ^ gamma, and then a saturation. At `strength` 1
    lift is up to 0.15, gain down to 0.75, gamma from 1/1.6 to 1.6, saturation from 0.4 to 1.4; at 0 nothing changes.
    """

    def __init__(self, *, strength: Annotated[float, Interval(ge=0, le=1)] = 1.0, cube: str | None = None) -> None:
        super().__init__()
        self.strength = strength
        self.cube = cube
        self.lut = None if cube is None else read_cube(cube)

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator]) -> Degraded:
        if self.lut is not None:
            frames = apply_lut(clip.flatten(0, 1), self.lut.to(clip.device))
            return Degraded(_levels(frames).unflatten(0, clip.shape[:2]), clip)
        return Degraded(torch.stack([self._one(one, rng) for one, rng in zip(clip, rngs, strict=True)]), clip)

    def _one(self, clip: Tensor, rng: np.random.Generator) -> Tensor:
        lift, gain, gamma = rng.uniform(size=(3, 3)) * self.strength * [[0.15], [-0.25], [2.0]]
        saturation = 1 + rng.uniform(-0.6, 0.4) * self.strength
        gamma = 1.6 ** (gamma - self.strength)
        lift, gain, gamma = (clip.new_tensor(value)[:, None, None] for value in (lift, 1 + gain, gamma))
        graded = lift + (gain - lift) * clip**gamma
        greys = grey(graded, by="luma")
        return _levels(greys + saturation * (graded - greys))

    def __str__(self) -> str:
        return f"graded by {self.cube}" if self.cube else f"a random grade of strength {self.strength:g} for each clip"


def _levels(clip: Tensor) -> Tensor:
    return (clip * 255).round().clamp(0, 255) / 255
