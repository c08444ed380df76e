"""CVAT for video 1.1: XML with a `<track>` for each thing and a `<box>` for each of its frames.

Frames: from 0. Boxes: corners `xtl ytl xbr ybr` in pixels of `original_size`. `outside="1"` ends a visible span: such a
box is not there. Where a file has key frames alone, boxes between two are on a straight line. A box with a `rotation`
is read as what encloses it; polygons, points and masks are told and passed over.
"""

from collections.abc import Iterable, Sequence
from itertools import count, pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import (
    AnnotatedVideo,
    ClassNames,
    as_number,
    as_whole,
    by_track,
    check_unique,
    classes_of,
    corners_of,
    fill_gaps,
    make_box,
    turn,
)
from videxp.data.box_files.safe_xml import XmlElement, read_xml
from videxp.data.layouts.tables import cut, read_each
from videxp.data.notes import UNHEARD, Notes

CORNERS = ("xtl", "ytl", "xbr", "ybr")


def read(path: Path, *, classes: ClassNames | None = None, notes: Notes = UNHEARD) -> list[AnnotatedVideo]:
    """One video for a task; a file of a project has several. A folder: its XML files, one after another."""
    if path.is_dir():
        files = sorted(path.glob("*.xml"))
        return [video for file in files for video in read(file, classes=classes, notes=notes)]
    root = read_xml(path)
    if root.tag != "annotations" or not root.all_below("meta"):
        raise BadRequest(f"{path}: no <annotations> with <meta>, as CVAT writes it")
    for image in root.all_below("image"):
        raise BadRequest(f"{path}, line {image.line}: CVAT for images, which tears tracks apart: export the task as "
                         "CVAT for video 1.1")  # fmt: skip
    videos = _tasks(root, path)
    tracks = root.all_below("track")
    found = read_each(tracks, lambda track: _track(track, path, notes))
    for track, boxes in zip(tracks, found):
        task = track.get("task_id", "") if len(videos) > 1 else next(iter(videos))
        if task not in videos:
            raise BadRequest(f"{path}, line {track.line}: task_id={cut(task)} is none of {', '.join(videos)}")
        videos[task].boxes += boxes
    for video in videos.values():
        known = video.classes
        if known and (other := next((box.label for box in video.boxes if box.label not in known), None)):
            raise BadRequest(f"{path}: label {cut(other)} is none of its labels: {', '.join(known)}")
        check_unique(video, str(path))
    return list(videos.values())


def _tasks(root: XmlElement, path: Path) -> dict[str, AnnotatedVideo]:
    """The videos by the id of their tasks."""
    meta = root.all_below("meta")[0]
    labels = tuple(dict.fromkeys((name.text or "").strip() for name in meta.iterfind(".//labels/label/name")))
    videos = {}
    tasks = meta.all_below("project/tasks/task") or meta.all_below("task") or meta.all_below("job") or [meta]
    for task in tasks:
        name = task.read("source") or meta.read("source") or task.read("name") or path.stem
        sides = [
            task.read(f"original_size/{side}") or meta.read(f"original_size/{side}") for side in ("width", "height")
        ]
        frames = task.read("size")
        videos[task.read("id")] = AnnotatedVideo(
            name,
            as_whole(frames, "size", str(path)) if frames else None,
            (as_whole(sides[0], "width", str(path)), as_whole(sides[1], "height", str(path))) if all(sides) else None,
            classes=labels,
        )
    return videos


def _track(track: XmlElement, path: Path, notes: Notes) -> list[BoxOnFrame]:
    place = f"{path}, line {track.line}"
    label = track.get("label")
    if label is None:
        raise BadRequest(f"{place}: a track without a label")
    number = as_whole(track.get("id"), "id", place)
    keys = []
    for shape in track.all_below("*"):
        if shape.tag == "box":
            keys.append((_box(shape, label, number, path), shape.get("outside") != "1"))
        elif shape.tag != "attribute":
            notes.pass_over(f"shapes that are no boxes ({shape.tag})", f"{path}, line {shape.line}", about="boxes")
    keys.sort(key=lambda key: key[0].frame)
    if twice := next((a.frame for (a, _), (b, _) in pairwise(keys) if a.frame == b.frame), None):
        raise BadRequest(f"{place}: the track has two boxes on frame {twice}")
    hidden = {box.frame for box, seen in keys if not seen}
    boxes = fill_gaps(keys)
    if len(boxes) > len(keys):
        notes.tell("boxes", f"{path}: key frames alone, boxes between them are interpolated")
    return [box for box in boxes if box.frame not in hidden]


def _box(shape: XmlElement, label: str, track: int, path: Path) -> BoxOnFrame:
    place = f"{path}, line {shape.line}"
    x0, y0, x1, y1 = (as_number(shape.get(name), name, place) for name in CORNERS)
    visible = 0.0 if shape.get("occluded") == "1" else 1.0
    frame = as_whole(shape.get("frame"), "frame", place)
    box = make_box(frame, (x0, y0, x1, y1), label, place=place, track=track, visible=visible)
    degrees = as_number(shape.get("rotation", 0), "rotation", place)
    if not degrees:
        return box
    corners = turn((x0, y0, x1, y1), degrees=degrees, about=((x0 + x1) / 2, (y0 + y1) / 2))
    return make_box(frame, corners, label, place=place, track=track, visible=visible)


def write(videos: Iterable[AnnotatedVideo], path: Path, *, classes: Sequence[str] = ()) -> None:
    """path/NAME.xml of each video, with every frame. Boxes without a track become tracks of one frame, as CVAT has
    them; `visible` below a half is `occluded`.
    """
    path.mkdir(parents=True, exist_ok=True)
    for video in videos:
        file = path / f"{Path(video.name).stem}.xml"
        write_text(file, text_of(video, classes=classes or classes_of([video])))


def text_of(video: AnnotatedVideo, *, classes: Sequence[str]) -> str:
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    meta = SubElement(root, "meta")
    task = SubElement(meta, "task")
    SubElement(task, "name").text = video.name
    if video.num_frames is not None:
        SubElement(task, "size").text = str(video.num_frames)
    labels = SubElement(task, "labels")
    for name in classes:
        SubElement(SubElement(labels, "label"), "name").text = name
    if video.size is not None:
        size = SubElement(meta, "original_size")
        for key, value in zip(("width", "height"), video.size):
            SubElement(size, key).text = str(value)
    SubElement(meta, "source").text = video.name
    free = count(1 + max((box.track for box in video.boxes), default=-1))
    for boxes in by_track(video.boxes):
        number = boxes[0].track if boxes[0].track >= 0 else next(free)
        track = SubElement(root, "track", id=str(number), label=boxes[0].label, source="manual")
        for box, following in zip(boxes, [*boxes[1:], None]):
            _add_box(track, box, outside=False)
            if following is None or following.frame > box.frame + 1:
                _add_box(track, box._replace(frame=box.frame + 1), outside=True)
    indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{tostring(root, encoding='unicode')}\n"


def _add_box(track: Element, box: BoxOnFrame, *, outside: bool) -> None:
    corners = dict(zip(CORNERS, (repr(float(value)) for value in corners_of(box))))
    flags = {"outside": str(int(outside)), "occluded": str(int(box.visible < 0.5)), "keyframe": "1"}
    SubElement(track, "box", {"frame": str(box.frame), **flags, **corners, "z_order": "0"})
