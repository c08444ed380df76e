"""COCO and CocoVID: one JSON of `images`, `annotations`, `categories` and, of videos, `videos`.

Frames: `frame_id` of an image, from 0. Boxes: `bbox` left, top, width and height in pixels of the image, whose `width`
and `height` are stated. Tracks: `instance_id`. Without `videos` each image is a video of one frame. `iscrowd` marks
what is not to be counted, a score of 0. Masks and key points are not read.
"""

import json
from collections.abc import Iterable, Sequence
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
    names = {key: str(item.get("name", key)) for key, item in _by_id(found, "categories", path).items()}
    films = _by_id(found, "videos", path) if "videos" in found else None
    videos: dict[int, AnnotatedVideo] = {}
    where: dict[int, tuple[AnnotatedVideo, int]] = {}
    for key, image in _by_id(found, "images", path).items():
        place = f"{path}, image {key}"
        size = tuple(as_whole(image[side], side, place, least=1) for side in ("width", "height") if side in image)
        owner = key if films is None else as_whole(image.get("video_id"), "video_id", place)
        if films is not None and owner not in films:
            raise BadRequest(f"{place}: video_id {owner} is none of {len(films)} videos")
        if owner not in videos:
            named = image.get("file_name") if films is None else films[owner].get("name")
            videos[owner] = AnnotatedVideo(str(named), 0, (size[0], size[1]) if len(size) == 2 else None,
                                           classes=tuple(names.values()))  # fmt: skip
        video = videos[owner]
        if len(size) == 2 and size != video.size:
            raise BadRequest(f"{place}: {size[0]}x{size[1]}, and other images of {video.name} have {video.size}")
        frame = 0 if films is None else as_whole(image.get("frame_id"), "frame_id", place)
        video.num_frames = max(video.num_frames or 0, frame + 1)
        where[key] = video, frame
    read_each(_by_id(found, "annotations", path).items(), lambda one: _add(one[0], one[1], where, names, path))
    for video in videos.values():
        check_unique(video, str(path))
    return list(videos.values())


def _by_id(found: dict[str, Any], key: str, path: Path) -> dict[int, dict[str, Any]]:
    items = found.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadRequest(f"{path}: {key} is no list of objects, as COCO has it")
    by_id: dict[int, dict[str, Any]] = {}
    for place, item in enumerate(items):
        number = as_whole(item.get("id"), "id", f"{path}, {key}[{place}]")
        if number in by_id:
            raise BadRequest(f"{path}, {key}[{place}]: id {number} is given twice")
        by_id[number] = item
    return by_id


def _add(
    key: int, item: dict[str, Any], where: dict[int, tuple[AnnotatedVideo, int]], names: ClassNames, path: Path
) -> None:
    place = f"{path}, annotation {key}"
    image = as_whole(item.get("image_id"), "image_id", place)
    if image not in where:
        raise BadRequest(f"{place}: image_id {image} is none of {len(where)} images")
    box = item.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise BadRequest(f"{place}: bbox={cut(box)} is no x, y, width, height")
    x, y, width, height = (as_number(value, "bbox", place) for value in box)
    label = class_of(as_whole(item.get("category_id"), "category_id", place), names, place)
    track = as_whole(item.get("instance_id", -1), "instance_id", place, least=-1)
    score = 0.0 if item.get("iscrowd") else as_number(item.get("score", 1), "score", place)
    video, frame = where[image]
    corners = (x, y, x + width, y + height)
    video.boxes.append(make_box(frame, corners, label, place=place, track=track, score=score))


def write(
    videos: Iterable[AnnotatedVideo], path: Path, *, classes: Sequence[str] = (), template: str = "{:06d}.jpg"
) -> None:
    """CocoVID where a video has more than a frame, or a track; else COCO, with the videos as images. template: names
    of the frames in a video's folder.
    """
    videos = list(videos)
    names = list(classes or classes_of(videos))
    single = all(video.num_frames == 1 for video in videos) and all(b.track < 0 for v in videos for b in v.boxes)
    found: dict[str, Any] = {} if single else {"videos": []}
    found |= {"images": [], "annotations": [], "categories": []}
    found["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    for owner, video in enumerate(videos, start=1):
        size = dict(zip(("width", "height"), video.size or ()))
        if not single:
            found["videos"].append({"id": owner, "name": video.name} | size)
        frames = range(max([video.num_frames or 0, *(box.frame + 1 for box in video.boxes)]))
        first = len(found["images"]) + 1
        for frame in frames:
            of_video = {"video_id": owner, "frame_id": frame}
            file = video.name if single else f"{video.name}/{template.format(frame)}"
            found["images"].append({"id": first + frame, "file_name": file} | size | ({} if single else of_video))
        for box in by_frame(video.boxes):
            one = annotation_of(box, len(found["annotations"]) + 1, names.index(box.label) + 1, first + box.frame)
            found["annotations"].append(one if single else one | {"video_id": owner, "instance_id": box.track})
    write_text(path, json.dumps(found) + "\n")


def annotation_of(box: BoxOnFrame, key: int, category: int, image: int) -> dict[str, Any]:
    """key, category, image: numbers of the annotation, its class and its frame."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    stated = {"id": key, "image_id": image, "category_id": category, "bbox": [box.x0, box.y0, width, height],
              "area": width * height, "iscrowd": int(box.score == 0)}  # fmt: skip
    return stated | ({"score": box.score} if 0 < box.score < 1 else {})
