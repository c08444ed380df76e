"""Masks that are drawn: which pixels of a clip are hidden, to learn inpainting from whole videos and to be tested on.

All randomness comes from the numpy generator that is handed in. Each class is called with a clip uint8 [T,H,W,C] and a
generator, and returns uint8 [T,H,W,1]: 1 = hidden. Legend: T frames, H, W pixels; speeds are in pixels per frame.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from PIL import Image, ImageDraw

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval

CURVE_POINTS = 12  # straight pieces that a cubic curve is drawn with


class Blobs:
    """Blobs with curved outlines, still or wandering: the training masks of STTN (Zeng et al. 2020, section 4).

    size: least and greatest height of a blob as a share of the frame's height, and likewise its width. corners: least
    and greatest number of its cubic Bezier curves. stationary: the chance that it stands still; else its speed is at
    most `max_speed`, changes by Gaussian acceleration, and it bounces off the frame's borders. count: blobs of a clip.
    """

    def __init__(
        self,
        *,
        size: Sequence[float] = (1 / 3, 1.0),
        corners: Sequence[int] = (6, 8),
        stationary: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        max_speed: Annotated[float, Ge(0)] = 3.0,
        count: Annotated[int, Ge(1)] = 1,
    ) -> None:
        if not 0 < size[0] <= size[1] <= 1:
            raise BadRequest(f"masks: size={list(size)} must be [least, greatest] with 0 < least <= greatest <= 1")
        if not 3 <= corners[0] <= corners[1]:
            raise BadRequest(f"masks: corners={list(corners)} must be [least, greatest] with 3 <= least <= greatest")
        self.size, self.corners = (size[0], size[1]), (corners[0], corners[1])
        self.stationary, self.max_speed, self.count = stationary, max_speed, count

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        frames, height, width = clip.shape[:3]
        mask_THW = np.zeros((frames, height, width), np.uint8)
        for _ in range(self.count):
            self._add(mask_THW, rng)
        return mask_THW[..., None]

    def _add(self, mask_THW: np.ndarray, rng: np.random.Generator) -> None:
        frames, *frame_size = mask_THW.shape
        size = [_whole(rng.uniform(*self.size) * side, most=side) for side in frame_size]
        blob = draw_blob((size[0], size[1]), corners=int(rng.integers(self.corners[0], self.corners[1] + 1)), rng=rng)
        room = np.array([whole - part for whole, part in zip(frame_size, size)])
        start = rng.integers(room + 1)
        if rng.random() < self.stationary:
            places_T2 = np.repeat(start[None], frames, axis=0)
        else:
            places_T2 = wander(start, room, num_frames=frames, max_speed=self.max_speed, rng=rng)
        for mask_HW, (top, left) in zip(mask_THW, places_T2):
            mask_HW[top : top + size[0], left : left + size[1]] |= blob

    def __str__(self) -> str:
        share = f"{self.size[0]:.2g} to {self.size[1]:.2g} of height and width"
        moving = f"{1 - self.stationary:.0%} moving at up to {self.max_speed:g} px"
        return f"holes: {self.count} blob{'s' * (self.count > 1)} of {share}, {moving}"


class Strokes:
    """Free-form brush strokes (DeepFill v2, Yu et al. 2019, section 3.4), still or wandering together as a blob does.

    strokes, vertices: least and greatest number of them. width: least and greatest width of the brush as a share of the
    frame's short side. stationary, max_speed: as of `Blobs`; what wanders leaves the frame at its borders.
    """

    def __init__(
        self,
        *,
        strokes: Sequence[int] = (2, 6),
        vertices: Sequence[int] = (4, 12),
        width: Sequence[float] = (0.04, 0.12),
        stationary: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        max_speed: Annotated[float, Ge(0)] = 3.0,
    ) -> None:
        for name, (least, most), lowest in (("strokes", strokes, 1), ("vertices", vertices, 2), ("width", width, 0)):
            if not lowest <= least <= most:
                raise BadRequest(f"masks: {name}={[least, most]} must be [least, greatest] with least >= {lowest}")
        self.strokes, self.vertices = (strokes[0], strokes[1]), (vertices[0], vertices[1])
        self.width = (width[0], width[1])
        self.stationary, self.max_speed = stationary, max_speed

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        frames, height, width = clip.shape[:3]
        lines = [self._line((height, width), rng) for _ in range(rng.integers(self.strokes[0], self.strokes[1] + 1))]
        shifts_T2 = np.zeros((frames, 2))
        if rng.random() >= self.stationary:
            room = np.array([height, width]) // 4
            shifts_T2 = wander(room // 2, room, num_frames=frames, max_speed=self.max_speed, rng=rng) - room // 2
        mask_THW1 = np.empty((frames, height, width, 1), np.uint8)
        for t, shift in enumerate(shifts_T2):
            if t and (shift == shifts_T2[t - 1]).all():
                mask_THW1[t] = mask_THW1[t - 1]
            else:
                mask_THW1[t, ..., 0] = _draw_lines(
                    (height, width), [(points + shift, brush) for points, brush in lines]
                )
        return mask_THW1

    def _line(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """(points [n,2] as (y, x), width of the brush in pixels); pieces turn back and forth by some 72 degrees."""
        brush = _whole(rng.uniform(*self.width) * min(size), most=min(size))
        length = math.hypot(*size) / 8
        turn = 2 * math.pi / 5
        points = [rng.random(2) * size]
        for i in range(rng.integers(self.vertices[0], self.vertices[1] + 1) - 1):
            angle = turn + rng.uniform(-math.pi / 7.5, math.pi / 7.5) + math.pi * (i % 2)
            step = abs(rng.normal(length, length / 2))
            points.append(np.clip(points[-1] + step * np.array([math.sin(angle), math.cos(angle)]), 0, size))
        return np.array(points), brush

    def __str__(self) -> str:
        least, most = self.strokes
        moving = f"{1 - self.stationary:.0%} moving at up to {self.max_speed:g} px"
        return f"holes: {least} to {most} brush strokes, {moving}"


class Rectangle:
    """The same rectangle in every frame, as a logo or subtitles take it. Nothing is random.

    x, y: of its upper left corner; width, height: all as shares of the frame's width and height.
    """

    def __init__(
        self,
        *,
        x: Annotated[float, Interval(ge=0, lt=1)],
        y: Annotated[float, Interval(ge=0, lt=1)],
        width: Annotated[float, Interval(gt=0, le=1)],
        height: Annotated[float, Interval(gt=0, le=1)],
    ) -> None:
        if x + width > 1 or y + height > 1:
            raise BadRequest(
                f"masks: x={x:g} y={y:g} width={width:g} height={height:g} leaves the frame: keep within 1"
            )
        self.x, self.y, self.width, self.height = x, y, width, height

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        frames, height, width = clip.shape[:3]
        mask_THW1 = np.zeros((frames, height, width, 1), np.uint8)
        top, bottom = (round(share * height) for share in (self.y, self.y + self.height))
        left, right = (round(share * width) for share in (self.x, self.x + self.width))
        mask_THW1[:, top : max(bottom, top + 1), left : max(right, left + 1)] = 1
        return mask_THW1

    def __str__(self) -> str:
        return f"hole: a rectangle at {self.x:g}, {self.y:g} of {self.width:g} x {self.height:g} of the frame"


class MixedMasks:
    """One of several kinds for each clip, each with the same chance: masks: name -> such as `Blobs`."""

    def __init__(self, *, masks: Mapping[str, Any]) -> None:
        if not masks:
            raise BadRequest("masks: none given; one at least, such as videxp.transforms.Blobs")
        self.masks = dict(masks)

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        kinds = list(self.masks.values())
        mask: np.ndarray = kinds[int(rng.integers(len(kinds)))](clip, rng)
        return mask

    def __str__(self) -> str:
        return " or ".join(str(mask) for mask in self.masks.values())


def draw_blob(size: tuple[int, int], *, corners: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [height,width] that the blob touches on all sides: `corners` cubic Bezier curves in a row, whose points lie
    around a circle at distances of up to 60 to 80 % more or less than its radius."""
    count = 3 * corners
    ratio = rng.integers(6, 9) / 10
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radii = 2 * ratio * rng.random(count) + 1 - ratio
    points = np.stack([np.sin(angles), np.cos(angles)], axis=1) * radii[:, None]
    points = np.concatenate([points, points[:1]])
    t = np.linspace(0, 1, CURVE_POINTS, endpoint=False)[:, None]
    weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
    curves = [sum(w * p for w, p in zip(weights, points[i : i + 4])) for i in range(0, count, 3)]
    outline = np.concatenate(curves)
    outline -= outline.min(axis=0)
    outline *= (np.array(size) - 1) / np.maximum(outline.max(axis=0), 1e-9)
    picture = Image.new("L", (size[1], size[0]))
    ImageDraw.Draw(picture).polygon([(x, y) for y, x in outline.round().tolist()], fill=1, outline=1)
    return np.asarray(picture)


