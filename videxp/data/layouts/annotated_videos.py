"""Videos with boxes on their frames, of one's own or of a published set: any format of boxes that is read.

The boxes become the field `boxes`, their classes those of the data set. `videxp.data.box_files` says what each format
states.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt
from videxp.data.annotations.annotation import Annotation
from videxp.data.annotations.boxes import Boxes
from videxp.data.box_files.form import AnnotatedVideo, classes_of, read_class_file
from videxp.data.box_files.formats import Format, check_options, read_boxes
from videxp.data.layouts.base import absent
from videxp.data.layouts.footage import Footage, FrameSequences, VideoFolder
from videxp.data.layouts.frame_folders import ImageSequences
from videxp.data.layouts.video_names import match_videos
from videxp.data.layouts.walk import below, walk
from videxp.data.manifest import SPLITS, Row, Split
from videxp.data.notes import UNHEARD, FilteredNotes, Notes, examples
from videxp.video.file_kinds import is_image

NOT_THERE, NOT_STATED = "videos with boxes that are not there", "videos of which no boxes are stated"
STATING = (".csv", ".ini", ".json", ".pbtxt", ".pkl", ".txt", ".xml")
"""Endings of files that state boxes, and are no samples."""
FIELD_NAME = "boxes"
MOST_SIDE = 100_000


@dataclass(kw_only=True)
class BoxedFootage(Footage):
    """What the layouts here share: everything but what a video is.

    boxes: the file or folder under root, or one for each split, {train: a.csv, val: b.csv}. options: of its format.
    class_file: names of numbered classes, one a line from 1, or AVA's .pbtxt. class_names: the classes to detect, in
    their order; boxes of others are left out, and counted; None: all that the file lists or has.
    size: WIDTHxHEIGHT that boxes refer to, in the place of what the file states, or of the video's own.
    beyond: boxes beyond the picture or the last frame: refuse | cut, which counts them.
    around_frames: a sample for each frame that has boxes, so many frames around it, with the boxes of that frame, as
    AVA has them once a second: the frame is number around_frames / 2 of them. None: a sample for each video.
    Splits: those of the file, else as `VideoFolder` finds them. A video that the file does not name is left out.
    """

    boxes: str | dict[str, str]
    format: Format
    options: dict[str, Any] = field(default_factory=dict)
    class_file: str | None = None
    class_names: Sequence[str] | None = None
    size: str | None = None
    beyond: Literal["refuse", "cut"] = "refuse"
    around_frames: Annotated[int, Ge(2)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self.format, self.options)
        parse_size(self.size)
        if isinstance(self.boxes, dict) and (other := next((key for key in self.boxes if key not in SPLITS), None)):
            raise BadRequest(f"dataset.layout.boxes: {other!r} is no split: they are {', '.join(SPLITS)}")
        self._classes: dict[str, list[str]] = {}

    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in super().settings().items() if key != "_classes"}

    @property
    def annotations(self) -> Sequence[Annotation]:
        remedy = "dataset.layout.beyond=cut cuts such boxes, dataset.layout.size=WIDTHxHEIGHT says what they refer to"
        return [Boxes(FIELD_NAME, classes=self.class_names or (), beyond=self.beyond, remedy=remedy)]

    @property
    def box_files(self) -> list[str]:
        return [self.boxes] if isinstance(self.boxes, str) else list(self.boxes.values())

    @property
    def list_files(self) -> list[str]:
        return [*super().list_files, *self.box_files]

    def missing(self, root: Path) -> list[str]:
        files = [*self.box_files, *([] if self.class_file is None else [self.class_file])]
        return super().missing(root) or absent(root, *files)

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        if str(root) not in self._classes:
            self.rows(root)
        return self._classes[str(root)]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        stated = self._read(root, notes)
        names = self._classes[str(root)] = list(self.class_names or classes_of(stated))
        rows = self.given_rows(root, FilteredNotes(notes, self._is_sample))
        videos = {row.path: video for row, video in self._matched(rows, stated, notes)}
        for row in rows:
            if row.path not in videos:
                notes.pass_over(NOT_STATED, row.path)
        for path, video in videos.items():
            videos[path] = choose_boxes(video, names if self.class_names is not None else None, notes)
        rows = [replace(row, split=videos[row.path].split or row.split) for row in rows if row.path in videos]
        rows = self.with_all_splits(rows, notes)
        tell_classes(rows, videos, names, notes)
        boxes = Boxes(FIELD_NAME, classes=names)
        return [sample for row in rows for sample in self._samples(row, videos[row.path], boxes)]

    def _read(self, root: Path, notes: Notes) -> list[AnnotatedVideo]:
        """What all files state. Raises BadRequest."""
        classes = None if self.class_file is None else read_class_file(root / self.class_file)

        def read(file: str) -> list[AnnotatedVideo]:
            return read_boxes(root / file, format=self.format, classes=classes, options=self.options, notes=notes)

        if isinstance(self.boxes, str):
            return read(self.boxes)
        return [replace(video, split=split_named(split)) for split, file in self.boxes.items() for video in read(file)]

    def _is_sample(self, path: str) -> bool:
        """Whether a path that is passed over is worth a note: not what states boxes."""
        return not path.endswith(STATING) and not any(PurePosixPath(path).is_relative_to(f) for f in self.box_files)

    def _matched(
        self, rows: Sequence[Row], stated: Sequence[AnnotatedVideo], notes: Notes
    ) -> Iterator[tuple[Row, AnnotatedVideo]]:
        paths = {PurePosixPath(self.video_of(row.path)).relative_to(self.targets).as_posix(): row for row in rows}
        found = match_videos([video.name for video in stated], list(paths), where=", ".join(self.box_files))
        for video in stated:
            if video.name in found:
                yield paths[found[video.name]], video
            else:
                notes.pass_over(NOT_THERE, video.name)

    def video_of(self, path: str) -> str:
        """What of a row's path names the video."""
        return path

    def _samples(self, row: Row, video: AnnotatedVideo, boxes: Boxes) -> Iterator[Row]:
        """Raises BadRequest where a frame's time is not known."""
        size, rate = parse_size(self.size) or video.size, video.fps if video.timed else None
        if self.around_frames is None:
            yield row.with_field(FIELD_NAME, boxes.pack(video.boxes, size=size, fps=rate))
            return
        if video.fps is None:
            raise BadRequest(f"{video.name}: its frames per second are not stated: dataset.layout.around_frames=null")
        frames = sorted({box.frame for box in video.boxes})
        of_frame: dict[int, list[Any]] = {frame: [] for frame in frames}
        for box in video.boxes:
            of_frame[box.frame].append(box)
        for frame in frames:
            start = frame - self.around_frames // 2 - 0.5  # between two frames, so that rounding moves none
            times = max(0.0, start / video.fps), (start + self.around_frames) / video.fps
            part = replace(row, start_seconds=times[0], end_seconds=times[1])
            yield part.with_field(FIELD_NAME, boxes.pack(of_frame[frame], size=size, fps=rate))


