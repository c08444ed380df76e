"""The one small protocol through which all videos are read, and what every reader checks.

Shapes: T frames, H, W = height and width as displayed, C = 3 (red, green, blue).
"""

import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from videxp.video.display import Turn, rgb_picture, scaled_picture, turned, turned_size
from videxp.video.errors import DecodeError
from videxp.video.timing import FrameTimes


class VideoReader(Protocol):
    """An opened video. Not to be sent to another process: open it where it is used."""

    @property
    def num_frames(self) -> int:
        """Frames presented."""

    @property
    def times(self) -> FrameTimes:
        """When each frame is shown."""

    @property
    def fps(self) -> float:
        """Frames per second; at a variable rate the average."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels as displayed."""

    def frames(self, indices: Sequence[int] | np.ndarray) -> torch.Tensor:
        """uint8 [T,H,W,C] RGB in [0,255]. Indices count presented frames, in any order, repeats allowed.

        Raises `IndexError` for an index outside [0, num_frames), `DecodeError` if a frame can't be had for certain.
        """

    def pictures(
        self, numbers: Sequence[int], *, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(number, uint8 [H,W,C]) of ascending frame numbers, one at a time, so that a clip of large frames can be made
        small without ever being held; some may come twice. A picture is good until the next is asked for.

        size: (height, width) to which FFmpeg's bicubic scaler brings them: as it decodes, where it does. None: as they
        are.

        Raises as `frames` does.
        """

    def close(self) -> None:
        """Frees the decoder; may be called twice."""

    def __enter__(self) -> "VideoReader": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Reader:
    """What the readers share. A subclass gives `_pictures` (and `close`)."""

    def __init__(self, path: str | os.PathLike[str], *, times: FrameTimes, size: tuple[int, int]) -> None:
        self.path = str(path)
        self._times, self._size = times, size
        self._process_id = os.getpid()

    @property
    def num_frames(self) -> int:
        return self._times.num_frames

    @property
    def times(self) -> FrameTimes:
        return self._times

    @property
    def fps(self) -> float:
        return self._times.fps

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def frames(self, indices: Sequence[int] | np.ndarray) -> torch.Tensor:
        """See `VideoReader.frames`."""
        wanted = checked_indices(indices, num_frames=self.num_frames, path=self.path)
        height, width = self.size
        if len(wanted) == 0:
            return torch.empty((0, height, width, 3), dtype=torch.uint8)
        clip_THWC = np.empty((len(wanted), height, width, 3), np.uint8)
        places: dict[int, list[int]] = {}
        for place, number in enumerate(wanted.tolist()):
            places.setdefault(number, []).append(place)
        for number, picture_HWC in self.pictures(sorted(places)):
            for place in places[number]:
                clip_THWC[place] = picture_HWC
        return torch.from_numpy(clip_THWC)

    def pictures(
        self, numbers: Sequence[int], *, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """See `VideoReader.pictures`."""
        if os.getpid() != self._process_id:  # decord would hang for ever, PyAV share a file offset
            raise DecodeError(self.path, list(numbers), "the reader was opened in another process: open it in this")
        if size is None:
            yield from self._whole(list(numbers))
        else:
            yield from self._scaled(list(numbers), size)

    def _whole(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        for number, picture_HWC in self._pictures(numbers):
            self._require_size(number, picture_HWC.shape[:2])
            yield number, picture_HWC
            del picture_HWC  # of many megabytes, perhaps; the next one is made before the name is given to it

    def _pictures(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        raise NotImplementedError

    def _scaled(self, numbers: list[int], size: tuple[int, int]) -> Iterator[tuple[int, np.ndarray]]:
        """The same at another (height, width), made of RGB."""
        reformatter = VideoReformatter()
        for number, picture_HWC in self._whole(numbers):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture_HWC), format="rgb24")
            yield number, scaled_picture(frame, reformatter, size=size)

    def _require_size(self, number: int, size: tuple[int, ...]) -> None:
        if size != self.size:
            raise DecodeError(self.path, [number], f"frame {number} has size {size}, the video {self.size}")

    def close(self) -> None:
        """Nothing to free unless a subclass says so."""

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> None:
        raise TypeError(f"{type(self).__name__} of {self.path} cannot be sent to another process: open it there")


class FrameReader(Reader):
    """One that decodes with FFmpeg, which scales frames before they are RGB. A subclass gives `_shown`."""

    def __init__(self, path: str | os.PathLike[str], *, times: FrameTimes, size: tuple[int, int]) -> None:
        super().__init__(path, times=times, size=size)
        self._reformatter = VideoReformatter()

    def _pictures(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        return self._shown(numbers, None)

    def _scaled(self, numbers: list[int], size: tuple[int, int]) -> Iterator[tuple[int, np.ndarray]]:
        return self._shown(numbers, size)

    def _shown(self, numbers: list[int], size: tuple[int, int] | None) -> Iterator[tuple[int, np.ndarray]]:
        raise NotImplementedError

    def _picture(self, number: int, frame: VideoFrame, turn: Turn, size: tuple[int, int] | None) -> np.ndarray:
        if size is None:
            return turned(rgb_picture(frame, self._reformatter), turn)
        self._require_size(number, turned_size((frame.height, frame.width), turn))
        return turned(scaled_picture(frame, self._reformatter, size=turned_size(size, turn)), turn)


def checked_indices(indices: Sequence[int] | np.ndarray, *, num_frames: int, path: str) -> np.ndarray:
    """int64 [T]. Raises `TypeError` for anything but whole numbers, `IndexError` outside [0, num_frames)."""
    wanted = np.asarray(indices)
    if wanted.size == 0:
        return np.empty(0, np.int64)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
        raise TypeError(f"{path}: indices must be a list of whole numbers, not {wanted.dtype} {list(wanted.shape)}")
    low, high = int(wanted.min()), int(wanted.max())
    if low < 0 or high >= num_frames:
        raise IndexError(f"{path}: frame {low if low < 0 else high} is outside [0, {num_frames})")
    return wanted.astype(np.int64)
