"""Where what a picture shows comes to lie in a clip, and where a clip's own change of position brings it.

Coordinates are continuous: a picture of W columns reaches from 0 to W. Legend: M points or boxes, T frames, H, W.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Fit = Literal["crop", "stretch", "pad"]
"""How a picture is brought to a size: crop: it fills the size, and what stands over is cut off, centered; pad: it is
within the size, black around; stretch: its shape changes."""


@dataclass(frozen=True)
class Placement:
    """A cut and a resizing: y, x -> y * scale[0] + shift[0], x * scale[1] + shift[1]."""

    size: tuple[int, int]
    """(height, width) of the result."""
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    def crop(self, *, top: float, left: float, size: tuple[int, int]) -> "Placement":
        """And of that a part."""
        return Placement(size, self.scale, (self.shift[0] - top, self.shift[1] - left))

    def resize(self, size: tuple[int, int]) -> "Placement":
        """And that at another size."""
        factors = size[0] / self.size[0], size[1] / self.size[1]
        scale = self.scale[0] * factors[0], self.scale[1] * factors[1]
        return Placement(size, scale, (self.shift[0] * factors[0], self.shift[1] * factors[1]))

    def boxes(self, xyxy_M4: Tensor) -> Tensor:
        """x0, y0, x1, y1 in the picture -> in the result, [M,4], not yet cut to it."""
        scale, shift = self._of_corners(xyxy_M4)
        return xyxy_M4 * scale + shift

    def boxes_before(self, xyxy_M4: Tensor) -> Tensor:
        """x0, y0, x1, y1 in the result -> in the picture, [M,4]."""
        scale, shift = self._of_corners(xyxy_M4)
        return (xyxy_M4 - shift) / scale

    def _of_corners(self, xyxy_M4: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = (xyxy_M4.new_tensor((*pair[::-1], *pair[::-1])) for pair in (self.scale, self.shift))
        return scale, shift


def inner_size(given: tuple[int, int], size: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """(height, width) at which a picture stands over `size`, or within it."""
    scales = size[0] / given[0], size[1] / given[1]
    scale = {"crop": max(scales), "pad": min(scales), "stretch": None}[fit]
    return size if scale is None else (max(1, round(given[0] * scale)), max(1, round(given[1] * scale)))


def fitted_placement(given: tuple[int, int], size: tuple[int, int], fit: Fit) -> Placement:
    """Where a picture of (height, width) that is brought to `size` has what it shows."""
    inner = inner_size(given, size, fit)
    top, left = (-((target - part) // 2) for target, part in zip(size, inner))
    return Placement(given).resize(inner).crop(top=top, left=left, size=size)


@dataclass(frozen=True)
class Tile:
    """A part of a mosaic: clip `source` of a batch, brought to `side` pixels in height and width, cut, and put in."""

    source: int
    side: int
    cut: tuple[int, int]
    """Top and left within the clip at that size."""
    place: tuple[int, int]
    """Top and left within the mosaic."""
    size: tuple[int, int]
    """Height and width."""

    def placement(self, size: tuple[int, int]) -> Placement:
        """Where the tile has what a clip of (height, width) shows."""
        return Placement(size).resize((self.side, self.side)).crop(top=self.cut[0], left=self.cut[1], size=self.size)


@dataclass(frozen=True)
class Move:
    """A clip in another position, in this order: backwards, its mirror image, turned to the left by quarters of a turn;
    `mirror`: then the clip followed by its reverse, 2T frames."""

    reverse_time: bool = False
    flip: bool = False
    quarters: int = 0
    mirror: bool = False

    def order(self, num_frames: int) -> list[int]:
        """Which of T frames stand where."""
        frames = list(range(num_frames))[:: -1 if self.reverse_time else 1]
        return frames + frames[::-1] if self.mirror else frames

    def pixels(self, clip: Tensor) -> Tensor:
        """[T,C,H,W] in another position, but for `mirror`."""
        if self.reverse_time:
            clip = clip.flip(0)
        if self.flip:
            clip = clip.flip(-1)
        return clip.rot90(self.quarters, (-2, -1)) if self.quarters else clip

    def boxes(self, xyxy_M4: Tensor, *, size: tuple[int, int]) -> Tensor:
        """x0, y0, x1, y1 in a clip of (height, width) -> where they are then, [M,4]."""
        height, width = size
        x0, y0, x1, y1 = xyxy_M4.unbind(1)
        if self.flip:
            x0, x1 = width - x1, width - x0
        for _ in range(self.quarters % 4):
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
            height, width = width, height
        return torch.stack([x0, y0, x1, y1], dim=1)
