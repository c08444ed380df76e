"""AVA: CSV without a head, `video,second,x0,y0,x1,y1,action,person`, a line for each action of a person.

Frames: seconds of the film; `first_second` is frame 0, and others follow at `fps`: frame = (second - 900) * 30.
Boxes: corners in shares of the picture, 0 to 1. A person with several actions is several boxes of one frame and track.
Detected persons are `video,second,x0,y0,x1,y1,,score`: their label is "person".
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import (
    SHARES,
    AnnotatedVideo,
    ClassNames,
    as_number,
    as_whole,
    by_frame,
    check_unique,
    class_of,
    classes_of,
    make_box,
    resize,
)
from videxp.data.layouts.tables import cut, read_each, read_lines
from videxp.data.notes import UNHEARD, Notes

PERSON = "person"


def read(
    path: Path,
    *,
    classes: ClassNames | None = None,
    first_second: float = 900,
    fps: float = 30.0,
    excluded: str | None = None,
    notes: Notes = UNHEARD,
) -> list[AnnotatedVideo]:
    """excluded: a CSV beside `path` of the `video,second` that are not to be used, as AVA publishes it."""
    videos: dict[str, AnnotatedVideo] = {}
    names = tuple(classes[number] for number in sorted(classes)) if classes else ()
    left_out = read_seconds(path.parent / excluded) if excluded else set()

    def add(numbered: tuple[int, str]) -> None:
        number, line = numbered
        place, cells = f"{path}, line {number}", line.split(",")
        if len(cells) != 8:
            raise BadRequest(f"{place}: {len(cells)} columns, not video,second,x0,y0,x1,y1,action,person")
        try:
            second, *corners = map(float, cells[1:6])
        except ValueError:
            second, *corners = (as_number(cell, "second or corner", place) for cell in cells[1:6])
        if (cells[0], second) in left_out:
            notes.pass_over("boxes at excluded seconds", f"{cells[0]},{cells[1]}", about="boxes")
            return
        frame = frame_of(second, first_second=first_second, fps=fps, place=place)
        if cells[6].strip() in ("", "-1"):
            box = make_box(frame, corners, PERSON, place=place, score=as_number(cells[7], "score", place))
        else:
            label = class_of(as_whole(cells[6], "action", place), classes, place)
            track = as_whole(cells[7], "person", place) if cells[7].strip() else -1
            box = make_box(frame, corners, label, place=place, track=track)
        if cells[0] not in videos:
            videos[cells[0]] = AnnotatedVideo(cells[0], size=SHARES, fps=fps, classes=names, timed=True)
        videos[cells[0]].boxes.append(box)

    read_each(read_lines(path), add)
    for video in videos.values():
        check_unique(video, str(path), several_labels=True)
    return list(videos.values())


def frame_of(second: float, *, first_second: float, fps: float, place: str) -> int:
    """Raises BadRequest for a second before the first."""
    if not isfinite(second):
        raise BadRequest(f"{place}: second {second} is no number")
    if second < first_second:
        raise BadRequest(f"{place}: second {second:g} lies before the first, {first_second:g}: films that are whole "
                         "begin with first_second=0")  # fmt: skip
    return round((second - first_second) * fps)


def read_seconds(file: Path) -> set[tuple[str, float]]:
    """`video,second` on each line. Raises BadRequest with the line."""

    def one(numbered: tuple[int, str]) -> tuple[str, float]:
        place, cells = f"{file}, line {numbered[0]}", numbered[1].split(",")
        if len(cells) != 2:
            raise BadRequest(f"{place}: {cut(numbered[1])} is not video,second")
        return cells[0], as_number(cells[1], "second", place)

    return set(read_each(read_lines(file), one))


def write(
    videos: Iterable[AnnotatedVideo], path: Path, *, first_second: float = 900, classes: Sequence[str] = ()
) -> None:
    """Actions are numbered from 1 in the order of `classes`, or of the videos'. Boxes called "person" without a track
    are written as detected ones. Raises BadRequest where the size that boxes refer to, or a rate, is not stated.
    """
    videos = [resize(video, SHARES) for video in videos]
    number = {name: place for place, name in enumerate(classes or classes_of(videos), start=1)}
    lines = [_line(video, box, number, first_second) for video in videos for box in by_frame(video.boxes)]
    write_text(path, "".join(lines))


def _line(video: AnnotatedVideo, box: BoxOnFrame, number: dict[str, int], first_second: float) -> str:
    if video.fps is None:
        raise BadRequest(f"{video.name}: AVA has seconds, and its frames per second are not stated")
    second = first_second + box.frame / video.fps
    corners = ",".join(f"{value:.9g}" for value in (box.x0, box.y0, box.x1, box.y1))
    rest = f",{box.score:.9g}" if box.label == PERSON and box.track < 0 else (
        f"{number[box.label]},{box.track if box.track >= 0 else ''}"
    )  # fmt: skip
    written = f"{round(second):04d}" if abs(second - round(second)) < 1e-6 else f"{second:.6f}"
    return f"{video.name},{written},{corners},{rest}\n"