@dataclass(kw_only=True)
class AnnotatedVideos(BoxedFootage, VideoFolder):
    """A folder of videos as `VideoFolder` finds them, and a file of boxes (`BoxedFootage`)."""


@dataclass(kw_only=True)
class AnnotatedFrames(BoxedFootage, FrameSequences):
    """The same for a folder of images for each video, as `FrameSequences` finds them; within: see there."""

    def video_of(self, path: str) -> str:
        return self._clip(path).as_posix()


@dataclass(kw_only=True)
class AnnotatedPictures(ImageSequences, BoxedFootage):
    """Pictures, each a video of one frame: COCO, Pascal VOC."""

    template: str = "*"
    fps: Annotated[float, Gt(0)] = 1.0

    def clips(self, root: Path, folder: str, notes: Notes = UNHEARD) -> Iterator[str]:
        for inner, _, files in walk(root, folder, notes):
            for entry in files:
                if is_image(entry.name):
                    yield below(inner, entry.name)
                else:
                    notes.pass_over("files that are no images", below(inner, entry.name))


# ---- shared ---------------------------------------------------------------------------------------------------------


def split_named(name: str) -> Split:
    return next(split for split in SPLITS if split == name)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`320x240` -> (320, 240). Raises BadRequest."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 0 < int(side) <= MOST_SIDE for side in sides):
        raise BadRequest(f"dataset.layout.size={text!r} is no WIDTHxHEIGHT, such as 320x240")
    return int(sides[0]), int(sides[1])


def choose_boxes(video: AnnotatedVideo, names: Sequence[str] | None, notes: Notes) -> AnnotatedVideo:
    """Those to be counted, of the classes called so; None: of all."""
    counted = [box for box in video.boxes if box.score > 0]
    chosen = counted if names is None else [box for box in counted if box.label in set(names)]
    if len(counted) < len(video.boxes):
        notes.pass_over("videos with boxes marked as not to be counted, which are left out", video.name, about="boxes")
    if len(chosen) < len(counted):
        notes.pass_over("videos with boxes of classes that class_names leaves out", video.name, about="boxes")
    return replace(video, boxes=chosen)


def tell_classes(rows: Sequence[Row], videos: dict[str, AnnotatedVideo], names: Sequence[str], notes: Notes) -> None:
    """Classes without a box, and those that are tested and not trained."""
    of: dict[str, set[str]] = {split: set() for split in SPLITS}
    for row in rows:
        of[row.split] |= {box.label for box in videos[row.path].boxes}
    if unused := [name for name in names if not any(name in labels for labels in of.values())]:
        notes.tell("classes", f"{len(unused):,} of {len(names):,} have no box: {examples(unused)}")
    untrained = [name for name in names if of["train"] and name in (of["val"] | of["test"]) - of["train"]]
    if untrained:
        notes.tell("classes", f"{len(untrained):,} have boxes in val or test, and none in train: {examples(untrained)}")
