"""Motion blur as an open shutter makes it: the mean of sharp frames that were taken one after the other, or of one
frame that a shaking hand moves.

Legend: N clips, T frames, C channels, H, W pixels.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt
from videxp.transforms.restoration import Degraded


class FrameAverage(nn.Module):
    """Each `every` sharp frames become one blurred frame, the mean of the `frames` in their middle; the one right in
    the middle is its target. So a clip of `every` * T frames gives T; what is left at its end is too few for another.

    gamma: of the curve between light and stored values: values ** gamma are averaged, then brought back. null: the
    stored values themselves. GoPro has both, `blur_gamma` (2.2) and `blur`. round: to 256 levels, as a file has them.
    every: null: `frames`; more: the shutter is closed in between.
    """

    def __init__(
        self,
        *,
        frames: Annotated[int, Ge(1)] = 7,
        every: Annotated[int, Ge(1)] | None = None,
        gamma: Annotated[float, Gt(0)] | None = 2.2,
        round: bool = True,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.every = every or frames
        self.gamma = gamma
        self.round = round
        for key, value in (("frames", frames), ("every", self.every)):
            if value % 2 == 0:
                raise BadRequest(f"FrameAverage: {key}={value} frames have none in their middle: an odd number")
        if self.every < frames:
            raise BadRequest(f"FrameAverage: every={every} is less than frames={frames}")

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator] = ()) -> Degraded:
        """clip: float [N,every*T,C,H,W] in [0,1] -> `video` and `target` float [N,T,C,H,W]. Nothing is random.

        Raises BadRequest where the clip has fewer than `every` frames.
        """
        count = clip.shape[1] // self.every
        if not count:
            raise BadRequest(
                f"FrameAverage: a clip of {clip.shape[1]} frames is too short for every={self.every}: "
                f"set dataset.num_frames={5 * self.every} for 5 blurred ones"
            )
        groups = clip[:, : count * self.every].unflatten(1, (count, self.every))
        start = (self.every - self.frames) // 2
        light = to_light(groups[:, :, start : start + self.frames], self.gamma).mean(dim=2)
        return Degraded(from_light(light, self.gamma, round=self.round), groups[:, :, self.every // 2])

    def __str__(self) -> str:
        of = f"{self.frames} frames" if self.every == self.frames else f"{self.frames} of every {self.every} frames"
        return f"mean of {of} {_where(self.gamma)}"


class CameraShake(nn.Module):
    """The camera moves along a random path while the shutter is open: each frame is the mean of its shifted copies. The
    path goes on from frame to frame, so each is blurred in another direction; the frame at its middle is the target.

    pixels: [least, greatest] length of a frame's path, drawn for each clip. gamma, round: see FrameAverage.
    """

    def __init__(
        self,
        *,
        pixels: Sequence[float] = (2.0, 8.0),
        gamma: Annotated[float, Gt(0)] | None = 2.2,
        round: bool = True,
    ) -> None:
        super().__init__()
        self.pixels = list(pixels)
        self.gamma = gamma
        self.round = round
        if len(self.pixels) != 2 or not 0 < self.pixels[0] <= self.pixels[1]:
            raise BadRequest(f"CameraShake: pixels={self.pixels}: [least, greatest] length of a path, above 0")

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator]) -> Degraded:
        """clip: float [N,T,C,H,W] in [0,1] -> `video` of the same shape."""
        frames, channels = clip.shape[1:3]
        least, greatest = self.pixels
        reach = int(np.ceil(greatest))
        lengths = [rng.uniform(least, greatest) for rng in rngs]
        kernels = np.stack(
            [shake_kernels(frames, length, reach=reach, rng=rng) for length, rng in zip(lengths, rngs, strict=True)]
        )
        weight = torch.from_numpy(kernels).to(clip).flatten(0, 1).repeat_interleave(channels, dim=0)[:, None]
        light = F.pad(to_light(clip, self.gamma).flatten(0, 1), (reach,) * 4, mode="replicate").flatten(0, 1)[None]
        blurred = F.conv2d(light, weight, groups=len(weight)).view_as(clip)
        return Degraded(from_light(blurred, self.gamma, round=self.round), clip)

    def __str__(self) -> str:
        least, greatest = self.pixels
        return f"camera shake of {least:g} to {greatest:g} pixels a frame, mean {_where(self.gamma)}"


SHAKE_STEPS = 16  # of a path, within one frame
TURN = 0.25  # standard deviation of the angle between two of them, in radians


def shake_kernels(frames: int, length: float, *, reach: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [T,K,K], K = 2*reach+1, each of sum 1: where the picture is while each frame's shutter is open, measured
    from where it is in the middle. length: of a frame's path, in pixels, at most `reach`."""
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, TURN, frames * SHAKE_STEPS))
    steps = np.stack([np.sin(angles), np.cos(angles)], axis=-1) * length / SHAKE_STEPS
    path = np.cumsum(steps.reshape(frames, SHAKE_STEPS, 2), axis=1)
    places = path - path[:, SHAKE_STEPS // 2, None] + reach  # (y, x), in the kernel
    kernels = np.zeros((frames, 2 * reach + 1, 2 * reach + 1), np.float32)
    frame = np.arange(frames)[:, None]
    corner = np.floor(places).astype(int)
    for dy in (0, 1):
        for dx in (0, 1):
            share = (1 - np.abs(places - corner - (dy, dx))).prod(axis=-1) / SHAKE_STEPS
            np.add.at(kernels, (frame, corner[..., 0] + dy, corner[..., 1] + dx), share.astype(np.float32))
    return kernels


def to_light(values: Tensor, gamma: float | None) -> Tensor:
    return values if gamma is None else values.pow(gamma)


def from_light(light: Tensor, gamma: float | None, *, round: bool) -> Tensor:
    """Stored values in [0,1]; round: of 256 levels."""
    values = light.clamp(0, 1) if gamma is None else light.clamp(0, 1).pow(1 / gamma)
    return (values * 255).round().div(255) if round else values


def _where(gamma: float | None) -> str:
    return "as stored" if gamma is None else f"in linear light, gamma {gamma:g}"
