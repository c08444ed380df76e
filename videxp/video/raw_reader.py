"""Frames that lie in a file as they are: nothing to decode.

Shapes: H, W = height and width in pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

import mmap
from collections.abc import Iterator
from os import PathLike

import numpy as np

from videxp.video.errors import DecodeError
from videxp.video.reader import Reader


class RawReader(Reader):
    """[num_frames,H,W,C] bytes from `start_byte` on, mapped; what is not asked for is not read.

    Raises OSError if the file is gone, DecodeError if it is too short."""

    def __init__(
        self, path: str | PathLike[str], *, start_byte: int, num_frames: int, fps: float, size: tuple[int, int]
    ) -> None:
        super().__init__(path, num_frames=num_frames, fps=fps, size=size)
        count = num_frames * size[0] * size[1] * 3
        page = start_byte // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        try:
            with open(path, "rb") as file:
                # Writable, but what is written stays here: torch takes no memory that it might not write to.
                mapped = mmap.mmap(file.fileno(), start_byte - page + count, access=mmap.ACCESS_COPY, offset=page)
        except ValueError:
            raise DecodeError(path, [], "the file is shorter than when it was prepared: prepare again") from None
        self._video = np.frombuffer(mapped, np.uint8, count, start_byte - page).reshape(num_frames, *size, 3)

    def _pictures(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        for number in numbers:
            yield number, self._video[number]
