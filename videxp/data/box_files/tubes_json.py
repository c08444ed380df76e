"""Tubes as JSON: `{"classes": [...], "videos": {NAME: {"num_frames", "annotated_size", "tubes": [...]}}}`.

A tube is `{"start", "end_exclusive", "class_index", "boxes_xywh"}` with a box for each of its frames. Frames: from 0,
the end is exclusive; classes: from 0. Boxes: left, top, width and height in pixels of `annotated_size`, which is not
the video's: UCF101-24 has 320x240 boxes on videos of 320x240, which some copies hold at 340x256.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import (
    AnnotatedVideo,
    ClassNames,
    as_number,
    as_whole,
    by_frame,
    check_unique,
    class_of,
    classes_of,
    make_box,
)
from videxp.data.layouts.tables import cut, read_each, read_json
from videxp.data.notes import UNHEARD, Notes


def read(path: Path, *, classes: ClassNames | None = None, notes: Notes = UNHEARD) -> list[AnnotatedVideo]:
    found = read_json(path, dict)
    if not isinstance(found.get("classes"), list) or not isinstance(found.get("videos"), dict):
        raise BadRequest(f'{path}: not like {{"classes": ["run"], "videos": {{"a": {{"tubes": []}}}}}}')
    names = dict(enumerate(map(str, found["classes"])))
    return read_each(found["videos"].items(), lambda video: _video(video[0], video[1], names, path))


def _video(name: str, about: Any, names: ClassNames, path: Path) -> AnnotatedVideo:
    place = f"{path}, {name}"
    if not isinstance(about, dict) or not isinstance(about.get("tubes"), list):
        raise BadRequest(f"{place}: no list of tubes")
    size = about.get("annotated_size")
    if size is not None and not (isinstance(size, list) and len(size) == 2):
        raise BadRequest(f"{place}: annotated_size={cut(size)} is no width and height, such as [320, 240]")
    count = about.get("num_frames")
    video = AnnotatedVideo(
        name,
        None if count is None else as_whole(count, "num_frames", place),
        None if size is None else (as_whole(size[0], "width", place), as_whole(size[1], "height", place)),
        classes=tuple(names.values()),
    )
    for track, tube in enumerate(about["tubes"]):
        boxes = _tube(tube, track, names, f"{place}, tube {track}")
        if boxes and about.get("class") in names.values() and boxes[0].label != about["class"]:
            raise BadRequest(f"{place}: its class is {about['class']}, and its tube {track} of {boxes[0].label}: "
                             "labels off by one?")  # fmt: skip
        video.boxes += boxes
    check_unique(video, str(path))
    return video


def _tube(tube: Any, track: int, names: ClassNames, place: str) -> list[BoxOnFrame]:
    if not isinstance(tube, dict) or not isinstance(tube.get("boxes_xywh"), list):
        raise BadRequest(f"{place}: no list boxes_xywh")
    start, end = (as_whole(tube.get(key), key, place) for key in ("start", "end_exclusive"))
    if end - start != len(tube["boxes_xywh"]):
        raise BadRequest(f"{place}: {len(tube['boxes_xywh'])} boxes for frames {start} to {end}, the end exclusive")
    label = class_of(as_whole(tube.get("class_index"), "class_index", place), names, place)
    boxes = []
    for frame, box in enumerate(tube["boxes_xywh"], start=start):
        where = f"{place}, frame {frame}"
        if not isinstance(box, list) or len(box) != 4:
            raise BadRequest(f"{where}: {cut(box)} is no box x, y, width, height")
        x, y, width, height = (as_number(value, "x,y,w,h", where) for value in box)
        boxes.append(make_box(frame, (x, y, x + width, y + height), label, place=where, track=track))
    return boxes


def write(videos: Iterable[AnnotatedVideo], path: Path, *, classes: Sequence[str] = ()) -> None:
    """A track with a gap is written as several tubes. Raises BadRequest for boxes without a track."""
    videos = list(videos)
    labels = list(classes or classes_of(videos))
    about = {video.name: _about(video, labels) for video in videos}
    write_text(path, json.dumps({"classes": labels, "videos": about}) + "\n")


def _about(video: AnnotatedVideo, labels: list[str]) -> dict[str, Any]:
    if any(box.track < 0 for box in video.boxes):
        raise BadRequest(f"{video.name}: tubes need a track of each box")
    tubes = []
    for track in dict.fromkeys(box.track for box in video.boxes):
        boxes = by_frame(box for box in video.boxes if box.track == track)
        ends = [
            place + 1 for place, (a, b) in enumerate(pairwise(boxes)) if (b.frame, b.label) != (a.frame + 1, a.label)
        ]
        for first, last in pairwise([0, *ends, len(boxes)]):
            part = boxes[first:last]
            tubes.append(
                {
                    "start": part[0].frame,
                    "end_exclusive": part[-1].frame + 1,
                    "class_index": labels.index(part[0].label),
                    "boxes_xywh": [[box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0] for box in part],
                }
            )
    stated = {"num_frames": video.num_frames, "annotated_size": video.size and list(video.size)}
    return {key: value for key, value in stated.items() if value is not None} | {"tubes": tubes}
