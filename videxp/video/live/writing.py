"""Pictures of a stream, written as they come: to a file, to another program or to an address of a network.

Shapes: H, W pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter

from videxp.core.errors import VidexpError
from videxp.core.files import replacing
from videxp.video.color import BT601, Color, coded_picture
from videxp.video.encoder import default_pixel_format, encoder_options, frame_rate, muxer_options
from videxp.video.errors import one_line
from videxp.video.live.source import LiveSource

TICK = Fraction(1, 90000)
FORMATS = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "udp": "mpegts",
    "tcp": "mpegts",
}
"""By an address's scheme, of `SENDING`."""
TIMED = ("rtsp", "rtsps", "tcp")
"""Whose `timeout` (microseconds) ends a server that says nothing; PyAV's own is for reading alone, RTMP has none."""
KEYFRAME_SECONDS = 2
AT_ONCE = {"preset": "ultrafast", "tune": "zerolatency"}  # of what is watched while it is made


class PictureWriter:
    """Encodes pictures, all of one size, each at its own time; the encoder opens with the first.

    Raises VidexpError where they cannot be written, or change their size.
    """

    def __init__(
        self,
        container: OutputContainer,
        name: str,
        *,
        codec: str,
        fps: float,
        options: dict[str, str],
        timeout_seconds: float = math.inf,
    ) -> None:
        self._container, self._name = container, name
        self._codec, self._fps, self._options = codec, fps, options
        self._timeout_seconds = timeout_seconds
        self._stream: Any = None
        self._size = (0, 0)
        self._pts = -1
        self._reformatter = VideoReformatter()

    def write(self, picture_HWC: np.ndarray, seconds: float) -> None:
        height, width = picture_HWC.shape[:2]
        with self._naming():
            if self._stream is None:
                self._open((height, width))
            if (height, width) != self._size:
                was = f"{self._size[1]}x{self._size[0]}"
                raise VidexpError(f"{self._name}: pictures are now {width}x{height}, were {was}: start another stream")
            frame = coded_picture(
                picture_HWC, Color(BT601), pixel_format=self._stream.pix_fmt, reformatter=self._reformatter
            )
            self._pts = max(self._pts + 1, round(seconds / TICK))  # writers want no two frames at the same time
            frame.pts, frame.time_base = self._pts, TICK
            self._container.mux(self._stream.encode(frame))

    def _open(self, size: tuple[int, int]) -> None:
        self._size = size
        rate = frame_rate(self._fps)
        stream: Any = self._container.add_stream(self._codec, rate=rate, options=self._options)
        self._stream = stream
        stream.height, stream.width = size
        stream.pix_fmt = default_pixel_format(*size)
        stream.codec_context.time_base = TICK
        stream.codec_context.gop_size = max(1, round(KEYFRAME_SECONDS * self._fps))
        stream.codec_context.thread_count = 1

    def close(self) -> None:
        with self._naming():
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        except (av.error.FFmpegError, ValueError, OSError) as error:
            if time.monotonic() - start >= self._timeout_seconds:  # it has many names: "Invalid data", "Broken pipe"
                raise VidexpError(f"{self._name}: no answer for {self._timeout_seconds:g} s") from None
            raise VidexpError(
                f"{self._name}: cannot be written: {one_line(getattr(error, 'strerror', error))}"
            ) from None


@contextmanager
def write_file(path: Path, *, fps: float) -> Iterator[PictureWriter]:
    """The file appears whole when the block ends well, or not at all; one without a picture does not."""
    codec = "libvpx-vp9" if path.suffix.lower() == ".webm" else "libx264"
    with replacing(path) as temporary:
        container = av.open(str(temporary), "w", options=muxer_options(path.suffix))
        writer = PictureWriter(container, str(path), codec=codec, fps=fps, options=encoder_options(codec, crf=18))
        yield writer
        writer.close()


@contextmanager
def write_pipe(file: IO[bytes], name: str, *, fps: float) -> Iterator[PictureWriter]:
    """Matroska, to be read while it is written."""
    container = av.open(file, "w", format="matroska", options={"flush_packets": "1"})
    writer = PictureWriter(container, name, codec="libx264", fps=fps, options=AT_ONCE)
    yield writer
    writer.close()


@contextmanager
def send_to(target: LiveSource, *, fps: float, timeout_seconds: float = 10.0) -> Iterator[PictureWriter]:
    """To a server that takes it: RTSP, RTMP, MPEG-TS. Raises VidexpError, from the first picture on."""
    scheme = target.address.partition("://")[0].lower()
    options = {"rtsp_transport": "tcp"} if FORMATS[scheme] == "rtsp" else {}
    if scheme in TIMED:
        options["timeout"] = str(round(timeout_seconds * 1e6))
    try:
        container = av.open(target.address, "w", format=FORMATS[scheme], options=options)
    except (av.error.FFmpegError, OSError) as error:
        cause = one_line(target.hide(str(getattr(error, "strerror", None) or error)))
        raise VidexpError(f"--to {target.shown}: cannot be opened: {cause}") from None
    writer = PictureWriter(
        container, f"--to {target.shown}", codec="libx264", fps=fps, options=AT_ONCE, timeout_seconds=timeout_seconds
    )
    yield writer
    writer.close()
