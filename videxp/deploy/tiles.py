"""Large frames in tiles, and the results put together again.

Tiles reach over their neighbors by `overlap` on every side where they have one. Shapes: T frames, H, W pixels, C = 3.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

# Networks that halve a frame's size n times give the same for a tile as for the frame only if it starts on their grid.
GRID_PIXELS = 8


def spans(length: int, *, size: int, overlap: int) -> list[tuple[int, int]]:
    """[start, end) of tiles of at most `size` pixels; neighbors share at least 2 * overlap.

    length=600, size=256, overlap=16 -> (0, 256) (224, 480) (448, 600)
    """
    if size >= length:
        return [(0, length)]
    step = size - 2 * overlap
    step = step // GRID_PIXELS * GRID_PIXELS or step
    count = -(-(length - size) // step) + 1
    return [(i * step, min(length, i * step + size)) for i in range(count)]


def joined(pieces: Iterable[Tensor], places: list[tuple[int, int]], *, axis: int, fade: int) -> Tensor:
    """uint8 pieces that lie at `places` along `axis`, in one. Each fades into the next over `fade` pixels in the middle
    of what they share, so that whatever differs there has no edge; where they agree, nothing changes."""
    whole: Tensor | None = None
    covered = 0
    for piece, (start, end) in zip(pieces, places):
        if whole is None:
            shape = list(piece.shape)
            shape[axis] = places[-1][1]
            whole = piece.new_empty(shape)
            begin = middle = start
        else:
            begin = (start + covered - fade) // 2
            middle = begin + fade
            _fade_in(whole.narrow(axis, begin, fade), piece.narrow(axis, begin - start, fade), axis=axis)
        whole.narrow(axis, middle, end - middle).copy_(piece.narrow(axis, middle - start, end - middle))
        covered = end
    assert whole is not None
    return whole


def _fade_in(old: Tensor, new: Tensor, *, axis: int) -> None:
    """Overwrites `old` by a mixture that goes from all old to all new along the axis."""
    steps = old.shape[axis]
    weight = ((torch.arange(steps) + 0.5) / max(1, steps)).reshape([-1 if i == axis else 1 for i in range(old.ndim)])
    old.copy_((old + weight * (new.float() - old)).round().to(torch.uint8))
