"""How a decoded picture is to be shown: turned and mirrored as the file says, in RGB.

Shapes: H, W = height and width in pixels, as displayed; C = 3 (red, green, blue).
"""

import math
import struct
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from videxp.video.color import UNBIASED
from videxp.video.container import open_container
from videxp.video.errors import UnreadableVideo

Turn = Literal["none", "clockwise", "anticlockwise", "half", "mirror", "flip", "transpose", "transverse"]
IDENTITY = (65536, 0, 0, 65536)
FAST_FORMATS = frozenset({"yuv420p", "yuvj420p"})


@dataclass(frozen=True)
class Display:
    """Of a stream, from its first frame."""

    height: int
    width: int
    turn: Turn
    rotation_degrees: int
    why_unusual: str
    """What other readers may show otherwise; "" if nothing."""


def stream_display(path: str | PathLike[str]) -> Display:
    """Decodes the first frame. Raises `UnreadableVideo` if there is none, or it is turned by other than 90 degrees."""
    container, stream = open_container(path)
    with container:
        try:
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError as error:
            raise UnreadableVideo(path, f"damaged: its first frame does not decode ({error.strerror})") from None
        if frame is None:
            raise UnreadableVideo(path, "no frame of it can be decoded")
        matrix = display_matrix(frame)
        turn, degrees = turn_of(matrix)
        if turn is None:
            raise UnreadableVideo(path, f"to be shown turned by {degrees} degrees: only quarter turns are read")
        height, width = turned_size((frame.height, frame.width), turn)
        unusual = "mirrored when shown" if turn in ("mirror", "flip", "transpose", "transverse") else ""
        return Display(height=height, width=width, turn=turn, rotation_degrees=degrees, why_unusual=unusual)


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the display matrix [[a, b], [c, d]] in units of 1/65536."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return IDENTITY
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(data))
    return a, b, c, d


def turn_of(matrix: tuple[int, int, int, int]) -> tuple[Turn | None, int]:
    """(turn, clockwise degrees) of a display matrix, as the ffmpeg program reckons; None for other than quarter turns.

    (0, 65536, -65536, 0) -> ("clockwise", 90); (-65536, 0, 0, 65536) -> ("mirror", 0)
    """
    a, b, c, d = matrix
    if a == b == 0:
        return "none", 0
    degrees = round(math.degrees(math.atan2(b, a))) % 360
    if abs(degrees - 90) <= 1:
        return ("transpose", 90) if c > 0 else ("clockwise", 90)
    if abs(degrees - 270) <= 1:
        return ("transverse", 270) if c < 0 else ("anticlockwise", 270)
    if abs(degrees - 180) <= 1:
        return ("half", 180) if d < 0 else ("mirror", 0)
    if degrees <= 1 or degrees >= 359:
        return ("flip", 0) if d < 0 else ("none", 0)
    return None, degrees


def turned(picture_HWC: np.ndarray, turn: Turn) -> np.ndarray:
    """A view of the picture as it is to be shown."""
    x = picture_HWC
    if turn == "clockwise":
        return x.transpose(1, 0, 2)[:, ::-1]
    if turn == "anticlockwise":
        return x.transpose(1, 0, 2)[::-1]
    if turn == "half":
        return x[::-1, ::-1]
    if turn == "mirror":
        return x[:, ::-1]
    if turn == "flip":
        return x[::-1]
    if turn == "transpose":
        return x.transpose(1, 0, 2)
    if turn == "transverse":
        return x.transpose(1, 0, 2)[::-1, ::-1]
    return x


