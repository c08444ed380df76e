"""Which frames a file presents, and where decoding can start: read from its packets, without decoding them if possible.

Two kinds of index. *Timed*: every presented frame has a time stamp of its own, and the entry points are exact; a frame
is found by seeking, and its time stamp proves that it is the one. *Counted*: the packets do not tell (no time stamps,
packed pictures, transport streams, undecodable first pictures), so frames are counted by decoding from the start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from os import PathLike
from typing import BinaryIO
from zlib import crc32

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from videxp.video.bitstream import PacketFacts, nal_length_bytes, packet_facts
from videxp.video.container import missing_bytes, open_container, plain_path
from videxp.video.display import SteadyDisplay
from videxp.video.errors import UnreadableVideo, one_line
from videxp.video.headers import HeadersInForce
from videxp.video.timing import repair_ticks

BLOCK_HEADER_BYTES = 64  # a packet in Matroska lies behind one; the demuxer tells where that starts
INDICES_KEPT = 4096  # some 3 kB each for 10 s of video
EMPTY_PACKETS = "packets without data"
CODEC_OF_DECODER = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}
# Demuxers whose time stamps and key flags come from the container's own index, not from guesses about the stream.
TIMED_CONTAINERS = frozenset({"mov", "matroska", "flv", "avi"})
TOLD_DURATIONS = frozenset(
    {"mov", "matroska", "gif", "apng"}
)  # how long the last frame is shown is in the file, not guessed
RAW_STREAMS = frozenset({"h261", "h263", "h264", "hevc", "m4v", "mpegvideo", "vc1"})  # the demuxer guesses their times


@dataclass(frozen=True)
class Entry:
    """A packet from which decoding gives every frame shown at `pts` or later exactly."""

    pts: int
    dts: int | None


@dataclass(frozen=True)
class FrameIndex:
    """The frames of one video stream in presentation order. Times are in ticks of `time_base` seconds."""

    num_frames: int
    time_base: Fraction
    counted: str = ""  # why frames must be counted from the start; "" for a timed index
    pts: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))  # int64 [N], ascending; timed only
    disposable: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # bool [N]: no picture refers to it
    entries: tuple[Entry, ...] = ()  # ascending in pts
    keys_exact: bool = False  # decoding may start at every packet that the container marks as key
    stream_index: int = 0  # of the video stream in the container
    shown: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """int64 [N], never descending: when each frame is shown; empty where they were counted before."""
    last_ticks: int = 0
    """How long the last frame is shown; 0: the container does not say."""
    complaint: str = ""
    """Of a counted one: the last error that FFmpeg got over while it decoded."""


@dataclass
class Packets:
    """What demuxing a stream from end to end showed, in the file's order."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    duration: list[int] = field(default_factory=list)  # 0: not known
    key: list[bool] = field(default_factory=list)
    discard: list[bool] = field(default_factory=list)
    facts: list[PacketFacts] = field(default_factory=list)
    byte: list[int] = field(default_factory=list)  # where each lies in the file as it is; -1 where it does not
    size: list[int] = field(default_factory=list)
    checksum: list[int] = field(default_factory=list)
    corrupt: bool = False
    headers_change: bool = False
    error: str = ""


def read_packets(path: str | PathLike[str], container: InputContainer, stream: VideoStream) -> Packets:
    """Demuxes the stream of the file at `path` once; reads headers, decodes nothing."""
    packets = Packets()
    try:
        # A demuxer that finds rubbish between packets skips it and says so only in FFmpeg's log.
        with ffmpeg_errors() as messages, plain_path(path).open("rb") as file:
            _demux(container, stream, packets, file)
    except av.error.FFmpegError as error:
        packets.error = one_line(error.strerror or error)
    packets.error = packets.error or _last(messages)
    return packets


@contextmanager
def ffmpeg_errors() -> Iterator[list[tuple[int, str, str]]]:
    """(level, part, message) of each error that FFmpeg logs meanwhile: what it gets over, it tells nowhere else.

    PyAV keeps back what equals its last message, be that of another file, and tells it in the next one.
    """
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)


def _last(messages: list[tuple[int, str, str]]) -> str:
    return one_line(messages[-1][2]) if messages else ""


