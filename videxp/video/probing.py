"""What a video file is, found without torch: frames, times, size as displayed, and whether decord reads it rightly."""

from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Literal

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from videxp.video.container import open_container
from videxp.video.display import Display, stream_display
from videxp.video.errors import UnreadableVideo
from videxp.video.index import (
    CODEC_OF_DECODER,
    FrameIndex,
    Packets,
    check_whole,
    decode_through,
    index_from_packets,
    read_packets,
)
from videxp.video.oddities import decoding_note, describe_oddities
from videxp.video.packets import packet_table
from videxp.video.timing import FrameTimes, frame_times

__all__ = ["Probe", "UnreadableVideo", "Verify", "probe", "scan", "verified"]

Verify = Literal["packets", "frames"]
DECORD_CONTAINERS = frozenset({"mov", "matroska"})
DECORD_CODECS = frozenset({"h264", "vp8", "vp9", "mjpeg"})
DECORD_FORMATS = frozenset({"yuv420p", "yuvj420p", "yuv444p", "yuvj444p"})  # of others it converts colors less exactly

# decord 0.6 takes the padding of such rows for a fourth channel and fails; found by trying all widths from 1 to 329.
DECORD_WIDTHS_IT_MISTAKES = frozenset({1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 72})


@dataclass(frozen=True)
class Probe:
    """The facts of one file; plain values, so that a manifest can keep them."""

    num_frames: int
    """Frames presented, as `ffmpeg -i FILE -map 0:v:0 -fps_mode passthrough` decodes them."""
    fps: float
    """Frames per second; at a variable rate the average."""
    width: int
    """Pixels as displayed: after rotation. Pixels that are not square are left as they are."""
    height: int
    duration_seconds: float
    codec: str
    container: str
    rotation_degrees: int
    """Clockwise turn that display needs, already reckoned with in width and height."""
    decord_safe: bool
    decord_unsafe_reason: str
    """"" if decord is safe here."""
    key_frames: int = 0
    """Places where decoding can start exactly; 0 if it always starts at the beginning."""
    verified: bool = False
    """Every frame was decoded once, and none was damaged."""
    packets: bytes | memoryview = field(default=b"", repr=False)
    """A `PacketTable`, from which frames are read without opening the container; empty where that is not possible."""
    note: str = ""
    """What is odd about the file, though it can be read."""
    first_seconds: float = 0.0
    """When the first frame is shown, after the start of the file: after that of its sound, for one."""
    frame_seconds: bytes | memoryview = field(default=b"", repr=False)
    """At a variable rate when each frame is shown, and when the last one ends: float64 [num_frames + 1]."""

    @property
    def times(self) -> FrameTimes:
        table = np.frombuffer(self.frame_seconds, np.float64) if self.frame_seconds else None
        return FrameTimes(self.num_frames, self.fps, self.first_seconds, table)


def probe(path: str | PathLike[str], *, verify: Verify = "frames") -> Probe:
    """What there is to know of a file before it is read in training.

    `verify="frames"` decodes every frame once (one core: some 2,400 frames a second at 340x256), since damage inside a
    picture shows in no other way, and decord and torchcodec patch it up in silence. `verify="packets"` takes 5 ms for
    10 s of video and believes the insides of pictures (it decodes only files whose packets do not tell their frames).

    Raises `UnreadableVideo`: no such file, no video in a known format, damaged, truncated.
    """
    found, index = scan(path)
    return verified(path, found, index) if verify == "frames" else found


def verified(path: str | PathLike[str], found: Probe, index: FrameIndex) -> Probe:
    """The same probe, after every frame has been decoded; raises `UnreadableVideo` if one is damaged."""
    if not found.verified:
        _, complaint = decode_through(path, expected_pts=index.pts)
        found = replace(found, note="; ".join(note for note in (found.note, decoding_note(complaint)) if note))
    return replace(found, verified=True)


def scan(path: str | PathLike[str]) -> tuple[Probe, FrameIndex]:
    """The probe by packets, and the index that it was made from, which a reader needs."""
    check_whole(path)
    container, stream = open_container(path)
    with container:
        packets = read_packets(path, container, stream)
        index = index_from_packets(path, container, stream, packets)
        display = stream_display(path)
        times = stream_times(container, stream, index)
        reason = why_decord_unsafe(container, stream, packets, index, display)
        table = packet_table(container, stream, packets, index, display)
        return Probe(
            num_frames=index.num_frames,
            fps=times.fps,
            width=display.width,
            height=display.height,
            duration_seconds=index.num_frames / times.fps,
            codec=codec_name(stream),
            container=container.format.name,
            rotation_degrees=display.rotation_degrees,
            decord_safe=not reason,
            decord_unsafe_reason=reason,
            key_frames=len(index.entries),
            verified=bool(index.counted),
            packets=table.to_bytes() if table else b"",
            note=describe_oddities(container, stream, packets, index),
            first_seconds=times.first_seconds,
            frame_seconds=b"" if times.table is None else times.table.tobytes(),
        ), index


def codec_name(stream: VideoStream) -> str:
    """`vp9`, whichever library decodes it."""
    name = stream.codec_context.name
    return CODEC_OF_DECODER.get(name, name)


def stream_times(container: InputContainer, stream: VideoStream, index: FrameIndex) -> FrameTimes:
    """When its frames are shown, counted from where the file's picture or sound starts, whichever is first."""
    first = float(index.shown[0] * index.time_base)
    tracks = [(track.start_time, track.time_base) for track in container.streams.audio]
    sound = [float(start * time_base) for start, time_base in tracks if start is not None and time_base is not None]
    return frame_times(
        index.shown,
        time_base=index.time_base,
        last_ticks=index.last_ticks,
        stated_fps=[float(rate) for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate],
        zero_seconds=min([first, *sound]),
    )


def why_decord_unsafe(
    container: InputContainer, stream: VideoStream, packets: Packets, index: FrameIndex, display: Display
) -> str:
    """Why decord 0.6 may return wrong frames here; "" where it was shown to be right. Anything else is unsafe."""
    codec, name = codec_name(stream), container.format.name
    facts = packets.facts
    if name.split(",", 1)[0] not in DECORD_CONTAINERS:
        return f"container {name}"
    if codec not in DECORD_CODECS:
        return f"codec {codec}"
    if stream.pix_fmt not in DECORD_FORMATS:
        return f"pixel format {stream.pix_fmt}"
    if len(container.streams.video) != 1:
        return f"{len(container.streams.video)} video streams"
    if index.counted:
        return index.counted
    if any(packets.discard):
        return "edit list: packets that are not shown"
    if stream.frames and stream.frames != len(packets.pts):
        return f"edit list: {stream.frames} frames stored, {len(packets.pts)} played"
    if any(fact.frames != 1 for fact in facts):
        return "packets that show no frame"
    if any(key and not fact.clean for key, fact in zip(packets.key, facts)):
        return "open GOP or intra refresh: a key frame that is no IDR"
    if any(fact.clean and not key for key, fact in zip(packets.key, facts)):
        return "key frames that the container does not mark"
    if _has_leading_frames(packets):
        return "open GOP: frames shown before the key frame that they follow"
    if display.width in DECORD_WIDTHS_IT_MISTAKES:
        return f"width {display.width}"
    return display.why_unusual


def _has_leading_frames(packets: Packets) -> bool:
    key_pts = None
    for pts, key in zip(packets.pts, packets.key):
        if key:
            if key_pts is not None and pts is not None and pts < key_pts:
                return True
            key_pts = pts
        elif pts is not None and key_pts is not None and pts < key_pts:
            return True
    return False
