"""The one form that all formats of box annotations are brought to, and what their readers and writers share."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import cos, inf, radians, sin
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.layouts.tables import cut, read_lines, read_text
from videxp.data.manifest import Split

SHARES = (1, 1)
"""The size of a picture of which boxes are stated in shares."""
PERCENT = (100, 100)
ClassNames = Mapping[int, str]
"""Number, as a file has it -> name."""
Corners = tuple[float, float, float, float]


@dataclass
class AnnotatedVideo:
    """What a file states of one video. Frames of boxes count from 0."""

    name: str
    """As the file calls it: a path, a file's name with or without its ending, or a folder of frames."""
    num_frames: int | None = None
    """As the file counts them; None: not stated."""
    size: tuple[int, int] | None = None
    """(width, height) of the picture that boxes refer to; `SHARES`: they are shares of it; None: not stated."""
    fps: float | None = None
    """None: not stated."""
    boxes: list[BoxOnFrame] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    """That the file lists, in its order, whether or not a box has them; empty: it has no list."""
    split: Split | None = None
    """That the file puts it in; None: not stated."""
    timed: bool = False
    """Frames were made of times, at `fps`: a video of another rate has other numbers."""


# ---- values ---------------------------------------------------------------------------------------------------------


def make_box(
    frame: int,
    corners: Sequence[float],
    label: str,
    *,
    place: str,
    track: int = -1,
    score: float = 1.0,
    visible: float = 1.0,
) -> BoxOnFrame:
    """Raises BadRequest with the place for corners that are no finite numbers, or enclose nothing."""
    x0, y0, x1, y1 = corners
    if not (-inf < x0 < x1 < inf and -inf < y0 < y1 < inf):
        raise BadRequest(f"{place}: from {x0:g}, {y0:g} to {x1:g}, {y1:g} is no box: remove it")
    return BoxOnFrame(frame, x0, y0, x1, y1, label, track, score, visible)


def as_number(value: Any, what: str, place: str) -> float:
    """A finite number as text or JSON have it. Raises BadRequest with the place."""
    try:
        number = float(value)
        if -inf < number < inf and not isinstance(value, bool):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise BadRequest(f"{place}: {what}={cut(value)} is no number")


def as_whole(value: Any, what: str, place: str, *, least: int = 0) -> int:
    """A whole number: 41, 41.0, "41", "0041". Raises BadRequest with the place."""
    number = as_number(value, what, place)
    if not number.is_integer() or number < least:
        raise BadRequest(f"{place}: {what}={cut(value)} is no whole number from {least}")
    return int(number)


def class_of(number: int, classes: ClassNames | None, place: str) -> str:
    """The name of a class; its number where no names are known. Raises BadRequest for one that is unknown."""
    if classes is None:
        return str(number)
    if number in classes:
        return classes[number]
    least, most = min(classes), max(classes)
    other = {least - 1: least - 1, most + 1: least + 1}.get(number)
    question = "" if other is None else f": do the file's labels count from {other}, not from {least}?"
    raise BadRequest(f"{place}: class {number} is none of {len(classes)}, {least} to {most}{question}")


def read_class_file(file: Path) -> dict[int, str]:
    """Names of classes by their numbers: a name on each line, from 1; or AVA's `.pbtxt`, which has both.

    Raises BadRequest with the line.
    """
    if file.suffix != ".pbtxt":
        return dict(enumerate((line for _, line in read_lines(file)), start=1))
    found = re.findall(r'name:\s*"([^"]*)"\s*(?:label_)?id:\s*(\d+)', read_text(file))
    names = {int(number): name for name, number in found}
    if not names or len(names) < len(found):
        raise BadRequest(f"{file}: {'a number is given twice' if names else 'no item has a name and an id'}")
    return names


def turn(corners: Corners, *, degrees: float, about: tuple[float, float]) -> Corners:
    """What encloses a box that is turned clockwise about a point."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    x0, y0, x1, y1 = corners
    turned = [
        (about[0] + c * (x - about[0]) - s * (y - about[1]), about[1] + s * (x - about[0]) + c * (y - about[1]))
        for x in (x0, x1)
        for y in (y0, y1)
    ]
    xs, ys = zip(*turned)
    return min(xs), min(ys), max(xs), max(ys)


# ---- boxes ----------------------------------------------------------------------------------------------------------


def corners_of(box: BoxOnFrame) -> Corners:
    return box.x0, box.y0, box.x1, box.y1


def fill_gaps(keys: Sequence[tuple[BoxOnFrame, bool]]) -> list[BoxOnFrame]:
    """All boxes of a track, of those on its key frames, in order of time, each with whether the thing is seen until the
    next one: between the two on a straight line.
    """
    boxes = [box for box, _ in keys[:1]]
    for (one, seen), (other, _) in pairwise(keys):
        for frame in range(one.frame + 1, other.frame) if seen else ():
            part = (frame - one.frame) / (other.frame - one.frame)
            x0, y0, x1, y1 = (a + part * (b - a) for a, b in zip(corners_of(one), corners_of(other)))
            boxes.append(one._replace(frame=frame, x0=x0, y0=y0, x1=x1, y1=y1))
        boxes.append(other)
    return boxes


def check_unique(video: AnnotatedVideo, place: str, *, several_labels: bool = False) -> None:
    """Raises BadRequest where one track has two boxes on a frame. several_labels: a box of each is one box."""
    seen = set()
    for box in video.boxes:
        key = (box.frame, box.track, box.label if several_labels else "")
        if box.track >= 0 and key in seen:
            raise BadRequest(f"{place}: {video.name} has two boxes of track {box.track} on frame {box.frame} from 0")
        seen.add(key)


def resize(video: AnnotatedVideo, size: tuple[int, int]) -> AnnotatedVideo:
    """The same with boxes that refer to another size. Raises BadRequest where theirs is not stated."""
    if video.size is None:
        raise BadRequest(f"{video.name}: the size that its boxes refer to is not stated: set AnnotatedVideo.size")
    across, down = (to / of for to, of in zip(size, video.size))
    boxes = [box._replace(x0=box.x0 * across, y0=box.y0 * down, x1=box.x1 * across, y1=box.y1 * down)
             for box in video.boxes]  # fmt: skip
    return replace(video, size=size, boxes=boxes)


def classes_of(videos: Iterable[AnnotatedVideo]) -> list[str]:
    """The list of the file; without one, the labels of all boxes by name."""
    videos = list(videos)
    listed = dict.fromkeys(name for video in videos for name in video.classes)
    used = {box.label for video in videos for box in video.boxes}
    return [*listed, *sorted(used - listed.keys())]


def by_frame(boxes: Iterable[BoxOnFrame]) -> list[BoxOnFrame]:
    return sorted(boxes, key=lambda box: (box.frame, box.track, box.label))


def by_track(boxes: Iterable[BoxOnFrame]) -> list[list[BoxOnFrame]]:
    """The boxes of each track and label in order of time, tracks by their numbers; one without a track is by itself,
    after all others."""
    tracks: dict[tuple[float, str, int], list[BoxOnFrame]] = {}
    for place, box in enumerate(by_frame(boxes)):
        tracks.setdefault((box.track, box.label, 0) if box.track >= 0 else (inf, "", place), []).append(box)
    return [tracks[key] for key in sorted(tracks)]
