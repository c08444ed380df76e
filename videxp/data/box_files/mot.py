"""MOTChallenge: `frame,id,x,y,w,h,conf,class,visibility` in SEQUENCE/gt/gt.txt, and SEQUENCE/seqinfo.ini.

Frames: from 1. Boxes: left, top, width and height in pixels of the sequence's pictures (`imWidth`, `imHeight`), the
first pixel being 1 (`first_pixel=0` for files that count from 0). Detections, and the year 2015, have no class:
`frame,-1,x,y,w,h,conf[,x,y,z]`. A confidence or visibility of exactly -1 is none, and read as 1; a confidence of 0 in
gt.txt marks what is not to be counted.
"""

from collections.abc import Iterable
from configparser import ConfigParser
from configparser import Error as BadIni
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
    check_unique,
    class_of,
    make_box,
)
from videxp.data.layouts.tables import cut, read_each, read_lines, read_text
from videxp.data.notes import UNHEARD, Notes

CLASSES: ClassNames = dict(
    enumerate(
        (
            "pedestrian", "person_on_vehicle", "car", "bicycle", "motorbike", "non_motorized_vehicle", "static_person",
            "distractor", "occluder", "occluder_on_ground", "occluder_full", "reflection", "crowd",
        ),
        start=1,
    )
)  # fmt: skip
Source = Literal["gt", "det"]


def read(
    path: Path,
    *,
    classes: ClassNames | None = None,
    source: Source = "gt",
    first_pixel: Literal[0, 1] = 1,
    notes: Notes = UNHEARD,
) -> list[AnnotatedVideo]:
    """A text file, the folder of a sequence, or one of sequences. classes: None: MOTChallenge's."""
    names = CLASSES if classes is None else classes
    if path.is_file():
        return [_read_text(path, AnnotatedVideo(path.stem, classes=_listed(names)), names, first_pixel)]
    folders = (
        [path] if (path / source).is_dir() else sorted(file.parent.parent for file in path.glob(_file("*", source)))
    )
    if not folders:
        raise BadRequest(f"{path} is neither a text file nor a folder with {source}/{source}.txt, nor one of such")
    return [
        _read_text(folder / source / f"{source}.txt", _read_seqinfo(folder, _listed(names)), names, first_pixel)
        for folder in folders
    ]


def _file(sequence: str, source: str) -> str:
    return f"{sequence}/{source}/{source}.txt"


def _listed(names: ClassNames) -> tuple[str, ...]:
    return tuple(names[number] for number in sorted(names))


def _read_seqinfo(folder: Path, classes: tuple[str, ...]) -> AnnotatedVideo:
    file = folder / "seqinfo.ini"
    if not file.is_file():
        return AnnotatedVideo(folder.name, classes=classes)
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(file), source=str(file))
        about = parser["Sequence"]
    except (BadIni, KeyError) as error:
        raise BadRequest(f"{file}: no section [Sequence] as MOTChallenge has it: {cut(error)}") from None
    size = tuple(as_whole(about[key], key, str(file), least=1) for key in ("imWidth", "imHeight") if key in about)
    return AnnotatedVideo(
        folder.name,
        num_frames=as_whole(about["seqLength"], "seqLength", str(file)) if "seqLength" in about else None,
        size=(size[0], size[1]) if len(size) == 2 else None,
        fps=as_number(about["frameRate"], "frameRate", str(file)) if "frameRate" in about else None,
        classes=classes,
    )


def _read_text(file: Path, video: AnnotatedVideo, names: ClassNames, first_pixel: int) -> AnnotatedVideo:
    def one(numbered: tuple[int, str]) -> BoxOnFrame:
        place, cells = f"{file}, line {numbered[0]}", numbered[1].replace(",", " ").split()
        if len(cells) not in (6, 7, 9, 10):
            raise BadRequest(f"{place}: {len(cells)} columns, not frame,id,x,y,w,h,conf,class,visibility")
        frame = as_whole(cells[0], "frame", place, least=1) - 1
        track = int(as_number(cells[1], "id", place))
        x, y, width, height = (as_number(cell, "x,y,w,h", place) for cell in cells[2:6])
        corners = (x - first_pixel, y - first_pixel, x - first_pixel + width, y - first_pixel + height)
        score, visible = ((as_number(cells[at], "conf", place) if len(cells) in of else 1.0)
                          for at, of in ((6, (7, 9, 10)), (8, (9,))))  # fmt: skip
        number = as_whole(cells[7], "class", place, least=-1) if len(cells) == 9 else -1
        label = names[min(names)] if number == -1 else class_of(number, names, place)
        score, visible = (1.0 if value == -1 else value for value in (score, visible))
        return make_box(frame, corners, label, place=place, track=track, score=score, visible=visible)

    video.boxes = read_each(read_lines(file), one)
    check_unique(video, str(file))
    return video


def write(
    videos: Iterable[AnnotatedVideo], path: Path, *, classes: ClassNames | None = None, source: Source = "gt"
) -> None:
    """path/NAME/gt/gt.txt of each video, and seqinfo.ini with what is known of it. classes: None: MOTChallenge's, or
    the videos' own where they list others.
    """
    for video in videos:
        folder = path / video.name
        (folder / source).mkdir(parents=True, exist_ok=True)
        write_text(folder / source / f"{source}.txt", text_of(video, classes=classes))
        stated = {"name": video.name, "frameRate": video.fps, "seqLength": video.num_frames}
        stated |= dict(zip(("imWidth", "imHeight"), video.size or ()))
        known = [f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
                 for key, value in stated.items() if value is not None]  # fmt: skip
        write_text(folder / "seqinfo.ini", "\n".join(["[Sequence]", *known, ""]))


def text_of(video: AnnotatedVideo, *, classes: ClassNames | None = None) -> str:
    """The lines of one video. Raises BadRequest for a label that is none of the classes."""
    names = classes or (dict(enumerate(video.classes, start=1)) if video.classes else CLASSES)
    number = {name: place for place, name in names.items()}
    if unknown := sorted({box.label for box in video.boxes} - number.keys()):
        raise BadRequest(f"{video.name}: {cut(unknown[0])} is none of the classes {', '.join(number)}")
    lines = []
    for box in by_frame(video.boxes):
        values = (box.x0 + 1, box.y0 + 1, box.x1 - box.x0, box.y1 - box.y0, box.score)
        written = ",".join(f"{value:.10g}" for value in values)
        lines.append(f"{box.frame + 1},{box.track},{written},{number[box.label]},{box.visible:.10g}\n")
    return "".join(lines)
