"""Boxes drawn on a picture: a frame of one color for each track, with the class, the probability and the number.

Shapes: H, W pixels, C = 3 (red, green, blue), uint8; D boxes, xyxy in pixels of the picture.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from videxp.core.boxes import FrameBoxes
from videxp.tasks.pictures import cut_text, drawable
from videxp.video.drawing import BRIGHT, DARK, LEAST_LETTERS, enlarged, enlargement, letters

Color = tuple[int, int, int]
Place = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels."""

GOLDEN = 0.618033988749895
"""Part of a turn from one track's hue to the next one's: neighbors are far apart, and no two are alike."""
LIGHTNESS = (0.62, 0.5, 0.74)
GREY = (0.299, 0.587, 0.114)
LETTERS_OF_HEIGHT, LINES_OF_HEIGHT = 36, 240
"""How many letters, and lines, stand above one another in a picture."""


@dataclass(frozen=True)
class DrawnBox:
    """dashed: of a box that is there, but was not found. text: "" leaves the box without."""

    xyxy: tuple[float, float, float, float]
    text: str
    color: Color
    dashed: bool = False

    def scaled(self, across: float, down: float) -> "DrawnBox":
        x0, y0, x1, y1 = self.xyxy
        return replace(self, xyxy=(x0 * across, y0 * down, x1 * across, y1 * down))


@cache
def track_color(number: int) -> Color:
    """The same for a track in all frames, and on all machines."""
    red, green, blue = colorsys.hls_to_rgb(number * GOLDEN % 1, LIGHTNESS[number % len(LIGHTNESS)], 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def found_boxes(boxes: FrameBoxes, classes: Sequence[str]) -> list[DrawnBox]:
    """What was found on a frame: a box of several classes once, `run 0.91, wave 0.55 #3`. One without a track has the
    color of its class."""
    rows = list(zip(map(tuple, boxes.xyxy.tolist()), *(column.tolist() for column in boxes[1:])))
    order = {(box, track): place for place, (box, _, _, track) in reversed([*enumerate(rows)])}
    rows.sort(key=lambda row: order[row[0], row[3]])
    drawn = []
    for (box, track), of_box in groupby(rows, key=lambda row: (row[0], row[3])):
        named = [(classes[label], score, label) for _, label, score, _ in of_box]
        text = ", ".join(f"{drawable(name)} {score:.2f}" for name, score, _ in named)
        color = track_color(track if track >= 0 else named[0][2])
        drawn.append(DrawnBox(box, f"{text} #{track}" if track >= 0 else text, color))
    return drawn


def draw_boxes(picture_HWC: np.ndarray, boxes: Sequence[DrawnBox]) -> np.ndarray:
    """The picture, a small one enlarged, with these boxes; the first ones are on top. Texts give way to one another."""
    factor = enlargement((picture_HWC.shape[0], picture_HWC.shape[1]))
    image = Image.fromarray(enlarged(picture_HWC))
    pen = ImageDraw.Draw(image)
    line = max(2, round(image.height / LINES_OF_HEIGHT))
    font = letters(max(LEAST_LETTERS, image.height // LETTERS_OF_HEIGHT))
    frames = [_frame(box, factor, size=image.size) for box in boxes]
    for box, frame in reversed([*zip(boxes, frames)]):
        _outline(pen, frame, box, line)
    taken: list[Place] = []
    for box, frame in zip(boxes, frames):
        if box.text:
            text = cut_text(box.text, room=image.width - 4, measure=partial(pen.textlength, font=font))
            taken.append(_write(pen, text, frame, box.color, taken, font=font, size=image.size))
    return np.asarray(image)


def _frame(box: DrawnBox, factor: int, *, size: tuple[int, int]) -> Place:
    """The pixels of a box's border, within a picture of (width, height)."""
    x0, y0, x1, y1 = (round(factor * value) for value in box.xyxy)
    left, top = min(max(x0, 0), size[0] - 1), min(max(y0, 0), size[1] - 1)
    return left, top, min(max(x1 - 1, left), size[0] - 1), min(max(y1 - 1, top), size[1] - 1)


def _outline(pen: ImageDraw.ImageDraw, frame: Place, box: DrawnBox, line: int) -> None:
    """A dark line within a colored one, so that it is seen on any ground."""
    if not box.dashed:
        pen.rectangle(frame, outline=box.color, width=line)
        within = frame[0] + line, frame[1] + line, frame[2] - line, frame[3] - line
        if within[0] < within[2] and within[1] < within[3]:
            pen.rectangle(within, outline=DARK)
        return
    left, top, right, bottom = frame
    dash = 3 * line
    for x in range(left, right + 1, 2 * dash):
        for y in (top, max(top, bottom - line + 1)):
            pen.rectangle((x, y, min(x + dash, right), min(y + line - 1, bottom)), fill=box.color)
    for y in range(top, bottom + 1, 2 * dash):
        for x in (left, max(left, right - line + 1)):
            pen.rectangle((x, y, min(x + line - 1, right), min(y + dash, bottom)), fill=box.color)


def _write(
    pen: ImageDraw.ImageDraw,
    text: str,
    frame: Place,
    color: Color,
    taken: Sequence[Place],
    *,
    font: Any,
    size: tuple[int, int],
) -> Place:
    """A text on its color: above the box, below it or in it, where no other text stands; else above."""
    width, height = round(pen.textlength(text, font=font)) + 4, round(1.35 * font.size)
    left = min(max(frame[0], 0), max(0, size[0] - width))
    tops = [frame[1] - height, frame[3] + 1, frame[1] + 1, frame[3] - height]
    places = [(left, top, left + width, top + height) for top in tops if 0 <= top <= size[1] - height]
    places = places or [(left, max(0, min(frame[1], size[1] - height)), left + width, frame[1] + height)]
    place = next((one for one in places if not any(_meet(one, other) for other in taken)), places[0])
    pen.rectangle((place[0], place[1], place[2] - 1, place[1] + height - 1), fill=color)
    ink = DARK if np.dot(color, GREY) > 110 else BRIGHT
    pen.text((place[0] + 2, place[1] + height // 2), text, fill=ink, font=font, anchor="lm")
    return place


def _meet(one: Place, other: Place) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