def wander(
    start: np.ndarray, room: np.ndarray, *, num_frames: int, max_speed: float, rng: np.random.Generator
) -> np.ndarray:
    """int64 [num_frames,2]: places (y, x) from `start` on, within 0 and `room`, at whose ends it bounces.

    Speed and direction change from frame to frame by Gaussian amounts: half of `max_speed`, and a quarter of a radian.
    """
    speed, angle = min(abs(rng.normal(0, max_speed / 2)), max_speed), rng.uniform(0, 2 * np.pi)
    place, places = np.array(start, dtype=float), [np.array(start, dtype=float)]
    for _ in range(num_frames - 1):
        step = speed * np.array([math.sin(angle), math.cos(angle)])
        ahead = place + step
        bounced = np.where((ahead < 0) | (ahead > room), -step, step)
        place = np.clip(place + bounced, 0, room)
        places.append(place)
        angle = math.atan2(*bounced) + rng.normal(0, 0.25)
        speed = min(abs(speed + rng.normal(0, max_speed / 2)), max_speed)
    return np.round(places).astype(np.int64)


def _draw_lines(size: tuple[int, int], lines: Sequence[tuple[np.ndarray, int]]) -> np.ndarray:
    """uint8 [height,width] of lines with round joints."""
    picture = Image.new("L", (size[1], size[0]))
    draw = ImageDraw.Draw(picture)
    for points, brush in lines:
        places = [(x, y) for y, x in points.tolist()]
        draw.line(places, fill=1, width=brush)
        for x, y in places:
            draw.ellipse([x - brush / 2, y - brush / 2, x + brush / 2, y + brush / 2], fill=1)
    return np.asarray(picture)


def _whole(length: float, *, most: int) -> int:
    return max(1, min(round(length), most))
