"""What the numbers in a stream's pictures mean, so that a copy of the stream can be written in the same terms.

Codes are ITU-T H.273's: matrix 1 = BT.709, 2 = not said, 5 and 6 = BT.601, 9 = BT.2020.
Shapes: H, W = height and width in pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

UNSAID, BT601 = 2, 6
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
    """The colour in which a copy of the frame's stream is to be written.

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
    """The picture in an encoder's pixel format: the inverse of `videxp.video.display.rgb_picture`, one thread."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture_HWC), format="rgb24")
    if not pixel_format.startswith("yuv"):
        return reformatter.reformat(frame, format=pixel_format, threads=1)
    coded = reformatter.reformat(
        frame,
        format=pixel_format,
        dst_colorspace=SCALER_MATRIX.get(color.matrix, Colorspace.ITU601),
        dst_color_range=ColorRange.JPEG if color.full_range else ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC,
        threads=1,
    )
    coded.colorspace = color.matrix
    coded.color_primaries, coded.color_trc = color.primaries, color.transfer
    return coded
