"""What is drawn on a stream's pictures: uint8 [H,W,C], H, W pixels, C = 3."""

from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEAST_LETTERS = 10  # pixels
LEAST_SIDE = 160
"""Pixels: what is smaller is enlarged, so that the text leaves most of it to be seen."""
DARK, BRIGHT, ALARM = (16, 16, 16), (255, 255, 255), (255, 64, 64)


def draw_label(picture_HWC: np.ndarray, told: dict[str, Any] | None) -> np.ndarray:
    """The picture with a line of text and, beneath it, a bar as long as the first class is likely; nothing is told: no
    line."""
    if told is None:
        return enlarged(picture_HWC)
    likely = next(iter(told["probabilities"].items()))
    names = told.get("labels", [likely[0]])
    return draw_line(picture_HWC, f"{', '.join(names) or '-'} {likely[1]:.2f}", share=likely[1])


def draw_line(picture_HWC: np.ndarray, text: str, *, share: float, is_alarm: bool = False) -> np.ndarray:
    """A strip at the top with a text and a bar of `share` of the width."""
    picture_HWC = enlarged(picture_HWC)
    height, width = picture_HWC.shape[:2]
    letters = max(LEAST_LETTERS, height // 20)
    strip, bar = round(1.5 * letters), max(2, letters // 5)
    image = Image.fromarray(picture_HWC)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width, strip + bar), fill=DARK)
    pen.text((letters // 3, strip // 2), text, fill=BRIGHT, font=_font(letters), anchor="lm")
    pen.rectangle((0, strip, max(0, round(share * width) - 1), strip + bar), fill=ALARM if is_alarm else BRIGHT)
    return np.asarray(image)


def enlarged(picture_HWC: np.ndarray) -> np.ndarray:
    """Its pixels repeated until its shorter side has LEAST_SIDE: 40x60 -> 160x240."""
    factor = -(-LEAST_SIDE // min(picture_HWC.shape[:2]))
    return picture_HWC if factor == 1 else picture_HWC.repeat(factor, 0).repeat(factor, 1)


@cache
def _font(size: int) -> Any:
    """Pillow's own."""
    return ImageFont.load_default(size)
