"""Frames that lie in a file as they are: nothing to decode. From a disk they are mapped, from a store fetched.

Shapes: H, W = height and width in pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

import math
import mmap
from collections.abc import Iterator
from os import PathLike

import numpy as np

from videxp.video.byte_file import is_remote, open_bytes
from videxp.video.errors import DecodeError
from videxp.video.reader import Reader
from videxp.video.timing import FrameTimes


class RawReader(Reader):
    """[num_frames,H,W,C] bytes from `start_byte` on, mapped; what is not asked for is not read.

    Raises OSError if the file is gone, DecodeError if it is too short."""

    def __init__(self, path: str | PathLike[str], *, start_byte: int, times: FrameTimes, size: tuple[int, int]) -> None:
        super().__init__(path, times=times, size=size)
        self._start_byte = start_byte
        self._video = None if is_remote(path) else self._mapped(path, start_byte)

    def _mapped(self, path: str | PathLike[str], start_byte: int) -> np.ndarray:
        num_frames, size = self.num_frames, self.size
        count = num_frames * size[0] * size[1] * 3
        page = start_byte // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        try:
            with open(path, "rb") as file:
                # Writable, but what is written stays here: torch takes no memory that it might not write to.
                mapped = mmap.mmap(file.fileno(), start_byte - page + count, access=mmap.ACCESS_COPY, offset=page)
        except ValueError:
            raise DecodeError(path, [], "the file is shorter than when it was prepared: prepare again") from None
        return np.frombuffer(mapped, np.uint8, count, start_byte - page).reshape(num_frames, *size, 3)

    def _pictures(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        video, first = self._video, 0
        if video is None:
            first, frame_bytes = min(numbers), math.prod(self.size) * 3
            file = open_bytes(self.path)
            try:
                ends = (self._start_byte + number * frame_bytes for number in (first, max(numbers) + 1))
                video = np.frombuffer(file.read(*ends), np.uint8).reshape(-1, *self.size, 3)
            except (OSError, ValueError) as error:
                raise DecodeError(self.path, numbers, error) from None
        for number in numbers:
            yield number, video[number - first]
