"""What is drawn on a stream's pictures: uint8 [H,W,C], H, W pixels, C = 3."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from videxp.video.drawing import BRIGHT, DARK, LEAST_LETTERS, enlarged, letters

ALARM = (255, 64, 64)


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
    size = max(LEAST_LETTERS, height // 20)
    strip, bar = round(1.5 * size), max(2, size // 5)
    image = Image.fromarray(picture_HWC)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width, strip + bar), fill=DARK)
    pen.text((size // 3, strip // 2), text, fill=BRIGHT, font=letters(size), anchor="lm")
    pen.rectangle((0, strip, max(0, round(share * width) - 1), strip + bar), fill=ALARM if is_alarm else BRIGHT)
    return np.asarray(image)
