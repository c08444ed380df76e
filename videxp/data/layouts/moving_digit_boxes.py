"""Handwritten digits that move over a texture and cross, each with its box, its class and its track: for detectors.

The class of a digit is where it moves, as in `moving_digits.py`, whose pictures these are: a single frame tells where
digits are and nothing of their classes. Of each video the first two digits meet; the later one is in front.

Legend: T frames, S = height = width in pixels, P = a digit's pixels.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import numpy as np

from videxp.core.boxes import paired_iou
from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.core.limits import Ge, Gt, MultipleOf
from videxp.core.processes import in_processes
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.boxes import Boxes, BoxOnFrame
from videxp.data.layouts.base import Layout
from videxp.data.layouts.moving_digits import (
    DIGIT_PIXELS,
    SPEED_PIXELS,
    SPLIT_NUMBERS,
    STRAIGHT,
    background,
    digits_of,
    place,
)
from videxp.data.layouts.walk import refusal_of_others
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes

VERSION = 1
"""Raised when the same parameters make other frames, so that old files are not taken for new ones."""
OWN_FOLDER = re.compile(r"boxes-[0-9a-f]{8}")
REMEDY = "choose another dataset.root"
CLASSES = ("right", "up", "left", "down")
INK = 0.25
"""Opacity from which a pixel of a digit's picture is within its box."""
MISSED_PIXELS = 3.0
"""Standard deviation of the distance between the first two digits of a video where they meet."""
OVERLAP, MOST_COVERED = 0.1, 0.4
"""IoU from which boxes overlap, and the share of frames on which a third digit may overlap one of the others; one that
does so more is left out."""


@dataclass(frozen=True)
class MovingDigit:
    """A digit on its way, straight and within the picture."""

    label: str
    picture_PP: np.ndarray
    """[P,P] in [0,1]"""
    ink: np.ndarray
    """[3] in [0,255]"""
    corner_T2: np.ndarray
    """float y, x of the picture's upper left corner"""

    @property
    def xyxy_T4(self) -> np.ndarray:
        """Its box on each frame: around what has ink."""
        rows, columns = (np.flatnonzero((self.picture_PP >= INK).any(axis)) for axis in (1, 0))
        within = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        return self.corner_T2[:, [1, 0, 1, 0]] + within


