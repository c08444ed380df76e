"""The process that reads a source: it can hang in FFmpeg's code, where nothing but its end helps, so it is one of its
own. It is told over a socket what to read, and sends a frame each time that it is asked for one.

Shapes: H, W as displayed, C = 3 (red, green, blue), uint8 in [0,255].
"""

import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from videxp.core.errors import VidexpError
from videxp.core.parent import die_with_parent
from videxp.video.container import (
    DECODER_OPTIONS,
    FORMATS,
    MAX_PIXELS,
    decoder_options,
    film_streams,
    missing_bytes,
    open_container,
)
from videxp.video.display import Turn, display_matrix, rgb_picture, scaled_picture, turn_of, turned, turned_size
from videxp.video.errors import UnreadableVideo, one_line
from videxp.video.live.buffer import FrameBuffer, Pace
from videxp.video.live.messages import receive, send
from videxp.video.live.options import CaptureOptions
from videxp.video.live.source import LiveSource

NETWORK_PROTOCOLS = "crypto,http,https,httpproxy,rtmp,rtmps,rtp,rtsp,rtsps,srtp,tcp,tls,udp"
"""No `file`: a playlist on a host must not lead to this machine's files."""


class Unreadable(Exception):
    """Why a source cannot be opened, or not be read on."""


FAILURES = (Unreadable, VidexpError, av.error.FFmpegError, OSError, ValueError)
"""Of a source: what is told as its cause."""


@dataclass(frozen=True)
class Decoded:
    """A frame in the decoder's own format: it is made RGB only if it is asked for."""

    frame: VideoFrame
    turn: Turn
    number: int
    seconds: float
    """When it is shown, from the start of a file, or from the first frame of a live source."""
    captured_at: float
    """By this machine's monotonic clock, which all its processes share."""


def main() -> None:
    """`python -c PROGRAM SOCKET`: SOCKET is the number of an open file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C
    die_with_parent()
    channel = socket.socket(fileno=int(sys.argv[1]))
    if (order := receive(channel)) is None:
        return
    source, options = LiveSource(**order[0]["source"]), CaptureOptions(**order[0]["options"])
    try:
        serve_frames(channel, source, options)
    except FAILURES as error:
        _fail(channel, cause_of(error, source))


def cause_of(error: Exception, source: LiveSource) -> str:
    """In one line, without the source's address."""
    cause = error.cause if isinstance(error, UnreadableVideo) else getattr(error, "strerror", None) or error
    return one_line(source.hide(str(cause)))


def _fail(channel: socket.socket, cause: str) -> None:
    try:
        send(channel, {"kind": "failed", "cause": cause})
    except OSError:
        os._exit(1)  # nobody is there to be told


def serve_frames(channel: socket.socket, source: LiveSource, options: CaptureOptions) -> None:
    """Opens the source, says so, and sends frames until it ends. Raises what FFmpeg raises, before the first frame."""
    container, stream = opened(source, options)
    duration = float(container.duration or 0) / av.time_base
    frames = decoded(container, stream, options, is_file=source.kind == "file")
    first = next(frames, None)
    if first is None:
        raise Unreadable("it ended before its first frame")
    waits = not source.is_lasting or duration > 0
    policy = options.policy if options.policy != "auto" else "wait" if waits else "drop"
    height, width = turned_size((first.frame.height, first.frame.width), first.turn)
    opening = {
        "size": [height, width],
        "fps": float(stream.average_rate or stream.guessed_rate or 25),
        "policy": policy,
        "ends": waits,
    }
    send(channel, {"kind": "opened", **opening})
    buffer: FrameBuffer[Decoded] = FrameBuffer(options.buffer, policy=policy)
    trouble: list[Exception] = []
    sender = threading.Thread(target=_send_all, args=(channel, source, options, buffer, trouble), daemon=True)
    sender.start()
    pace = Pace() if options.pace == "real" else None
    try:
        fill(buffer, first, frames, pace=pace)
        if source.kind == "file" and (missing := missing_bytes(source.address)):
            raise Unreadable(f"it breaks off: {missing:,} bytes are missing at its end")
    except FAILURES as error:
        trouble.append(error)
    buffer.close()
    sender.join()


def fill(buffer: FrameBuffer[Decoded], first: Decoded, rest: Iterator[Decoded], *, pace: Pace | None) -> None:
    """Raises Unreadable where the pictures change their size, and what FFmpeg raises."""
    shape = (first.frame.width, first.frame.height, first.turn)

    def put(item: Decoded) -> None:
        if pace is not None:
            pace.wait_until(item.seconds)
            item = Decoded(item.frame, item.turn, item.number, item.seconds, time.monotonic())
        buffer.put(item)

    put(first)
    for item in rest:
        if (item.frame.width, item.frame.height, item.turn) != shape:
            raise Unreadable(f"its pictures are now {item.frame.width}x{item.frame.height}, were {shape[0]}x{shape[1]}")
        put(item)


