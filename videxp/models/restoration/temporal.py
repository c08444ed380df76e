"""Denoising without training: the mean or the median of each pixel over the frames around it.

The rows that a video denoiser has to beat. Both are good where nothing moves, and blur what does.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge


class TemporalMean(nn.Module):
    """[B,T,C,H,W] -> the same: the mean of the `frames` frames around each, of those that there are at the ends."""

    scale = 1

    def __init__(self, *, frames: Annotated[int, Ge(1)] = 5) -> None:
        super().__init__()
        self.radius = radius_of(frames)

    def forward(self, video: Tensor) -> Tensor:
        return over_time(video, self.radius, lambda window: window.mean(dim=1))


class TemporalMedian(nn.Module):
    """[B,T,C,H,W] -> the same: the median of the `frames` frames around each, of those that there are at the ends.

    Of an even number of frames, at the ends, it is the mean of the middle two.
    """

    scale = 1

    def __init__(self, *, frames: Annotated[int, Ge(1)] = 5) -> None:
        super().__init__()
        self.radius = radius_of(frames)

    def forward(self, video: Tensor) -> Tensor:
        return over_time(video, self.radius, _median)


def radius_of(frames: int) -> int:
    """5 -> 2. Raises ValueError for an even number."""
    if frames % 2 == 0:
        raise ValueError(f"frames={frames} has no middle: make it odd")
    return frames // 2


def over_time(video: Tensor, radius: int, summarize: Callable[[Tensor], Tensor]) -> Tensor:
    """summarize: [B,t,C,H,W], the frames within `radius` of one, -> [B,C,H,W]."""
    frames = range(video.shape[1])
    return torch.stack([summarize(video[:, max(0, t - radius) : t + radius + 1]) for t in frames], dim=1)


def _median(window: Tensor) -> Tensor:
    """Sorting a few frames is ten times as fast as `quantile`."""
    ordered, count = window.sort(dim=1).values, window.shape[1]
    return (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2
