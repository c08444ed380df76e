"""What is drawn on pictures: uint8 [H,W,C], H, W pixels, C = 3 (red, green, blue)."""

from functools import cache
from typing import Any

import numpy as np
from PIL import ImageFont

LEAST_LETTERS = 10  # pixels
LEAST_SIDE = 160
"""Pixels: what is smaller is enlarged, so that text leaves most of it to be seen."""
DARK, BRIGHT = (16, 16, 16), (255, 255, 255)


def enlargement(size: tuple[int, int]) -> int:
    """By which pictures of (height, width) are enlarged, so that their shorter side has LEAST_SIDE: (40, 60) -> 4."""
    return -(-LEAST_SIDE // min(size))


def enlarged(picture_HWC: np.ndarray) -> np.ndarray:
    """Its pixels repeated until its shorter side has LEAST_SIDE: 40x60 -> 160x240."""
    factor = enlargement((picture_HWC.shape[0], picture_HWC.shape[1]))
    return picture_HWC if factor == 1 else picture_HWC.repeat(factor, 0).repeat(factor, 1)


@cache
def letters(size: int) -> Any:
    """Pillow's own font."""
    return ImageFont.load_default(size)
