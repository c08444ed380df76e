"""Frames straight from a file's packets, by a table made beforehand: no container is opened.

Shapes: T frames, H, W as displayed, C = 3.
"""

import bisect
from collections.abc import Callable, Iterator
from os import PathLike
from zlib import crc32

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from videxp.video.byte_file import ByteFile, open_bytes
from videxp.video.container import decoder_options
from videxp.video.errors import DecodeError
from videxp.video.packets import DISPOSABLE, PacketTable
from videxp.video.reader import FrameReader, Reader
from videxp.video.timing import FrameTimes

WORTH_ANOTHER_READ = 1 << 20  # bytes between two packets: less than what an object store sends while it is asked anew


class PacketReader(FrameReader):
    """Decodes from the nearest entry point, without the packets that nothing refers to and that nobody wants.

    Each frame carries the number of the packet that it came from. Where one does not come out, or comes out damaged,
    `fallback`, a reader that proves its frames by their times, is opened and decides.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        table: PacketTable,
        times: FrameTimes,
        size: tuple[int, int],
        start_byte: int = 0,
        closed: bool = False,
        fallback: Callable[[], Reader] | None = None,
    ) -> None:
        """start_byte: what to add to the table's positions, where many videos lie in one file.
        closed: no picture needs what lies before the last entry point, so that a decoder goes on from one to another.

        Raises OSError if the file is gone."""
        super().__init__(path, times=times, size=size)
        self._table, self._start_byte, self._closed, self._fallback = table, start_byte, closed, fallback
        self._file: ByteFile | None = open_bytes(path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _shown(self, numbers: list[int], size: tuple[int, int] | None) -> Iterator[tuple[int, np.ndarray]]:
        if self._file is None:
            raise DecodeError(self.path, numbers, "the reader is closed")
        missing = set(numbers)
        for packets, wanted in self._runs(np.asarray(numbers)):
            try:
                for number, frame in self._decoded(packets, wanted):
                    yield number, self._picture(number, frame, self._table.turn, size)
                    missing.discard(number)
            except av.error.FFmpegError:
                pass  # what is wrong with the file is the other reader's to say
            if missing & wanted:
                break
        if not missing:
            return
        if self._fallback is None:
            raise DecodeError(self.path, numbers, f"frame {min(missing)} cannot be decoded whole")
        with self._fallback() as reader:
            yield from reader.pictures(sorted(missing), size=size)

    def _runs(self, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, set[int]]]:
        """(packets to decode one after another, the frames wanted of them)."""
        table = self._table
        entry_of = np.array([self._entry(number) for number in numbers.tolist()])
        runs = []
        for first in np.unique(entry_of).tolist():
            wanted = numbers[entry_of == first]
            packets = np.arange(first, int(table.packet_of[wanted].max()) + 1)
            needed = (table.flags[packets] & DISPOSABLE) == 0
            needed |= np.isin(table.number[packets], wanted)
            runs.append((packets[needed], set(wanted.tolist())))
        if self._closed and len(runs) > 1:
            runs = [(np.concatenate([packets for packets, _ in runs]), set(numbers.tolist()))]
        yield from runs

    def _entry(self, number: int) -> int:
        """The packet to start from: the last entry point that comes neither after this frame's packet nor, as shown,
        after the frame, as one does whose leading pictures need what lies before it."""
        table = self._table
        before = bisect.bisect_right(table.entries, int(table.packet_of[number]))
        return next((entry for entry in reversed(table.entries[:before]) if table.number[entry] <= number), 0)

    def _decoded(self, packets: np.ndarray, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """The wanted frames, as long as all that comes out is whole."""
        table = self._table
        decoder = new_decoder(table)
        left = len(wanted)
        numbers, checksums = table.number[packets].tolist(), table.checksum[packets].tolist()
        for payload, number, checksum in zip(self._payloads(packets), numbers, checksums):
            packet = Packet(payload)
            if crc32(packet) != checksum:
                raise DecodeError(
                    self.path, sorted(wanted), "the file has changed since it was prepared: prepare again"
                )
            packet.pts = number
            for frame in decoder.decode(packet):
                if frame.pts is None or frame.pts not in wanted:
                    continue
                if frame.is_corrupt:
                    return
                left -= 1
                yield frame.pts, frame
            if not left:
                break
        # What comes late, and what was decoded for the last ones to be predicted from: is it whole?
        for frame in decoder.decode(None):
            if frame.is_corrupt:
                return
            if left and frame.pts in wanted:
                left -= 1
                yield frame.pts, frame

    def _payloads(self, packets: np.ndarray) -> Iterator[bytes]:
        """The packets' content; what lies near one another in the file is read in one go."""
        begin = self._table.byte[packets]
        end = begin + self._table.size[packets]
        gaps = begin[1:] - end[:-1]
        far = np.flatnonzero((gaps > WORTH_ANOTHER_READ) | (gaps < 0)) + 1
        for part in np.split(np.arange(len(packets)), far):
            start, stop = int(begin[part[0]]), int(end[part[-1]])
            data = self._bytes(start, stop)
            for place, past in zip((begin[part] - start).tolist(), (end[part] - start).tolist()):
                yield data[place:past]

    def _bytes(self, start: int, end: int) -> bytes:
        assert self._file is not None
        try:
            data = self._file.read(self._start_byte + start, self._start_byte + end)
        except OSError as error:
            raise DecodeError(self.path, [], error) from None
        if len(data) != end - start:
            raise DecodeError(self.path, [], "the file is shorter than when it was prepared: prepare again")
        return data


def new_decoder(table: PacketTable) -> VideoCodecContext:
    """Made for one run of packets (0.1 ms): one that was used before remembers parameter sets and tables of others."""
    decoder = av.CodecContext.create(table.decoder, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = table.extradata or None
    decoder.colorspace, decoder.color_range = table.matrix, table.color_range
    decoder.thread_type, decoder.thread_count = "NONE", 1
    decoder.options = decoder_options(table.decoder)
    decoder.open()
    return decoder
