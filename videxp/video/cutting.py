"""A film cut into files: its packets copied as they are, from key frame to key frame, or its frames encoded again.

Each frame of the film comes in one of the files, its time counted from the first there, and each packet of its sound:
that stays where it was beside the pictures. The first packet in a file (21 ms of AAC at 48 kHz) fades in, since the one
that it overlaps with is in the file before.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter

from videxp.core.errors import BadRequest, VidexpError
from videxp.video.audio import AudioTracks, TrackReader, open_audio
from videxp.video.clock import FrameClock, clock_of_index
from videxp.video.color import coded_picture
from videxp.video.container import open_container
from videxp.video.descriptions import copy_track_description, other_streams
from videxp.video.display import display_matrix, turn_of
from videxp.video.encoder import default_pixel_format, encoder_options, muxer_options
from videxp.video.errors import one_line
from videxp.video.index import build_index, index_from_packets, read_packets, why_counted
from videxp.video.remaking import configure_stream
from videxp.video.sequence import VideoFile

CODEC = "libx264"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """Frames `first` to `last`, both included, and the file that they go to."""

    first: int
    last: int
    path: Path

    @property
    def num_frames(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class KeyFrames:
    """Where a file can be cut without encoding it again: nothing from there on needs what lies before, nor is shown
    before it."""

    frames: list[int]
    """Ascending; the first is 0."""
    packets: list[int]
    """The place of each in the file's order."""
    clock: FrameClock

    def nearest(self, frame: int) -> int:
        """The nearest of `frames`, of two the earlier one."""
        return min(self.frames, key=lambda key: (abs(key - frame), key))


def read_key_frames(path: Path) -> KeyFrames:
    """Raises UnreadableVideo, and BadRequest for a file that cannot be copied in parts."""
    container, stream = open_container(path)
    with container:
        packets = read_packets(path, container, stream)
        reason = why_counted(container.format.name, packets) or ("an edit list" if any(packets.discard) else "")
        if reason:
            raise BadRequest(f"{path}: cannot be copied in parts ({reason}): have it encoded again")
        index = index_from_packets(path, container, stream, packets)
    pts = np.array(packets.pts, np.int64)
    before = np.maximum.accumulate(np.append(pts[0] - 1, pts[:-1]))
    after = np.minimum.accumulate(pts[::-1])[::-1]
    clean = [i for i, facts in enumerate(packets.facts) if facts.entry and before[i] < pts[i] == after[i]]
    return KeyFrames(np.searchsorted(index.pts, pts[clean]).tolist(), clean, clock_of_index(path, index))


def copy_parts(path: Path, parts: Sequence[Part], keys: KeyFrames, *, say: Say = print) -> None:
    """Writes the parts, each of which begins at one of `keys` and ends where the next begins.

    Raises BadRequest for a container that cannot hold the film, VidexpError where a part does not come out whole.
    """
    firsts = [keys.packets[keys.frames.index(part.first)] for part in parts]
    container, video = open_container(path)
    with container, open_audio(path) as readers:
        _tell_left_out(container, video, say)
        packets = (packet for packet in container.demux(video) if packet.size)
        for part, count in zip(parts, [*(b - a for a, b in pairwise(firsts)), None]):
            with _part_file(part, keys.clock, readers, say=say) as (output, writer):
                copied = _copied_stream(output, video, part)
                for packet in islice(packets, count):
                    packet.stream = copied
                    packet.pts = _shifted(packet.pts, writer.start_ticks)
                    packet.dts = _shifted(packet.dts, writer.start_ticks)
                    writer.mux(packet)
            _check_frames(part)


def encode_parts(film: VideoFile, parts: Sequence[Part], *, crf: int = 18, say: Say = print) -> Iterator[Part]:
    """Writes the parts, H.264 in MP4, and yields each when it is whole. They have all frames of the film, in order.

    Pictures keep their format where H.264 has it, and are upright. Raises DecodeError, VidexpError.
    """
    container, video = open_container(film.path)
    with container, open_audio(film.path) as readers:
        _tell_left_out(container, video, say)
        if film.not_in_pictures:
            say(f"pictures: left out: {', '.join(film.not_in_pictures)}")
        pixel_format = _pixel_format(film, video.codec_context.pix_fmt or "")
        frames = enumerate(film.frames())
        reformatter = VideoReformatter()
        for part in parts:
            with _part_file(part, film.clock, readers, say=say) as (output, writer):
                stream: Any = output.add_stream(CODEC, rate=film.rate, options=encoder_options(CODEC, crf=crf))
                configure_stream(stream, like=film, size=film.size, pixel_format=pixel_format)
                copy_track_description(video, stream)
                for number, frame in islice(frames, part.num_frames):
                    coded = _to_encode(film, number, frame, pixel_format, reformatter)
                    coded.pts = int(film.clock.ticks[number]) - writer.start_ticks
                    coded.time_base = film.time_base
                    for packet in stream.encode(coded):
                        writer.mux(packet)
                for packet in stream.encode(None):
                    writer.mux(packet)
            _check_frames(part)
            yield part


