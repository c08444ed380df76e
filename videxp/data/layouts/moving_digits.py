"""Moving digits: scikit-learn's handwritten digits moving over a texture; the label is the motion.

A single frame says nothing about the label: where the digit is, which digit it is and what lies behind it are drawn
independently of the class, and the picture is a torus, so that every class has the digit everywhere equally often.
The reverse of every class is a class too, so a model that is blind to the order of frames cannot pass half of them.
Digits of train, val and test are different pictures.

Legend: T frames, S = height = width in pixels, P = the digit's pixels.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.core.limits import Ge, Gt, MultipleOf
from videxp.core.processes import in_processes
from videxp.core.randomness import Stream, generator
from videxp.data.layouts.base import Layout
from videxp.data.layouts.walk import refusal_of_others
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes

# Raised when the same parameters make other frames, so that old files are not taken for new ones.
VERSION = 1
OWN_FOLDER = re.compile(r"\d+px-\d+f-[0-9a-f]{8}")
REMEDY = (
    "train on them with classification/finetune (a generator: generation/mocogan_ucf101 dataset=generation_folder), "
    "or choose another dataset.root"
)
DIGIT_PIXELS = 16  # 8x8 twice enlarged
SPLIT_NUMBERS: dict[Split, int] = {"train": 0, "val": 1, "test": 2}
SPLIT_SHARES: dict[Split, tuple[float, float]] = {"train": (0.0, 0.7), "val": (0.7, 0.8), "test": (0.8, 1.0)}

# Heading in degrees, counter-clockwise from the right as seen on the screen.
STRAIGHT = {
    "right": 0,
    "up_right": 45,
    "up": 90,
    "up_left": 135,
    "left": 180,
    "down_left": 225,
    "down": 270,
    "down_right": 315,
}
TURNING = {"clockwise": -1, "counterclockwise": 1}
CLASSES = (*STRAIGHT, *TURNING)

SPEED_PIXELS = (1.0, 2.0)  # per frame
RADIUS_PIXELS = (6.0, 10.0)


class MovingDigits(Layout):
    """Makes its own files under root, once, as H.264 mp4; a folder for each set of parameters.

    The numbers of videos are spread evenly over the 10 classes (within one). The same seed makes the same frames.
    """

    def __init__(
        self,
        *,
        train_videos: Annotated[int, Ge(10)] = 1600,
        val_videos: Annotated[int, Ge(10)] = 240,
        test_videos: Annotated[int, Ge(10)] = 480,
        frames_per_video: Annotated[int, Ge(2)] = 24,
        video_size: Annotated[int, Ge(32), MultipleOf(2)] = 40,
        fps: Annotated[float, Gt(0)] = 12.0,
        ground: Literal["texture", "black"] = "texture",
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        """ground: black leaves the digit alone, for generators that have minutes to learn."""
        self.train_videos = train_videos
        self.val_videos = val_videos
        self.test_videos = test_videos
        self.frames_per_video = frames_per_video
        self.video_size = video_size
        self.fps = fps
        self.ground = ground
        self.seed = seed

    @property
    def folder(self) -> str:
        """Named by its parameters, so that other parameters never meet these files."""
        key = json.dumps([VERSION, self.settings()], sort_keys=True)
        return (
            f"{self.video_size}px-{self.frames_per_video}f-{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}"
        )

    def missing(self, root: Path) -> list[str]:
        return refusal_of_others(root, own=OWN_FOLDER, remedy=REMEDY)  # whatever is missing will be made

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        counts: dict[Split, int] = {"train": self.train_videos, "val": self.val_videos, "test": self.test_videos}
        return [
            Row(f"{self.folder}/{split}/{label}/{number:05d}.mp4", split, (label,))
            for split, count in counts.items()
            for number in range(count)
            for label in (CLASSES[number % len(CLASSES)],)
        ]

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        return list(CLASSES)

    def make(self, root: Path) -> None:
        """Files appear whole, so an interrupted run goes on where it stopped, and a lost file is made again."""
        if problems := self.missing(root):
            raise BadRequest("\n".join(problems))
        todo = [row.path for row in self.rows(root) if not (root / row.path).exists()]
        if todo:
            digit_images()  # read once here rather than in every process
            for folder in {(root / path).parent for path in todo}:
                folder.mkdir(parents=True, exist_ok=True)
            make_one = partial(self.write, root=root)
            for _ in in_processes(make_one, todo, description="Making moving digits"):
                pass
            about = {"version": VERSION, **self.settings()}
            write_text(root / self.folder / "parameters.json", json.dumps(about, indent=1) + "\n")

    def write(self, path: str, *, root: Path) -> None:
        from videxp.video import write_video

        write_video(root / path, self.frames(path), fps=self.fps)

    def frames(self, path: str) -> np.ndarray:
        """The frames that `path` (one of the rows) holds before it is encoded, uint8 [T,S,S,3]."""
        split, label, rng = self._drawing(path)
        frames, size = self.frames_per_video, self.video_size
        return draw_video(rng, label=label, split=split, num_frames=frames, size=size, ground=self.ground)

    def cause(self, path: str) -> np.ndarray | None:
        """Where the digit is: the label is its motion."""
        if all(row.path != path for row in self.rows(Path())):  # such as a video of other parameters
            return None
        split, label, rng = self._drawing(path)
        drawn = draw_digit(rng, label=label, split=split, num_frames=self.frames_per_video, size=self.video_size)
        return np.where(drawn.opacity_TSS > 0.5, 255, 0).astype(np.uint8)

    def _drawing(self, path: str) -> tuple[Split, str, np.random.Generator]:
        """(split, label, all that is random) of a row's video."""
        _, folder, label, file = path.split("/")
        split = cast(Split, folder)
        sample = int(Path(file).stem)
        rng = generator(self.seed, stream=Stream.GENERATE, epoch=SPLIT_NUMBERS[split], index=sample)
        return split, label, rng


