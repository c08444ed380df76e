"""What is written of the boxes of a film: lists as they are found, and the film with boxes drawn."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from videxp.core.boxes import FrameBoxes
from videxp.core.errors import VidexpError
from videxp.core.files import replacing
from videxp.core.printable import as_json
from videxp.core.progress import progress
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files import coco, mot
from videxp.data.box_files.form import AnnotatedVideo
from videxp.data.module import VideoDataModule
from videxp.deploy.detections.film import BoxChoice, find_boxes
from videxp.tasks.detection import Detection
from videxp.tasks.drawn_boxes import draw_boxes, found_boxes
from videxp.video.drawing import enlargement
from videxp.video.remaking import remade_video
from videxp.video.sequence import VideoFile

Write = Callable[[int, FrameBoxes], None]
"""Number of a frame, and its boxes; called for all frames in their order."""


@dataclass
class Found:
    """How much was found in a film."""

    frames: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    """Of each class, by its number."""
    tracks: set[int] = field(default_factory=set)

    def add(self, boxes: FrameBoxes) -> None:
        self.frames += 1
        self.boxes.update(boxes.label.tolist())
        self.tracks.update(track for track in boxes.track.tolist() if track >= 0)

    def facts(self, classes: Sequence[str]) -> dict[str, Any]:
        by_class = {classes[label]: count for label, count in sorted(self.boxes.items())}
        return {"frames": self.frames, "boxes": by_class, "tracks": len(self.tracks)}

    def __str__(self) -> str:
        """`1,014 boxes of 7 tracks on 250 frames`"""
        boxes, tracks = self.boxes.total(), len(self.tracks)
        return f"{boxes:,} box{'es' * (boxes != 1)} of {tracks:,} track{'s' * (tracks != 1)} on {self.frames:,} frames"


def write_found(
    task: Detection,
    datamodule: VideoDataModule,
    path: Path,
    files: Sequence[Path],
    *,
    choice: BoxChoice,
    made_by: str = "",
    say: Callable[[str], None] = print,
) -> Found:
    """Goes over a film once, and again where it is drawn, a frame of it in memory at a time. Each file appears whole,
    once all frames are through, or not at all.

    Raises UnreadableVideo, DecodeError, and BadRequest for a video that cannot be written.
    """
    film, found = VideoFile(path), Found()
    with ExitStack() as stack:
        writers = [stack.enter_context(_writer(file, film, task.classes, made_by=made_by, say=say)) for file in files]
        advance = stack.enter_context(progress(path.name, film.num_frames, unit="frames"))
        for number, boxes in find_boxes(task, datamodule, path, choice=choice):
            for write in writers:
                write(number, boxes)
            found.add(boxes)
            advance()
        if found.frames != film.num_frames:
            raise VidexpError(f"{path}: {found.frames} frames were read where {film.num_frames} are due")
    return found


def _writer(
    file: Path, film: VideoFile, classes: Sequence[str], *, made_by: str, say: Callable[[str], None]
) -> AbstractContextManager[Write]:
    if file.suffix.lower() == ".json":
        return coco_file(file, film, classes)
    if file.suffix.lower() in (".csv", ".txt"):
        return mot_file(file, film, classes)
    return drawn_film(file, film, classes, made_by=made_by, say=say)


@contextmanager
def coco_file(file: Path, film: VideoFile, classes: Sequence[str]) -> Iterator[Write]:
    """CocoVID, whose images also have the second at which they are shown; `instance_id` -1: no track."""
    height, width = film.size
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8") as text:
        about = {
            "id": 1,
            "name": film.path.name,
            "width": width,
            "height": height,
            "fps": round(float(film.clock.rate), 6),
            "num_frames": film.num_frames,
        }
        categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
        text.write(f'{{"videos": [{as_json(about)}],\n"categories": {as_json(categories)},\n"images": [')
        _write_items(text, (_image(film, frame) for frame in range(film.num_frames)))
        text.write('],\n"annotations": [')
        number = {name: place for place, name in enumerate(classes, start=1)}
        count = 0

        def write(frame: int, boxes: FrameBoxes) -> None:
            nonlocal count
            for box in rows_of(frame, boxes, classes):
                text.write(",\n" if count else "\n")
                count += 1
                one = coco.annotation_of(box, count, number[box.label], frame + 1)
                text.write(as_json({**one, "video_id": 1, "instance_id": box.track}))

        yield write
        text.write("]}\n")


def _write_items(text: IO[str], items: Iterator[dict[str, Any]]) -> None:
    for number, item in enumerate(items):
        text.write((",\n" if number else "\n") + json.dumps(item))


def _image(film: VideoFile, frame: int) -> dict[str, Any]:
    return {
        "id": frame + 1,
        "video_id": 1,
        "frame_id": frame,
        "file_name": f"{film.path.name}/{frame:06d}.jpg",
        "width": film.size[1],
        "height": film.size[0],
        "seconds": round(float(film.clock.seconds(frame)), 6),
    }


@contextmanager
def mot_file(file: Path, film: VideoFile, classes: Sequence[str]) -> Iterator[Write]:
    """MOTChallenge, with classes numbered from 1; id -1 is of a box without a track."""
    video = AnnotatedVideo(film.path.name, classes=tuple(classes))
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8") as text:

        def write(frame: int, boxes: FrameBoxes) -> None:
            text.write(mot.text_of(replace(video, boxes=rows_of(frame, boxes, classes))))

        yield write


def rows_of(frame: int, boxes: FrameBoxes, classes: Sequence[str]) -> list[BoxOnFrame]:
    """What was found on a frame, to a hundredth of a pixel."""
    rows = []
    for corners, label, score, track in zip(*(column.tolist() for column in boxes)):
        x0, y0, x1, y1 = (round(value, 2) for value in corners)
        rows.append(BoxOnFrame(frame, x0, y0, x1, y1, classes[label], track, round(score, 6)))
    return rows


@contextmanager
def drawn_film(
    file: Path, film: VideoFile, classes: Sequence[str], *, made_by: str = "", say: Callable[[str], None] = print
) -> Iterator[Write]:
    """The film with boxes drawn, its times and sound kept; small pictures enlarged."""
    factor = enlargement(film.size)
    size = film.size[0] * factor, film.size[1] * factor
    with remade_video(file, like=film, size=size, made_by=made_by, say=say) as write_picture:
        pictures = iter(film)

        def write(_: int, boxes: FrameBoxes) -> None:
            picture = next(pictures)
            drawn_HWC = draw_boxes(picture.pixels_HWC, found_boxes(boxes, classes))
            write_picture(replace(picture, pixels_HWC=drawn_HWC))

        yield write
