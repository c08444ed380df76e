"""Colors that an encoder is given, held against ITU-T H.273's equations: the nearest code, without a drift."""

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from videxp.video.color import Color, coded_picture

WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}  # of red and blue: BT.709, BT.601
GREYS = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (16, 1, 3))
BLOCKS = np.random.default_rng(0).integers(0, 256, (4, 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)


def equations(picture_HWC: np.ndarray, *, matrix: int, full_range: bool, bits: int = 8) -> list[np.ndarray]:
    """Y, U and V of every pixel, not rounded."""
    red, blue = WEIGHTS[matrix]
    r, g, b = np.moveaxis(picture_HWC.astype(float) / 255, 2, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    top, middle = 2**bits - 1, 2 ** (bits - 1)
    if full_range:
        return [top * y, top * u + middle, top * v + middle]
    unit = 2 ** (bits - 8)
    return [unit * (219 * y + 16), unit * 224 * u + middle, unit * 224 * v + middle]


def planes(frame: VideoFrame) -> list[np.ndarray]:
    kind = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else "<u2")
    return [np.frombuffer(memoryview(p), kind).reshape(p.height, -1)[:, : p.width].astype(float) for p in frame.planes]


def errors(frame: VideoFrame, expected: list[np.ndarray]) -> list[np.ndarray]:
    """Code minus equation, in the middle of blocks of 16 pixels, where chroma is not mixed with a neighbor's."""
    found = []
    for plane, wanted in zip(planes(frame), expected):
        step = wanted.shape[0] // plane.shape[0]
        small = wanted[::step, ::step] if step > 1 else wanted
        block = 16 // step
        found.append((plane - small)[block // 2 :: block, block // 2 :: block])
    return found


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuvj420p", "yuv420p10le"])
@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 6])
def test_codes_are_the_nearest_of_full_and_of_limited_range(matrix: int, full_range: bool, pixel_format: str):
    if pixel_format.startswith("yuvj") and not full_range:
        pytest.skip("a format of full range")
    bits = 10 if "10" in pixel_format else 8
    color = Color(matrix=matrix, full_range=full_range)
    for picture in (GREYS, BLOCKS):
        frame = coded_picture(picture, color, pixel_format=pixel_format, reformatter=VideoReformatter())
        assert frame.format.name == pixel_format
        for number, error in enumerate(
            errors(frame, equations(picture, matrix=matrix, full_range=full_range, bits=bits))
        ):
            assert np.abs(error).max() < 0.5 + 0.1 * 2 ** (bits - 8), number  # the scaler has its own coefficients
            assert abs(error.mean()) < 0.2, number
            if picture is GREYS and number:
                assert np.abs(error).max() < 1e-9  # grey is grey


def test_swscale_alone_turns_grey_of_full_range_green():
    frame = VideoFrame.from_ndarray(GREYS, format="rgb24")
    target = {"format": "yuv420p", "dst_colorspace": Colorspace.ITU601, "dst_color_range": ColorRange.JPEG}
    stock = VideoReformatter().reformat(frame, interpolation=Interpolation.BICUBIC, threads=1, **target)
    assert all(plane.mean() < 127.5 for plane in planes(stock)[1:])