class MovingDigitBoxes(Layout):
    """Makes its own files under root, once, as H.264 mp4; a folder for each set of parameters.

    A video shows two or three digits. The same seed makes the same frames.
    """

    def __init__(
        self,
        *,
        train_videos: Annotated[int, Ge(1)] = 800,
        val_videos: Annotated[int, Ge(1)] = 24,
        test_videos: Annotated[int, Ge(1)] = 80,
        frames_per_video: Annotated[int, Ge(2)] = 24,
        video_size: Annotated[int, Ge(64), MultipleOf(2)] = 64,
        fps: Annotated[float, Gt(0)] = 12.0,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        reach = DIGIT_PIXELS + SPEED_PIXELS[1] * (frames_per_video - 1)
        if reach > video_size:
            raise BadRequest(
                f"dataset.layout.frames_per_video={frames_per_video}: a digit would leave the picture of {video_size} "
                f"pixels: dataset.layout.video_size={2 * int(np.ceil(reach / 2))}"
            )
        self.train_videos = train_videos
        self.val_videos = val_videos
        self.test_videos = test_videos
        self.frames_per_video = frames_per_video
        self.video_size = video_size
        self.fps = fps
        self.seed = seed

    @property
    def annotations(self) -> Sequence[Boxes]:
        return [Boxes("boxes", classes=CLASSES)]

    @property
    def folder(self) -> str:
        """Named by its parameters, so that other parameters never meet these files."""
        key = json.dumps([VERSION, self.settings()], sort_keys=True)
        return f"boxes-{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}"

    def missing(self, root: Path) -> list[str]:
        return refusal_of_others(root, own=OWN_FOLDER, remedy=REMEDY)  # whatever is missing will be made

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        counts: dict[Split, int] = {"train": self.train_videos, "val": self.val_videos, "test": self.test_videos}
        return [self._row(split, number) for split, count in counts.items() for number in range(count)]

    def _row(self, split: Split, number: int) -> Row:
        """Its labels are the classes of its digits."""
        path = f"{self.folder}/{split}/{number:05d}.mp4"
        digits = self.digits(path)
        boxes = [
            BoxOnFrame(frame, x0, y0, x1, y1, digit.label, track)
            for track, digit in enumerate(digits)
            for frame, (x0, y0, x1, y1) in enumerate(digit.xyxy_T4.tolist())
        ]
        labels = tuple(sorted({digit.label for digit in digits}))
        (annotation,) = self.annotations
        return Row(path, split, labels).with_field("boxes", annotation.pack(boxes))

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        return list(CLASSES)

    def make(self, root: Path) -> None:
        """Files appear whole, so an interrupted run goes on where it stopped, and a lost file is made again."""
        if problems := self.missing(root):
            raise BadRequest("\n".join(problems))
        todo = [row.path for row in self.rows(root) if not (root / row.path).exists()]
        if todo:
            for folder in {(root / path).parent for path in todo}:
                folder.mkdir(parents=True, exist_ok=True)
            for _ in in_processes(partial(self.write, root=root), todo, description="Making moving digits"):
                pass
            about = {"version": VERSION, **self.settings()}
            write_text(root / self.folder / "parameters.json", json.dumps(about, indent=1) + "\n")

    def write(self, path: str, *, root: Path) -> None:
        from videxp.video import write_video

        write_video(root / path, self.frames(path), fps=self.fps)

    def frames(self, path: str) -> np.ndarray:
        """The frames that `path` (one of the rows) holds before it is encoded, uint8 [T,S,S,3]."""
        ground = background(self._rng(path, part=1), size=self.video_size)
        video = np.repeat(ground[None], self.frames_per_video, 0)
        for digit in self.digits(path):
            opacity = np.stack([place(digit.picture_PP, at=at, size=self.video_size) for at in digit.corner_T2])[
                ..., None
            ]
            video = video * (1 - opacity) + digit.ink.astype(np.float32) * opacity
        return np.rint(video).astype(np.uint8)

    def digits(self, path: str) -> list[MovingDigit]:
        """What moves in the video of a row, from the back to the front."""
        split = cast(Split, path.split("/")[1])
        rng = self._rng(path)
        size, frames = self.video_size, self.frames_per_video

        first, second = (CLASSES[number] for number in rng.permutation(len(CLASSES))[:2])
        digits = [draw_digit(rng, first, split=split, num_frames=frames, size=size)]
        when = int(rng.integers(frames // 4, frames - frames // 4))
        where = digits[0].corner_T2[when] + rng.normal(0, MISSED_PIXELS, size=2)
        digits.append(draw_digit(rng, second, split=split, num_frames=frames, size=size, at=(when, where)))
        if rng.random() < 0.5:
            third = CLASSES[rng.integers(len(CLASSES))]
            digits.append(draw_digit(rng, third, split=split, num_frames=frames, size=size))
            if max(covered_share(digits[2], digit) for digit in digits[:2]) > MOST_COVERED:
                digits.pop()
        return digits

    def _rng(self, path: str, *, part: int = 0) -> np.random.Generator:
        _, split, file = path.split("/")
        epoch = SPLIT_NUMBERS[cast(Split, split)]
        return generator(self.seed, stream=Stream.GENERATE, epoch=epoch, index=int(Path(file).stem), more=(part,))


def draw_digit(
    rng: np.random.Generator,
    label: str,
    *,
    split: Split,
    num_frames: int,
    size: int,
    at: tuple[int, np.ndarray] | None = None,
) -> MovingDigit:
    """At a constant speed, anywhere from where it stays in the picture; at: a frame and the corner (y, x) that it then
    has, or comes as near as that allows."""
    pictures = digits_of(split)
    picture = pictures[rng.integers(len(pictures))]
    ink = rng.uniform(170, 250) * rng.uniform(0.7, 1.0, size=3)
    angle = np.deg2rad(STRAIGHT[label])
    way_T2 = np.arange(num_frames)[:, None] * rng.uniform(*SPEED_PIXELS) * [[-np.sin(angle), np.cos(angle)]]
    least, most = -way_T2.min(0), size - DIGIT_PIXELS - way_T2.max(0)
    start = rng.uniform(least, most) if at is None else np.clip(at[1] - way_T2[at[0]], least, most)
    return MovingDigit(label, picture, ink, start + way_T2)


def covered_share(one: MovingDigit, other: MovingDigit) -> float:
    """Of frames on which their boxes overlap."""
    return float((paired_iou(one.xyxy_T4, other.xyxy_T4) > OVERLAP).mean())