def _demux(container: InputContainer, stream: VideoStream, packets: Packets, file: BinaryIO) -> None:
    codec = CODEC_OF_DECODER.get(stream.codec_context.name, stream.codec_context.name)
    length_bytes = nal_length_bytes(codec, stream.codec_context.extradata)
    headers = HeadersInForce(codec, stream.codec_context.extradata)
    for packet in container.demux(stream):
        if packet.size == 0:  # the end's empty packet; AVI's "same picture again" has dts
            if packet.dts is not None:
                packets.error = EMPTY_PACKETS
            continue
        packets.pts.append(packet.pts)
        packets.dts.append(packet.dts)
        packets.duration.append(packet.duration or 0)
        packets.key.append(packet.is_keyframe)
        packets.discard.append(packet.is_discard)
        packets.corrupt |= packet.is_corrupt
        data = bytes(packet)
        facts = packet_facts(codec, data, is_key=packet.is_keyframe, nal_length_bytes=length_bytes)
        lays_down, all_known = headers.read(data, is_entry=facts.entry)
        if (lays_down and facts.disposable) or (facts.entry and not all_known):
            facts = replace(facts, entry=all_known and facts.entry, clean=all_known and facts.clean, disposable=False)
        packets.headers_change |= _has_headers_beside(packet, is_first=not packets.facts)
        packets.facts.append(facts)
        packets.byte.append(_place_in_file(file, packet.pos, data))
        packets.size.append(len(data))
        packets.checksum.append(crc32(data))
    packets.headers_change |= headers.change


def _has_headers_beside(packet: Packet, *, is_first: bool) -> bool:
    """Whether the demuxer hands the decoder something new along with a packet; a palette comes with the first."""
    new = packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change")
    return new or (packet.has_sidedata("palette") and not is_first)


def _place_in_file(file: BinaryIO, byte: int | None, data: bytes) -> int:
    """Where the packet's data lie, at `byte` or after the few bytes of a block's header there; -1: not as they are."""
    if byte is None or byte < 0:
        return -1
    file.seek(byte)
    found = file.read(len(data) + BLOCK_HEADER_BYTES).find(data)
    return -1 if found < 0 else byte + found


def build_index(path: str | PathLike[str], *, num_frames: int | None = None) -> FrameIndex:
    """The index of a file. `num_frames`: known from a probe; spares a counted file its first decoding.

    Kept for the next time that this process opens the same file, unless it has changed meanwhile.
    """
    status = plain_path(path).stat()
    return _built_index(str(path), num_frames, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=INDICES_KEPT)
def _built_index(path: str, num_frames: int | None, size_bytes: int, mtime_ns: int) -> FrameIndex:
    check_whole(path)
    container, stream = open_container(path)
    with container:
        packets = read_packets(path, container, stream)
        return index_from_packets(path, container, stream, packets, num_frames=num_frames)


def check_whole(path: str | PathLike[str]) -> None:
    """Raises `UnreadableVideo` for a copy that broke off, and for what is no file."""
    if missing := missing_bytes(plain_path(path)):
        raise UnreadableVideo(path, f"truncated: the file ends {missing:,} bytes before its own header says")


def index_from_packets(
    path: str | PathLike[str],
    container: InputContainer,
    stream: VideoStream,
    packets: Packets,
    *,
    num_frames: int | None = None,
) -> FrameIndex:
    """A timed index where the packets allow it, a counted one otherwise."""
    if not packets.pts:
        raise UnreadableVideo(path, packets.error or "its video stream holds no frames")
    time_base = stream.time_base or Fraction(1, 1000)
    if reason := why_counted(container.format.name, packets):
        if num_frames is not None:
            return FrameIndex(num_frames, time_base, counted=reason, stream_index=stream.index)
        stamps, complaint = decode_through(path)
        ticks = _counted_ticks(container.format.name, stream, packets, stamps, time_base=time_base)
        return FrameIndex(
            len(ticks),
            time_base,
            counted=reason,
            stream_index=stream.index,
            shown=ticks,
            last_ticks=_last_ticks(container.format.name, packets),
            complaint=complaint,
        )
    shown = [i for i, facts in enumerate(packets.facts) if facts.frames and not packets.discard[i]]
    if not shown:
        raise UnreadableVideo(path, "its edit list leaves no frame to show")
    pts = np.array([packets.pts[i] for i in shown], np.int64)
    order = np.argsort(pts, kind="stable")
    disposable = np.array([packets.facts[i].disposable for i in shown], bool)
    return FrameIndex(
        num_frames=len(shown),
        time_base=time_base,
        pts=pts[order],
        disposable=disposable[order],
        entries=_entries(packets),
        keys_exact=all(facts.entry for facts, key in zip(packets.facts, packets.key) if key),
        stream_index=stream.index,
        shown=_decoding_ticks(packets, shown) if container.format.name == "avi" else pts[order],
        last_ticks=_last_ticks(container.format.name, packets),
    )


