"""A text file for each frame, as YOWO has UCF101-24 and JHMDB: CLASS/VIDEO/00001.txt, `label x0 y0 x1 y1` on each line.

Frames: from 1, by the names of the files. Labels: from 1 (`first_label=0`: from 0) in the order of the names of the
class folders, which are held against them. Boxes: corners in pixels of pictures whose size is not stated: UCF101-24's
are 320x240. There are no tracks.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import (
    AnnotatedVideo,
    ClassNames,
    as_number,
    as_whole,
    by_frame,
    class_of,
    classes_of,
    corners_of,
    make_box,
)
from videxp.data.layouts.tables import cut, read_each, read_lines
from videxp.data.notes import UNHEARD, Notes


def read(
    path: Path, *, classes: ClassNames | None = None, first_label: Literal[0, 1] = 1, notes: Notes = UNHEARD
) -> list[AnnotatedVideo]:
    """classes: None: the class folders, sorted."""
    if not path.is_dir():
        raise BadRequest(f"{path} is no folder of CLASS/VIDEO/00001.txt")
    folders = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
    names = dict(enumerate(folders, start=first_label)) if classes is None else classes
    videos = [
        _video(video, f"{folder}/{video.name}", names)
        for folder in folders
        for video in sorted(entry for entry in (path / folder).iterdir() if entry.is_dir())
    ]
    if not videos:
        raise BadRequest(f"{path} holds no CLASS/VIDEO/00001.txt")
    return videos


def _video(folder: Path, name: str, names: ClassNames) -> AnnotatedVideo:
    video = AnnotatedVideo(name, classes=tuple(names[number] for number in sorted(names)))
    for file in sorted(folder.glob("*.txt")):
        frame = as_whole(file.stem, "frame", str(file), least=1) - 1
        video.boxes += read_each(read_lines(file), partial(_box, file=file, frame=frame, names=names))
    classes = {box.label for box in video.boxes}
    own = name.partition("/")[0]
    if own in names.values() and classes and own not in classes:
        raise BadRequest(f"{folder}: lies in {cut(own)}, and its labels are {', '.join(sorted(classes))}: do labels "
                         "count from 0? dataset.layout.options={first_label: 0}")  # fmt: skip
    return video


def _box(numbered: tuple[int, str], *, file: Path, frame: int, names: ClassNames) -> BoxOnFrame:
    place, cells = f"{file}, line {numbered[0]}", numbered[1].split()
    if len(cells) != 5:
        raise BadRequest(f"{place}: {cut(numbered[1])} is not label x0 y0 x1 y1")
    corners = [as_number(cell, "corner", place) for cell in cells[1:]]
    return make_box(frame, corners, class_of(as_whole(cells[0], "label", place), names, place), place=place)


def write(videos: Iterable[AnnotatedVideo], path: Path, *, classes: Sequence[str] = ()) -> None:
    """Tracks are not kept. Videos are called CLASS/VIDEO; others lie in a folder called as their first box."""
    videos = list(videos)
    number = {name: place for place, name in enumerate(classes or classes_of(videos), start=1)}
    for video in videos:
        name = video.name if "/" in video.name or not video.boxes else f"{video.boxes[0].label}/{video.name}"
        lines: dict[int, list[str]] = {}
        for box in by_frame(video.boxes):
            corners = " ".join(f"{value:.9g}" for value in corners_of(box))
            lines.setdefault(box.frame, []).append(f"{number[box.label]} {corners}\n")
        (path / name).mkdir(parents=True, exist_ok=True)
        for frame, texts in lines.items():
            write_text(path / name / f"{frame + 1:05d}.txt", "".join(texts))
