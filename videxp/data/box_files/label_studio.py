"""Label Studio's VideoRectangle: a JSON list of tasks, with `annotations` of `result`s of key frames.

Frames: from 1, at the rate that the task's `framesCount` and `duration` give, which is that of its labeling setup and
need not be the video's: frames are taken as times. Boxes: left, top, width and height in percent of the picture, turned
by `rotation` degrees about the left top corner; what encloses them is read. Key frames are `enabled` where the thing is
seen until the next one, or the end: between them boxes are on a straight line.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import (
    PERCENT,
    AnnotatedVideo,
    ClassNames,
    as_number,
    as_whole,
    by_track,
    check_unique,
    fill_gaps,
    make_box,
    resize,
    turn,
)
from videxp.data.layouts.tables import cut, read_each, read_json
from videxp.data.notes import UNHEARD, Notes


def read(path: Path, *, classes: ClassNames | None = None, notes: Notes = UNHEARD) -> list[AnnotatedVideo]:
    tasks = read_json(path, list)
    videos = read_each(list(enumerate(tasks)), lambda one: _video(one[1], f"{path}, task {one[0]}", notes))
    for video in videos:
        check_unique(video, str(path))
    return videos


def _video(task: Any, place: str, notes: Notes) -> AnnotatedVideo:
    if not isinstance(task, dict) or not isinstance(task.get("annotations"), list):
        raise BadRequest(f"{place}: no annotations: export as JSON, not as JSON-MIN")
    data = task.get("data") or {}
    url = next((value for key in ("video", *data) if isinstance(value := data.get(key), str)), None)
    if url is None:
        raise BadRequest(f"{place}: its data names no video")
    video = AnnotatedVideo(file_of(url), size=PERCENT, timed=True)
    made = [one for one in task["annotations"] if isinstance(one, dict) and not one.get("was_cancelled")]
    if len(made) > 1:
        raise BadRequest(f"{place}: {video.name} was annotated {len(made)} times: export it with one annotation")
    for track, result in enumerate(made[0].get("result") or () if made else ()):
        where = f"{place}, result {track}"
        if isinstance(result, dict) and result.get("type") == "videorectangle":
            video.boxes += _region(result.get("value"), track, where, video, notes)
        else:
            notes.pass_over("results that are no VideoRectangle", where, about="boxes")
    return video


def file_of(url: str) -> str:
    """`/data/local-files/?d=films/a.mp4` -> films/a.mp4; `s3://bucket/films/a.mp4` -> films/a.mp4; `/data/upload/1/
    1a2b3c4d-a.mp4` -> a.mp4."""
    parts = urlsplit(url)
    path = PurePosixPath(parse_qs(parts.query).get("d", [unquote(parts.path)])[0].lstrip("/"))
    uploaded = path.parts[:2] == ("data", "upload")
    return path.name.partition("-")[2] or path.name if uploaded else path.as_posix()


def _region(value: Any, track: int, place: str, video: AnnotatedVideo, notes: Notes) -> list[BoxOnFrame]:
    if not isinstance(value, dict) or not isinstance(value.get("sequence"), list):
        raise BadRequest(f"{place}: no sequence of key frames")
    labels = value.get("labels") or []
    if len(labels) != 1:
        raise BadRequest(f"{place}: its labels are {cut(', '.join(map(str, labels)))}: a box has one")
    video.num_frames = as_whole(value.get("framesCount"), "framesCount", place, least=1)
    if value.get("duration"):
        video.fps = video.num_frames / as_number(value["duration"], "duration", place)
    keys = sorted(
        (
            _key(key, str(labels[0]), track, f"{place}, key frame {number}")
            for number, key in enumerate(value["sequence"])
        ),
        key=lambda key: key[0].frame,
    )
    if keys and keys[-1][1] and keys[-1][0].frame < video.num_frames - 1:  # seen to the end
        keys.append((keys[-1][0]._replace(frame=video.num_frames - 1), False))
    boxes = fill_gaps(keys)
    if len(boxes) > len(value["sequence"]):
        notes.tell("boxes", "Label Studio exports key frames alone: boxes between them are interpolated")
    return boxes


def _key(key: Any, label: str, track: int, place: str) -> tuple[BoxOnFrame, bool]:
    if not isinstance(key, dict):
        raise BadRequest(f"{place}: {cut(key)} is no object")
    x, y, width, height = (as_number(key.get(name), name, place) for name in ("x", "y", "width", "height"))
    corners = (x, y, x + width, y + height)
    if degrees := as_number(key.get("rotation", 0), "rotation", place):
        corners = turn(corners, degrees=degrees, about=(x, y))
    frame = as_whole(key.get("frame"), "frame", place, least=1) - 1
    return make_box(frame, corners, label, place=place, track=track), bool(key.get("enabled", True))


def write(videos: Iterable[AnnotatedVideo], path: Path) -> None:
    """Each frame is a key frame. Raises BadRequest where the size that boxes refer to is not stated."""
    tasks = [_task(resize(video, PERCENT), number) for number, video in enumerate(videos, start=1)]
    write_text(path, json.dumps(tasks, indent=1) + "\n")


def _task(video: AnnotatedVideo, number: int) -> dict[str, Any]:
    count = video.num_frames or max((box.frame + 1 for box in video.boxes), default=1)
    rate = {} if video.fps is None else {"duration": count / video.fps}
    results = [
        {
            "id": f"track{place}",
            "type": "videorectangle",
            "from_name": "box",
            "to_name": "video",
            "value": {
                "labels": [boxes[0].label],
                "framesCount": count,
                **rate,
                "sequence": _sequence(boxes, video.fps),
            },
        }
        for place, boxes in enumerate(by_track(video.boxes))
    ]
    return {"id": number, "data": {"video": video.name}, "annotations": [{"id": number, "result": results}]}


def _sequence(boxes: list[BoxOnFrame], fps: float | None) -> list[dict[str, Any]]:
    followed = [
        (one, other is not None and other.frame == one.frame + 1) for one, other in zip(boxes, [*boxes[1:], None])
    ]
    return [
        {
            "frame": box.frame + 1,
            "enabled": seen,
            "rotation": 0,
            "x": box.x0,
            "y": box.y0,
            "width": box.x1 - box.x0,
            "height": box.y1 - box.y0,
            **({} if fps is None else {"time": (box.frame + 1) / fps}),
        }
        for box, seen in followed
    ]