@dataclass(frozen=True)
class DrawnDigit:
    """A digit on its way, before it is put over its ground."""

    opacity_TSS: np.ndarray
    """[T,S,S] in [0,1]: 0 where the ground is seen"""
    ink: np.ndarray
    """[3] in [0,255]"""
    ground_SS3: np.ndarray
    """float32 [S,S,3] in [0,255]"""


def draw_video(
    rng: np.random.Generator,
    *,
    label: str,
    split: Split,
    num_frames: int,
    size: int,
    ground: Literal["texture", "black"] = "texture",
) -> np.ndarray:
    """uint8 [T,S,S,3]."""
    drawn = draw_digit(rng, label=label, split=split, num_frames=num_frames, size=size)
    behind = drawn.ground_SS3 * (ground == "texture")
    opacity = drawn.opacity_TSS[..., None]
    video = behind * (1 - opacity) + drawn.ink.astype(np.float32) * opacity
    return np.rint(video).astype(np.uint8)


def draw_digit(rng: np.random.Generator, *, label: str, split: Split, num_frames: int, size: int) -> DrawnDigit:
    """All that is drawn before the motion does not know the label."""
    digits = digits_of(split)
    digit = digits[rng.integers(len(digits))]  # [P,P] in [0,1]
    ink = rng.uniform(170, 250) * rng.uniform(0.85, 1.0, size=3)
    behind = background(rng, size=size)
    start = rng.uniform(0, size, size=2)
    positions = start + trajectory(rng, label=label, num_frames=num_frames)  # [T,2] y, x
    return DrawnDigit(np.stack([place(digit, at=position, size=size) for position in positions]), ink, behind)


def trajectory(rng: np.random.Generator, *, label: str, num_frames: int) -> np.ndarray:
    """Offsets from the start in pixels, [T,2] y (downwards), x. Straight or a circle, at a constant speed."""
    speed = rng.uniform(*SPEED_PIXELS)
    radius = rng.uniform(*RADIUS_PIXELS)
    heading = np.deg2rad(rng.uniform(0, 360))
    time = np.arange(num_frames)[:, None]
    if label in STRAIGHT:
        angle = np.deg2rad(STRAIGHT[label])
        return time * speed * np.array([[-np.sin(angle), np.cos(angle)]])
    angles = heading + TURNING[label] * time * speed / radius
    return radius * np.concatenate([-np.sin(angles), np.cos(angles)], axis=1)


def place(digit: np.ndarray, *, at: np.ndarray, size: int) -> np.ndarray:
    """The digit's opacity on an empty torus, [P,P] -> [S,S], its corner at a position between pixels (bilinear)."""
    whole = np.floor(at).astype(int)
    fy, fx = at - whole
    shifted = np.zeros((len(digit) + 1, len(digit) + 1), dtype=np.float32)
    for dy, dx, weight in ((0, 0, (1 - fy) * (1 - fx)), (0, 1, (1 - fy) * fx), (1, 0, fy * (1 - fx)), (1, 1, fy * fx)):
        shifted[dy : dy + len(digit), dx : dx + len(digit)] += weight * digit
    ys, xs = ((corner + np.arange(len(shifted))) % size for corner in whole)
    canvas = np.zeros((size, size), dtype=np.float32)
    canvas[np.ix_(ys, xs)] = shifted
    return canvas


def background(rng: np.random.Generator, *, size: int) -> np.ndarray:
    """Smooth noise of a random brightness, contrast and tint, float32 [S,S,3] in [0,255]."""
    coarse = rng.normal(size=(6, 6))
    contrast, brightness = rng.uniform(5, 30), rng.uniform(40, 110)
    tint = rng.uniform(0.85, 1.15, size=3)
    weights = _smooth_weights(6, size)
    ground = (brightness + contrast * (weights @ coarse @ weights.T))[..., None] * tint
    return np.clip(ground, 0, 255).astype(np.float32)


@cache
def _smooth_weights(coarse: int, fine: int) -> np.ndarray:
    """[fine, coarse]: cosine interpolation between coarse values on a ring, so that the torus has no seam."""
    position = np.arange(fine) * coarse / fine
    left = np.floor(position).astype(int)
    share = (1 - np.cos(np.pi * (position - left))) / 2
    weights = np.zeros((fine, coarse))
    weights[np.arange(fine), left % coarse] = 1 - share
    weights[np.arange(fine), (left + 1) % coarse] += share
    return weights


@cache
def digit_images() -> np.ndarray:
    """scikit-learn's 1,797 digits of 8x8, enlarged to [1797,P,P] float32 in [0,1], in an order that mixes writers."""
    from sklearn.datasets import load_digits

    images: Any = load_digits().images / 16.0  # [1797,8,8]
    order = generator(0, stream=Stream.GENERATE).permutation(len(images))
    # Bilinear, pixel centers at (i + 0.5) / 2 - 0.5, the edge repeated.
    position = np.clip((np.arange(DIGIT_PIXELS) + 0.5) / 2 - 0.5, 0, 7)
    left = np.minimum(position.astype(int), 6)
    weights = np.zeros((DIGIT_PIXELS, 8))
    weights[np.arange(DIGIT_PIXELS), left] = 1 - (position - left)
    weights[np.arange(DIGIT_PIXELS), left + 1] += position - left
    return np.einsum("pi,nij,qj->npq", weights, images[order], weights).astype(np.float32)


def digits_of(split: Split) -> np.ndarray:
    """The digits that belong to a split, [n,P,P]: no picture belongs to two."""
    images = digit_images()
    first, last = (round(share * len(images)) for share in SPLIT_SHARES[split])
    return images[first:last]
