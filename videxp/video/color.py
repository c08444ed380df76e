"""What the numbers in a stream's pictures mean, so that a copy of the stream can be written in the same terms.

Codes are ITU-T H.273's: matrix 1 = BT.709, 2 = not said, 5 and 6 = BT.601, 9 = BT.2020.
Shapes: H, W = height and width in pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

import re
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

UNSAID, BT601 = 2, 6
# The fast ways between YUV and RGB round down: a video would get darker by a grey level each time it is made anew.
SWS_ACCURATE_RND, SWS_FULL_CHR_H_INT = 0x40000, 0x2000
UNBIASED = int(Interpolation.BICUBIC) | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT
PLANAR = re.compile(r"yuvj?(420|422|444)p(?:(?:9|10|12|14)le)?")
SCALER_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}


@dataclass(frozen=True)
class Color:
    """Matrix from YUV to RGB, range (full: 0-255, else 16-235), primaries, transfer curve."""

    matrix: int = BT601
    full_range: bool = False
    primaries: int = UNSAID
    transfer: int = UNSAID


def color_of(frame: VideoFrame) -> Color:
    """The color in which a copy of the frame's stream is to be written.

    What says nothing is decoded as BT.601, as FFmpeg does. The copy says so if the pictures are small, because its own
    may be large, and players take large ones for BT.709; if they are large already, it says nothing either.
    """
    if frame.format.is_rgb or frame.format.has_palette:
        return Color(primaries=frame.color_primaries, transfer=frame.color_trc)
    large = frame.width >= 1280 or frame.height > 576
    unsaid = UNSAID if large else BT601
    return Color(
        matrix=frame.colorspace if frame.colorspace in SCALER_MATRIX else unsaid,
        full_range=frame.color_range == ColorRange.JPEG,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
    )


def coded_picture(
    picture_HWC: np.ndarray, color: Color, *, pixel_format: str, reformatter: VideoReformatter
) -> VideoFrame:
    """The picture in an encoder's pixel format: the inverse of `videxp.video.display.rgb_picture`, one thread.

    Rounded to the nearest code, so that grey stays grey and nothing drifts when a video is made anew again and again.
    """
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture_HWC), format="rgb24")
    if not pixel_format.startswith("yuv"):
        return reformatter.reformat(frame, format=pixel_format, threads=1)
    planar = PLANAR.fullmatch(pixel_format) if color.full_range else None
    coded = reformatter.reformat(
        frame,
        format=f"yuv{planar[1]}p16le" if planar else pixel_format,
        dst_colorspace=SCALER_MATRIX.get(color.matrix, Colorspace.ITU601),
        dst_color_range=ColorRange.JPEG if color.full_range else ColorRange.MPEG,
        interpolation=UNBIASED,
        threads=1,
    )
    if planar:
        coded = _with_fewer_bits(coded, pixel_format)
    coded.colorspace = color.matrix
    coded.color_range = ColorRange.JPEG if color.full_range else ColorRange.MPEG
    coded.color_primaries, coded.color_trc = color.primaries, color.transfer
    return coded


def _with_fewer_bits(wide: VideoFrame, pixel_format: str) -> VideoFrame:
    """A frame of full range and 16 bits in 8 to 14 bits: swscale itself would take half a level off all chroma."""
    narrow = VideoFrame(wide.width, wide.height, pixel_format)
    for number, (source, target) in enumerate(zip(wide.planes, narrow.planes)):
        bits = narrow.format.components[number].bits
        top = 2**bits - 1
        middle = 0 if number == 0 else 32768  # chroma is scaled about its middle
        codes = _codes(source, bits=16).astype(np.int64) - middle
        shift = 0 if number == 0 else 2 ** (bits - 1)
        _codes(target, bits=bits)[:] = ((2 * codes * top + 65535) // (2 * 65535) + shift).clip(0, top)
    return narrow


def _codes(plane: VideoPlane, *, bits: int) -> np.ndarray:
    """[H,W] of a plane, a view."""
    kind = np.dtype(np.uint8 if bits <= 8 else "<u2")
    rows = np.frombuffer(memoryview(plane), kind).reshape(plane.height, plane.line_size // kind.itemsize)
    return rows[:, : plane.width]
