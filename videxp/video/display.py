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
from av.video.reformatter import Interpolation, VideoReformatter

from videxp.video.container import open_container
from videxp.video.errors import UnreadableVideo

Turn = Literal["none", "clockwise", "anticlockwise", "half", "mirror", "flip", "transpose", "transverse"]
IDENTITY = (65536, 0, 0, 65536)


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
        swapped = turn in ("clockwise", "anticlockwise", "transpose", "transverse")
        height, width = (frame.width, frame.height) if swapped else (frame.height, frame.width)
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


def rgb_picture(
    frame: VideoFrame, reformatter: VideoReformatter, *, interpolation: int = Interpolation.BICUBIC
) -> np.ndarray:
    """uint8 [H,W,C] in [0,255] of the frame as coded (not turned); one thread, and no scaler context per frame."""
    # Bicubic is what the ffmpeg program takes where chroma must be scaled; yuv420p of even size has its own fast path.
    plane = reformatter.reformat(frame, format="rgb24", interpolation=interpolation, threads=1).planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * 3].reshape(plane.height, plane.width, 3)