def _decoding_ticks(packets: Packets, shown: list[int]) -> np.ndarray:
    """int64 [N]: of an AVI without frames out of order, whose other times are guesses."""
    return np.sort(
        np.array([packets.dts[i] if packets.dts[i] is not None else packets.pts[i] for i in shown], np.int64)
    )


def _last_ticks(container: str, packets: Packets) -> int:
    """How long the last frame is shown; 0: not known."""
    if _family(container) not in TOLD_DURATIONS:
        return 0
    timed = [(pts, duration) for pts, duration in zip(packets.pts, packets.duration) if pts is not None]
    return max(timed, default=(0, 0))[1]


def _family(container: str) -> str:
    """`mov` of mov,mp4,m4a,3gp,3g2,mj2."""
    return container.split(",", 1)[0]


def _counted_ticks(
    container: str, stream: VideoStream, packets: Packets, stamps: list[int | None], *, time_base: Fraction
) -> np.ndarray:
    """int64 [N], never descending: when frames that had to be counted are shown. `stamps`: what decoding them told.

    Of AVI these come as late as the decoder does: the first frame is shown in the place of the first packet.
    """
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
    step = max(1, round(1 / rate / time_base))
    if container in RAW_STREAMS:
        stamps = [None] * len(stamps)
    ticks = repair_ticks(stamps, step=step, time_base=time_base)
    first = min((dts for dts in packets.dts if dts is not None), default=0)
    return ticks - ticks[0] + first if container == "avi" else ticks


def _entries(packets: Packets) -> tuple[Entry, ...]:
    found = [
        Entry(pts, dts)
        for pts, dts, facts in zip(packets.pts, packets.dts, packets.facts)
        if facts.entry and pts is not None
    ]
    return tuple(sorted(found, key=lambda entry: entry.pts))


def why_counted(container: str, packets: Packets) -> str:
    """Why the packets' time stamps don't tell the frames; "" if they do."""
    facts = packets.facts
    if _family(container) not in TIMED_CONTAINERS:
        return f"time stamps of {container} are not exact"
    if packets.error:
        return packets.error
    if packets.corrupt:
        return "packets marked as damaged"
    if packets.headers_change:
        return "its headers change on the way, as where recordings were joined"
    if any(pts is None for pts in packets.pts):
        return "packets without a time stamp"
    if any(fact.frames is None for fact in facts):
        return "packets of which it is not known how many frames they show"
    if container == "avi" and any(fact.reordered for fact in facts):
        return "AVI has no presentation time stamps"
    shown = [pts for pts, fact in zip(packets.pts, facts) if fact.frames]
    if len(set(shown)) != len(shown):
        return "two frames with the same time stamp"
    if not facts[0].entry:
        return "it does not start with a picture that stands alone"
    if any(pts < packets.pts[0] for pts in shown if pts is not None and packets.pts[0] is not None):
        return "frames before the first picture that stands alone"
    if any(fact.broken_link for fact in facts[1:]):
        return "broken links"
    return ""


def decode_through(
    path: str | PathLike[str], *, expected_pts: np.ndarray | None = None
) -> tuple[list[int | None], str]:
    """Decodes the stream from end to end, in one thread, and returns the time stamp of each frame, as shown, and the
    last error that FFmpeg got over, "" if none.

    Raises `UnreadableVideo` where it does not decode, where a frame is patched up or cannot be shown as the first is,
    where it differs from a timed index.
    """
    container, stream = open_container(path)
    stamps: list[int | None] = []
    steady = SteadyDisplay()
    with ffmpeg_errors() as messages, container:
        try:
            for frame in container.decode(stream):
                count = len(stamps)
                if frame.is_corrupt:
                    raise UnreadableVideo(path, f"damaged: frame {count} cannot be decoded whole")
                if reason := steady.why_not(frame):
                    raise UnreadableVideo(path, f"frame {count} {reason}")
                if expected_pts is not None and (count >= len(expected_pts) or frame.pts != expected_pts[count]):
                    raise UnreadableVideo(path, f"damaged: frame {count} is missing, or comes out of order")
                # AVI has the times at which packets are to be decoded, and what FFmpeg makes of them is uneven.
                stamps.append(frame.dts if container.format.name == "avi" else frame.pts)
        except av.error.FFmpegError as error:
            cause = f"damaged: decoding stops after {len(stamps)} frames ({error.strerror})"
            raise UnreadableVideo(path, cause) from None
    if not stamps:
        raise UnreadableVideo(path, "no frame of it can be decoded")
    if expected_pts is not None and len(stamps) != len(expected_pts):
        raise UnreadableVideo(path, f"damaged: {len(stamps)} of its {len(expected_pts)} frames can be decoded")
    return stamps, _last(messages)
