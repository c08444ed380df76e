"""Four clips of a batch as one (Bochkovskiy et al., YOLOv4, 2020, section 3.3): they meet in a point that is drawn.

Legend: N clips, T frames, S = height = width of a clip in pixels, C channels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from videxp.transforms.geometry import crop, resize
from videxp.video.placing import Tile

MEETING = (0.25, 0.75)
"""Where the four may meet, as a share of height and width."""


def whole_tile(source: int, *, size: int) -> tuple[Tile]:
    """A clip alone."""
    return (Tile(source, side=size, cut=(0, 0), place=(0, 0), size=(size, size)),)


def draw_tiles(rng: np.random.Generator, sources: Sequence[int], *, size: int) -> tuple[Tile, ...]:
    """Four clips in the four corners, in an order that is drawn. Each is made so small that it just fills its corner,
    and cut where it stands over it: it keeps what lies next to the point where all meet."""
    low, high = MEETING
    row, column = (np.floor(size * (low + rng.random(2) * (high - low)) + 0.5)).astype(int).tolist()
    tiles = []
    for corner, source in enumerate(rng.permutation(sources).tolist()):
        is_lower, is_right = divmod(corner, 2)
        height, width = size - row if is_lower else row, size - column if is_right else column
        side = max(height, width)
        cut = 0 if is_lower else side - height, 0 if is_right else side - width
        tiles.append(Tile(source, side, cut, place=(is_lower * row, is_right * column), size=(height, width)))
    return tuple(tiles)


def join_tiles(clips: Sequence[Tensor], tiles: Sequence[Tile]) -> Tensor:
    """uint8 [T,S,S,C] of each of N clips -> the mosaic, uint8 [T,S,S,C]; a clip alone is itself."""
    if len(tiles) == 1:
        return clips[tiles[0].source]
    joined = torch.empty_like(clips[0])
    for tile in tiles:
        small = resize(clips[tile.source], height=tile.side, width=tile.side)
        crop(joined, (*tile.place, *tile.size)).copy_(crop(small, (*tile.cut, *tile.size)))
    return joined
