"""Where frames are cut in the worker, alike in a clip and in its smaller counterpart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """A rectangle in whole pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, clip: Tensor) -> Tensor:
        """[T,H,W,C] -> [T,height,width,C]: the clip itself if that is all of it, else a copy (to be sent alone)."""
        if clip.shape[1:3] == (self.height, self.width):
            return clip
        return clip[:, self.top : self.top + self.height, self.left : self.left + self.width].contiguous()

    def over(self, scale: int) -> "Box":
        """The same place in frames that are 1/scale as large: (8, 16, 32, 32) over 4 -> (2, 4, 8, 8)."""
        return Box(self.top // scale, self.left // scale, self.height // scale, self.width // scale)


def whole_box(size: Sequence[int], *, multiple: int) -> Box:
    """All of a frame (height, width) but what `multiple` does not divide, at the right and at the bottom."""
    height, width = size
    return Box(0, 0, height - height % multiple, width - width % multiple)


def random_box(size: Sequence[int], crop_size: tuple[int, int], *, multiple: int, rng: np.random.Generator) -> Box:
    """A box of `crop_size` anywhere in a frame of (height, width), its corner at multiples of `multiple`.

    Raises ValueError if it does not fit.
    """
    places = [(whole - part) // multiple + 1 for whole, part in zip(size, crop_size)]
    if min(places) < 1:
        raise ValueError(f"a crop of {list(crop_size)} does not fit into frames of {list(size)}")
    top, left = (int(rng.integers(number)) * multiple for number in places)
    return Box(top, left, *crop_size)