class _PartWriter:
    """A part's packets on their way into its file, with the sound as far as the pictures have come."""

    def __init__(
        self, part: Part, clock: FrameClock, readers: list[TrackReader], output: OutputContainer, *, say: Say
    ) -> None:
        # The first part begins as the film does: with its picture or its sound.
        start_seconds = clock.start_seconds if part.first == 0 else int(clock.ticks[part.first]) * clock.time_base
        self.start_ticks = round(start_seconds / clock.time_base)
        self._output, self._time_base = output, clock.time_base
        self._ticks = clock.ticks[part.first : part.last + 2] - self.start_ticks
        self._is_last = part.last == clock.num_frames - 1
        self._held: Packet | None = None
        self._first_dts: int | None = None
        self._sound = AudioTracks(readers, output, start_seconds=start_seconds, say=say)

    def mux(self, packet: Packet) -> None:
        """Takes a picture, with times in ticks from the part's start; one is held back, since the last is special."""
        assert packet.pts is not None
        place = int(np.searchsorted(self._ticks, packet.pts))
        packet.duration = int(self._ticks[min(place + 1, len(self._ticks) - 1)] - self._ticks[place])
        self._sound.copy_until(packet.pts * self._time_base)
        self._mux_held()
        self._held = packet
        self._first_dts = packet.dts if self._first_dts is None else self._first_dts

    def finish(self) -> None:
        """The last picture, and the rest of the part's sound; with the last part, all that is left."""
        if self._held is not None and self._held.dts is not None and self._first_dts is not None:
            # MP4 adds up decoding times; so that the last frame ends when the next part begins:
            shown_ticks = int(self._ticks[-1] - self._ticks[0])
            self._held.duration = max(1, shown_ticks - (self._held.dts - self._first_dts))
        self._mux_held()
        self._sound.copy_until(None if self._is_last else int(self._ticks[-1]) * self._time_base)
        self._sound.finish()

    def _mux_held(self) -> None:
        if self._held is not None:
            self._output.mux(self._held)


@contextmanager
def _part_file(
    part: Part, clock: FrameClock, readers: list[TrackReader], *, say: Say
) -> Iterator[tuple[OutputContainer, _PartWriter]]:
    """The opened file of a part; its sound is complete when the block ends. Raises VidexpError where writing fails."""
    options = muxer_options(part.path.suffix)
    if "movflags" in options:  # MP4 keeps when a track starts in ticks of its own, by default 1 ms
        options["movie_timescale"] = str(clock.time_base.denominator)
    try:
        with av.open(str(part.path), "w", options=options) as output:
            writer = _PartWriter(part, clock, readers, output, say=say)
            yield output, writer
            writer.finish()
    except av.error.FFmpegError as error:
        raise VidexpError(f"{part.path.name}: cannot be written: {one_line(error.strerror or error)}") from None


def _shifted(ticks: int | None, start_ticks: int) -> int | None:
    return None if ticks is None else ticks - start_ticks


def _copied_stream(output: OutputContainer, video: Any, part: Part) -> Any:
    try:
        copied = output.add_stream_from_template(video, opaque=True)  # by its format; its decoder may not encode
    except (av.error.FFmpegError, ValueError):
        held = f"{part.path.suffix} cannot hold {video.codec_context.name}"
        raise BadRequest(f"{part.path.name}: {held}: have it encoded again") from None
    copied.time_base = video.time_base
    copy_track_description(video, copied)
    return copied


def _to_encode(
    film: VideoFile, number: int, frame: VideoFrame, pixel_format: str, reformatter: VideoReformatter
) -> VideoFrame:
    """The frame itself where an encoder takes it so; else its picture, upright, in another format."""
    if frame.format.name == pixel_format and (frame.height, frame.width) == film.size and not _is_turned(frame):
        frame.pict_type = PictureType.NONE  # the encoder would make a key frame where the film has one
        return frame
    picture_HWC = film.upright(number, frame, reformatter)
    return coded_picture(picture_HWC, film.color, pixel_format=pixel_format, reformatter=reformatter)


def _is_turned(frame: VideoFrame) -> bool:
    return turn_of(display_matrix(frame))[0] != "none"


def _pixel_format(film: VideoFile, decoded: str) -> str:
    """The film's own where the encoder has it, and it can hold pictures of this size."""
    height, width = film.size
    known = {each.name for each in av.Codec(CODEC, "w").video_formats or ()}
    fits = "444" in decoded or (height % 2 == 0 and width % 2 == 0)
    return decoded if decoded in known and decoded.startswith("yuv") and fits else default_pixel_format(height, width)


def _tell_left_out(container: Any, video: Any, say: Say) -> None:
    others = other_streams(container, video)
    chapters = [f"{count} chapters"] if (count := len(container.chapters())) else []
    if left_out := [*([others] if others else []), *chapters]:
        say(f"left out of the parts: {', '.join(left_out)}")


def _check_frames(part: Part) -> None:
    """Raises VidexpError where a part shows other frames than it should, by its packets."""
    found = build_index(part.path).num_frames
    if found != part.num_frames:
        raise VidexpError(f"{part.path.name} came out with {found} frames where {part.num_frames} are due")
