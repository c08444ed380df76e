"""The exact reader: FFmpeg through PyAV, every frame proved by its time stamp or counted from the start.

Shapes: T frames, H, W as displayed, C = 3.
"""

import bisect
from collections.abc import Iterator
from os import PathLike

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videxp.video.container import open_container
from videxp.video.display import display_matrix, turn_of
from videxp.video.errors import DecodeError, one_line
from videxp.video.index import FrameIndex
from videxp.video.reader import FrameReader
from videxp.video.timing import FrameTimes


class _Inexact(Exception):
    """What came out of the decoder is not what the index announces."""


class PyavReader(FrameReader):
    """Reads any file that FFmpeg reads, as `ffmpeg -i FILE -map 0:v:0 -fps_mode passthrough` decodes it."""

    def __init__(
        self, path: str | PathLike[str], *, index: FrameIndex, times: FrameTimes, size: tuple[int, int]
    ) -> None:
        super().__init__(path, times=times, size=size)
        self._container: InputContainer | None = None
        self._index = index
        self._seekable = True
        self._entry_pts = [entry.pts for entry in index.entries]
        self._entry_of = {(entry.pts, entry.dts): position for position, entry in enumerate(index.entries)}
        self._counted: Iterator[VideoFrame] | None = None  # frames from the start, and the next one's number
        self._next = 0
        self._container, self._stream = open_container(path)

    def close(self) -> None:
        self._counted = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _shown(self, numbers: list[int], size: tuple[int, int] | None) -> Iterator[tuple[int, np.ndarray]]:
        if self._container is None:
            raise DecodeError(self.path, numbers, "the reader is closed")
        missing = set(numbers)
        try:
            for number, frame in self._wanted_frames(numbers):
                turn, degrees = turn_of(display_matrix(frame))
                if turn is None:
                    raise _Inexact(f"frame {number} is to be shown turned by {degrees} degrees")
                yield number, self._picture(number, frame, turn, size)
                missing.discard(number)
            if missing:
                raise _Inexact(f"frame {min(missing)} did not come out of the decoder")
        except (_Inexact, av.error.FFmpegError) as error:
            self._counted = None
            cause = error if isinstance(error, _Inexact) else f"damaged: {one_line(error.strerror or error)}"
            raise DecodeError(self.path, numbers, cause) from None

    def _wanted_frames(self, numbers: list[int]) -> Iterator[tuple[int, VideoFrame]]:
        """(number, frame) for ascending numbers; those of a run that turned out inexact come once more."""
        if self._index.counted:
            yield from self._count(numbers)
            return
        remaining = numbers
        try:
            for entry_position, group in self._groups(numbers if self._seekable else []):
                yield from self._seek_and_decode(entry_position, group)
                remaining = remaining[len(group) :]
        except (_Inexact, av.error.FFmpegError):
            self._seekable = False
        if remaining:
            yield from self._decode_from_start(remaining)

    def _groups(self, numbers: list[int]) -> Iterator[tuple[int, list[int]]]:
        """Numbers that are decoded in one run, from an entry point on: one follows the other, or no entry point lies
        between them, to which a seek would lead sooner."""
        run: list[int] = []
        run_entry = last_entry = -1
        for number in numbers:
            entry = bisect.bisect_right(self._entry_pts, int(self._index.pts[number])) - 1
            if run and entry != last_entry and number != run[-1] + 1:
                yield run_entry, run
                run = []
            if not run:
                run_entry = entry
            last_entry = entry
            run.append(number)
        if run:
            yield run_entry, run

    def _seek_and_decode(self, entry_position: int, numbers: list[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Seeks to an entry point, checks where that led, decodes from there; raises `_Inexact` on any surprise."""
        assert self._container is not None
        entry = self._index.entries[entry_position]
        target = entry.pts if entry.dts is None else entry.dts
        self._container.seek(target, stream=self._stream, backward=True)
        packets = self._container.demux(self._stream)
        first = next(packets, None)
        reached = None if first is None or first.pts is None else self._entry_of.get((first.pts, first.dts))
        if first is None or reached is None or reached > entry_position:
            raise _Inexact("seeking did not lead to the key frame")
        start = int(np.searchsorted(self._index.pts, self._entry_pts[reached]))
        yield from self._proved(self._chain(first, packets), start, numbers)

    def _decode_from_start(self, numbers: list[int]) -> Iterator[tuple[int, VideoFrame]]:
        """The same without a seek, in a container opened anew."""
        self._container, self._stream = self._reopened()
        yield from self._proved(self._container.demux(self._stream), 0, numbers, skip=False)

    def _proved(
        self, packets: Iterator[Packet], start: int, numbers: list[int], *, skip: bool = True
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Decodes on from frame `start` and holds every frame's time stamp against the index; leading frames pass.

        Packets that nothing refers to and that nobody wants are not decoded at all.
        """
        pts = self._index.pts
        wanted = set(numbers)
        unwanted_pts = self._skippable(start, numbers) if skip else frozenset()
        expected = (n for n in range(start, len(pts)) if int(pts[n]) not in unwanted_pts)
        last = numbers[-1]
        first_pts = int(pts[start])
        for packet in packets:
            if packet.pts is not None and packet.pts in unwanted_pts:
                continue
            for frame in packet.decode():
                if frame.pts is not None and frame.pts < first_pts:
                    continue
                number = next(expected, None)
                if number is None or frame.pts != pts[number]:
                    raise _Inexact(f"damaged: time stamp {frame.pts} comes out where frame {number} is due")
                if frame.is_corrupt:  # and whatever is predicted from it, which FFmpeg does not mark
                    raise _Inexact(f"frame {number} is damaged, and spoils what follows up to the next key frame")
                if number in wanted:
                    yield number, frame
                if number == last:
                    self._check_pending()
                    return

    def _check_pending(self) -> None:
        """Frames that are decoded but not yet due may be what the last ones were predicted from: are they whole?"""
        try:
            pending = self._stream.codec_context.decode(None)
        except av.error.EOFError:  # the end of the file has drained the decoder already
            return
        if any(frame.is_corrupt for frame in pending):
            raise _Inexact("a frame that they are predicted from is damaged")

    def _skippable(self, start: int, numbers: list[int]) -> frozenset[int]:
        """Time stamps of the disposable frames between `start` and the last wanted one that are not wanted."""
        last = numbers[-1]
        drop = self._index.disposable[start : last + 1].copy()
        drop[np.asarray(numbers) - start] = False
        return frozenset(self._index.pts[start : last + 1][drop].tolist())

    def _count(self, numbers: list[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Frames counted from the start of the stream; goes on from where the last call stopped if it can."""
        for number in numbers:
            if self._counted is None or number < self._next:
                self._container, self._stream = self._reopened()
                self._counted, self._next = self._container.decode(self._stream), 0
            for frame in self._counted:
                self._next += 1
                if frame.is_corrupt:
                    raise _Inexact(f"frame {self._next - 1} is damaged, and spoils what follows")
                if self._next - 1 == number:
                    yield number, frame
                    break
            else:
                raise _Inexact(f"the stream ends after {self._next} frames")

    def _reopened(self) -> tuple[InputContainer, VideoStream]:
        if self._container is not None:
            self._container.close()
        return open_container(self.path)

    @staticmethod
    def _chain(first: Packet, rest: Iterator[Packet]) -> Iterator[Packet]:
        yield first
        yield from rest