def rgb_picture(frame: VideoFrame, reformatter: VideoReformatter, *, accurate: bool = False) -> np.ndarray:
    """uint8 [H,W,C] in [0,255] of the frame as coded (not turned); one thread, and no scaler context per frame.

    `accurate`: rounded to the nearest and with colors interpolated, as `ffmpeg -sws_flags
    bicubic+accurate_rnd+full_chroma_int` does. That takes 0.4 to 0.9 ms for 320x192 where the fast way of 8-bit 4:2:0
    takes 0.1 ms; the fast way rounds down and has one color for each two pixels. All else is converted accurately.

    Raises av.error.FFmpegError for colors that FFmpeg does not convert.
    """
    if not accurate and frame.format.name in FAST_FORMATS and frame.height % 2 == 0:
        interpolation = int(Interpolation.BICUBIC)
    else:
        interpolation, frame = UNBIASED, _centered_chroma(frame)
    plane = reformatter.reformat(frame, format="rgb24", interpolation=interpolation, threads=1).planes[0]
    return _rows(plane)[:, : plane.width * 3].reshape(plane.height, plane.width, 3)


def scaled_picture(frame: VideoFrame, reformatter: VideoReformatter, *, size: tuple[int, int]) -> np.ndarray:
    """uint8 [h,w,C] in [0,255] of the frame as coded (not turned), brought to (height, width) while its colors are
    converted, as `ffmpeg -s WxH -pix_fmt rgb24` does (bicubic). Large frames are not made RGB before; one thread.

    Raises av.error.FFmpegError for colors that FFmpeg does not convert.
    """
    height, width = size
    plane = reformatter.reformat(
        _centered_chroma(frame),
        width=width,
        height=height,
        format="rgb24",
        interpolation=Interpolation.BICUBIC,
        threads=1,
    ).planes[0]
    return _rows(plane)[:, : width * 3].reshape(height, width, 3)


def turned_size(size: tuple[int, int], turn: Turn) -> tuple[int, int]:
    """(height, width) before or after a turn, of the other."""
    return size[::-1] if turn in ("clockwise", "anticlockwise", "transpose", "transverse") else size


def _centered_chroma(frame: VideoFrame) -> VideoFrame:
    """The frame without what it says of where color samples lie between pixels, if it has fewer of them than pixels.

    The ffmpeg program takes them to lie in the middle when it decodes, and puts them there when it encodes, whatever
    the stream says; the scaler alone would shift colors by half a pixel in H.264 and HEVC.
    """
    if all(plane.height == frame.height and plane.width == frame.width for plane in frame.planes):
        return frame
    copy = VideoFrame(frame.width, frame.height, frame.format.name)
    copy.colorspace, copy.color_range = frame.colorspace, frame.color_range
    for plane, source in zip(copy.planes, frame.planes):
        row_bytes = min(plane.line_size, source.line_size)
        _rows(plane)[:, :row_bytes] = _rows(source)[:, :row_bytes]
    return copy


def _rows(plane: VideoPlane) -> np.ndarray:
    """uint8 [height, bytes of a row and its padding], a view."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)


class SteadyDisplay:
    """Whether each frame of a stream can be shown as its first one is."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._first: tuple[int, int, Turn | None] | None = None
        self._known: set[tuple[object, ...]] = set()

    def why_not(self, frame: VideoFrame) -> str:
        """Why this frame cannot be: another size or turn, colors that are not converted; "" if it can."""
        matrix = display_matrix(frame)
        look = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range, matrix)
        if look in self._known:
            return ""
        turn, degrees = turn_of(matrix)
        self._first = first = self._first or (frame.width, frame.height, turn)
        if turn is None:
            return f"is to be shown turned by {degrees} degrees: only quarter turns are read"
        if (frame.width, frame.height) != first[:2]:
            return f"has size {frame.width}x{frame.height}, the first {first[0]}x{first[1]}"
        if turn != first[2]:
            return f"is to be shown turned otherwise than the first ({turn}, not {first[2]})"
        try:
            rgb_picture(frame, self._reformatter)
        except av.error.FFmpegError:
            space = f"{frame.format.name}, matrix {int(frame.colorspace)}, range {int(frame.color_range)}"
            return f"has colors that FFmpeg does not convert ({space})"
        self._known.add(look)
        return ""
