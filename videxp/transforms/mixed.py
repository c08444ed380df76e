"""What old footage has been through: blur, noise, compression and resizing, in an order that nobody knows.

It runs in the data worker, on the CPU, one clip at a time. The steps are those of `real_world.py`; between them a clip
is a list of frames, float32 [H,W,C] about [0,255], as their sizes may differ.

Legend: T frames, H, W pixels, C = 3.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from videxp.core.limits import Interval
from videxp.transforms.frame_damage import as_uint8, one_thread, resized


class Mixed:
    """uint8 [T,H,W,C] and a generator -> uint8 [T,H,W,C]: the steps in random order, each with `probability`; frames
    that a step has resized are brought back to their size at the end."""

    def __init__(self, *, steps: Sequence[Any], probability: Annotated[float, Interval(gt=0, le=1)] = 0.8) -> None:
        self.steps = list(steps)
        self.probability = probability

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        order = rng.permutation(len(self.steps))
        taken = rng.random(len(self.steps)) < self.probability
        frames = list(clip.astype(np.float32))
        with one_thread():
            for place in order[taken]:
                frames = self.steps[place](frames, rng)
            return as_uint8([resized(frame, clip.shape[1:3], "bicubic") for frame in frames])

    def __str__(self) -> str:
        names = ", ".join(type(step).__name__ for step in self.steps)
        return f"{names} in random order, each with probability {self.probability:g}"
