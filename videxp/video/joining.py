"""How one shot goes over into the next: how much of the two each frame has. Legend: T frames."""

from dataclasses import dataclass

import numpy as np

NO_WIPE = -1
WIPES = ("left", "right", "up", "down")  # the way in which the edge of the next shot moves


@dataclass(frozen=True)
class Joint:
    """How one shot goes over into the next within a clip of T frames."""

    shares_2T: np.ndarray
    """float32: how much a frame has of the first and of the next shot."""
    wipe: int = NO_WIPE
    """Of a wipe its place in WIPES; then the next shot's share is one of the frame's area."""


def cut_shares(boundary: int, *, num_frames: int) -> np.ndarray:
    """float32 [2,T]: the first shot up to and with the frame `boundary`, then the next."""
    is_next_T = np.arange(num_frames) > boundary
    return np.stack([~is_next_T, is_next_T]).astype(np.float32)


def linear_progress(between: tuple[int, int], *, num_frames: int) -> np.ndarray:
    """float32 [T], from 0 (the first frame of `between` and before) to 1 (the second and behind) in equal steps."""
    before, after = between
    return ((np.arange(num_frames) - before) / (after - before)).clip(0, 1).astype(np.float32)
