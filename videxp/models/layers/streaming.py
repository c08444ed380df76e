"""Causal networks: what they answer step by step is what they answer of the whole clip.

The state is an argument and a result, never kept in the network: a second video can't be answered from the first one's
frames, and a step can be exported, or run for many videos at once. B videos, t frames of a step, D features.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Streaming(Protocol):
    """A network that takes a video in steps of any number of frames.

    Its steps together answer what one step of the whole clip answers, to rounding. Every tensor of the state has B
    first, so states of several videos can be joined and parted along it.
    """

    delay_frames: int  # an answer is of the frame so many before the newest one taken

    def initial_state(
        self, batch: int, size: tuple[int, int], *, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        """The state before the first frame, for `batch` videos of height and width `size`."""
        ...

    def step(self, video: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """float [B,t,C,H,W], t >= 1, and the state -> answers and the state after them.

        Classifiers answer logits [B,t,K] after each frame, of all frames so far; restorers frames [B,t,C,sH,sW].
        """
        ...


def begin(network: Streaming, video: Tensor) -> tuple[Tensor, ...]:
    """The state before the first frame of a video [B,t,C,H,W]."""
    height, width = video.shape[-2:]
    return network.initial_state(video.shape[0], (height, width), device=video.device, dtype=video.dtype)


def divide_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(height, width) behind a padded convolution of this stride: half a pixel is a pixel."""
    height, width = size
    return -(-height // stride), -(-width // stride)


def join_past(past: Tensor, x: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """The k frames before and the t new ones along `dim`; and the last k of them, the past of the next step."""
    both = torch.cat([past, x], dim=dim)
    return both, both.narrow(dim, both.shape[dim] - past.shape[dim], past.shape[dim])


def running_mean(total: Tensor, count: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Means [B,t,D] over all frames up to each of x [B,t,D], and their total [B,D] at the end.

    total [B,D] of the `count` [B] frames before: zeros at the start.
    """
    totals = torch.cat([total.unsqueeze(1), x], dim=1).cumsum(dim=1)[:, 1:]
    counts = count.unsqueeze(1) + torch.arange(1, x.shape[1] + 1, device=x.device)  # [B,t]
    return totals / counts.unsqueeze(2), totals[:, -1]
