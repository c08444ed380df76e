"""Pascal VOC and ImageNet VID: an XML file for each picture.

VOC (`read`): a folder of NAME.xml, each picture a video of one frame. Corners `xmin ymin xmax ymax` in pixels of
`<size>`, the first being 1 and both ends belonging to the box: a box over all of it is 1, 1, width, height. `difficult`
marks what is not to be counted, a score of 0; `truncated` is not kept.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import AnnotatedVideo, ClassNames, as_number, as_whole, by_frame, make_box
from videxp.data.box_files.safe_xml import XmlElement, read_xml
from videxp.data.layouts.tables import cut, read_each
from videxp.data.notes import UNHEARD, Notes

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read(path: Path, *, classes: ClassNames | None = None, notes: Notes = UNHEARD) -> list[AnnotatedVideo]:
    files = sorted(path.glob("*.xml")) if path.is_dir() else [path]
    if not files:
        raise BadRequest(f"{path} holds no XML files")
    names = tuple(classes.values()) if classes else ()
    return read_each(files, lambda file: _picture(file, names))


def _picture(file: Path, names: tuple[str, ...]) -> AnnotatedVideo:
    size, boxes, root = read_picture(file, frame=0, names=names, first_pixel=1)
    return AnnotatedVideo(root.read("filename") or file.stem, 1, size, boxes=boxes, classes=names)


def read_picture(
    file: Path, *, frame: int, names: tuple[str, ...], first_pixel: int
) -> tuple[tuple[int, int] | None, list[BoxOnFrame], XmlElement]:
    """(size, boxes, root). first_pixel: 1: and the last one belongs to the box; 0: corners are from 0 to the width."""
    root = read_xml(file)
    if root.tag != "annotation":
        raise BadRequest(f"{file}: <{root.tag}>, not <annotation> as VOC has it")
    stated = root.read("size/width"), root.read("size/height")
    size = (as_whole(stated[0], "width", str(file)), as_whole(stated[1], "height", str(file))) if all(stated) else None
    return size, [_box(item, frame, names, first_pixel, file) for item in root.all_below("object")], root


def _box(item: XmlElement, frame: int, names: tuple[str, ...], first_pixel: int, file: Path) -> BoxOnFrame:
    place, label = f"{file}, line {item.line}", item.read("name")
    if not label or (names and label not in names):
        raise BadRequest(f"{place}: class {cut(label)} is none of {len(names)}: {cut(', '.join(names))}")
    x0, y0, x1, y1 = (as_number(item.read(f"bndbox/{name}"), name, place) for name in CORNERS)
    track = as_whole(item.read("trackid"), "trackid", place) if item.read("trackid") else -1
    score = 0.0 if item.read("difficult") == "1" else 1.0
    visible = 0.0 if item.read("occluded") == "1" else 1.0
    box = (x0 - first_pixel, y0 - first_pixel, x1, y1)
    return make_box(frame, box, label, place=place, track=track, score=score, visible=visible)


def write(videos: Iterable[AnnotatedVideo], path: Path) -> None:
    """path/NAME.xml of each video of one frame."""
    path.mkdir(parents=True, exist_ok=True)
    for video in videos:
        write_picture(video, path / f"{Path(video.name).stem}.xml", frame=0, file_name=video.name, first_pixel=1)


def write_picture(video: AnnotatedVideo, file: Path, *, frame: int, file_name: str, first_pixel: int) -> None:
    root = Element("annotation")
    SubElement(root, "filename").text = file_name
    if video.size is not None:
        size = SubElement(root, "size")
        for key, side in zip(("width", "height"), video.size):
            SubElement(size, key).text = str(side)
    for box in by_frame(box for box in video.boxes if box.frame == frame):
        item = SubElement(root, "object")
        if box.track >= 0:
            SubElement(item, "trackid").text = str(box.track)
        SubElement(item, "name").text = box.label
        SubElement(item, "difficult").text = str(int(box.score == 0))
        SubElement(item, "occluded").text = str(int(box.visible < 0.5))
        corners = SubElement(item, "bndbox")
        for name, value in zip(CORNERS, (box.x0 + first_pixel, box.y0 + first_pixel, box.x1, box.y1)):
            SubElement(corners, name).text = f"{value:.10g}"
    indent(root)
    write_text(file, tostring(root, encoding="unicode") + "\n")