def _send_all(
    channel: socket.socket,
    source: LiveSource,
    options: CaptureOptions,
    buffer: FrameBuffer[Decoded],
    trouble: list[Exception],
) -> None:
    """One frame for each request, then how it ended."""
    reformatter = VideoReformatter()
    try:
        while (request := receive(channel)) is not None:
            item, counts = buffer.take()
            told = {"captured": counts.captured, "dropped": counts.dropped}
            if item is None:
                cause = cause_of(trouble[0], source) if trouble else ""
                send(channel, {"kind": "ended", **told, "cause": cause})
                return
            picture_HWC = _picture(item, reformatter, size=request[0]["size"], accurate=options.is_accurate)
            when = {"number": item.number, "seconds": item.seconds, "captured_at": item.captured_at}
            send(channel, {"kind": "frame", **when, **told, "size": picture_HWC.shape[:2]}, picture_HWC.data)
    except OSError:
        pass  # the parent has ended, or has heard enough
    except (av.error.FFmpegError, ValueError) as error:
        _fail(channel, cause_of(error, source))
    os._exit(0)  # whatever the other thread hangs in


def _picture(item: Decoded, reformatter: VideoReformatter, *, size: list[int] | None, accurate: bool) -> np.ndarray:
    """uint8 [H,W,C], contiguous. size: (height, width) to be scaled to."""
    if size is None:
        shown = rgb_picture(item.frame, reformatter, accurate=accurate)
    else:
        shown = scaled_picture(item.frame, reformatter, size=turned_size((size[0], size[1]), item.turn))
    return np.ascontiguousarray(turned(shown, item.turn))


# ---- FFmpeg ---------------------------------------------------------------------------------------------------------


def opened(source: LiveSource, options: CaptureOptions) -> tuple[InputContainer, VideoStream]:
    """Raises Unreadable, UnreadableVideo and what FFmpeg raises."""
    if source.kind == "file":
        return open_container(source.address)
    with telling_timeouts(options):
        container = av.open(
            "pipe:0" if source.kind == "stdin" else source.address,
            format="v4l2" if source.kind == "camera" else None,
            options=DECODER_OPTIONS,
            container_options=_demuxer_options(source) | options.options,
            metadata_errors="replace",
            # FFmpeg's own options differ from protocol to protocol (RTMP's `timeout` makes a server of it, RTSP's
            # `stimeout` is no more); this one interrupts all.
            timeout=(options.timeout_seconds, options.timeout_seconds) if source.kind == "network" else None,
        )
    films = film_streams(container)
    if not films:
        raise Unreadable("it holds no video that can be decoded")
    stream = films[0]
    if stream.width * stream.height > MAX_PIXELS:
        raise Unreadable(f"its pictures are {stream.width}x{stream.height}: at most {MAX_PIXELS:,} pixels are read")
    stream.thread_type = "NONE"  # frames in threads come late
    stream.codec_context.options = decoder_options(stream.codec_context.name)
    return container, stream


@contextmanager
def telling_timeouts(options: CaptureOptions) -> Iterator[None]:
    """What FFmpeg raises when its time is up has many names: "Immediate exit", "Invalid data", an end."""
    start = time.monotonic()
    try:
        yield
    except (av.error.FFmpegError, OSError):
        if time.monotonic() - start < options.timeout_seconds:
            raise
        raise Unreadable(f"no answer for {options.timeout_seconds:g} s") from None


def _demuxer_options(source: LiveSource) -> dict[str, str]:
    if source.kind == "stdin":
        return {"protocol_whitelist": "pipe", "format_whitelist": FORMATS}
    if source.kind == "camera":
        return {"protocol_whitelist": "file"}
    over_tcp = {"rtsp_transport": "tcp"} if source.address.lower().startswith("rtsp") else {}  # UDP loses packets
    return {"protocol_whitelist": NETWORK_PROTOCOLS, **over_tcp}


def decoded(
    container: InputContainer, stream: VideoStream, options: CaptureOptions, *, is_file: bool
) -> Iterator[Decoded]:
    """All frames of a source, at times that never descend. A damaged one ends a file; a live source goes on behind."""
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    zero = Fraction(container.start_time or 0, av.time_base) if is_file else None
    seconds = -math.inf
    for number, frame in enumerate(_frames(container, stream, options, goes_on=not is_file)):
        at = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        zero = (at if at is not None else Fraction(0)) if zero is None else zero
        if is_file and frame.is_corrupt:
            raise Unreadable(f"frame {number} is damaged, and spoils what follows")
        turn, degrees = turn_of(display_matrix(frame))
        if turn is None:
            raise Unreadable(f"it is to be shown turned by {degrees} degrees: only quarter turns are read")
        seconds = max(seconds, float(at - zero if at is not None else number / rate))
        yield Decoded(frame, turn, number, seconds, time.monotonic())


def _frames(
    container: InputContainer, stream: VideoStream, options: CaptureOptions, *, goes_on: bool
) -> Iterator[VideoFrame]:
    packets = container.demux(stream)
    while True:
        with telling_timeouts(options):
            packet = next(packets, None)
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            if not goes_on:
                raise
