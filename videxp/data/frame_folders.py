"""A folder of images per video, as optical-flow and Something-Something pipelines leave them."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from os.path import isdir
from pathlib import Path
from typing import Annotated, Literal

from videxp.data.class_numbers import Listed, numbered_classes, read_class_names, resolve_labels
from videxp.data.layouts import Layout, absent, hold_out, same_rows, source_of
from videxp.data.manifest import SPLITS, Facts, Row, Split, sorted_classes
from videxp.data.tables import check_path, cut, read_each, read_list
from videxp.errors import BadRequest
from videxp.limits import Gt, Interval
from videxp.video.errors import UnreadableVideo
from videxp.video.frame_names import frame_files


class ImageSequences(Layout):
    """Base of layouts whose samples are folders of images."""

    template: str
    fps: float

    @property
    def frame_template(self) -> str:
        return self.template

    def size_and_time(self, path: Path) -> tuple[int, int]:
        stats = [entry.stat() for entry in os.scandir(path)]
        return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)

    def facts(self, path: Path) -> Facts:
        from PIL import Image

        size_bytes, mtime_ns = self.size_and_time(path)
        seen = Facts(size_bytes=size_bytes, mtime_ns=mtime_ns)
        try:
            images = frame_files(path, template=self.template)
            with Image.open(images[0]) as image:
                width, height = image.size
        except (UnreadableVideo, OSError) as error:
            return replace(seen, error=str(getattr(error, "cause", error)))
        digest = hashlib.blake2b(digest_size=16)
        for image_file in images:
            digest.update(image_file.read_bytes())
        return replace(
            seen,
            content_hash=digest.hexdigest(),
            num_frames=len(images),
            fps=self.fps,
            width=width,
            height=height,
            duration_seconds=len(images) / self.fps,
            codec=images[0].suffix.removeprefix("."),
            container="folder",
            decoder="frames",
        )


class FrameFolders(ImageSequences):
    """root/<folder of a clip>/img_00001.jpg, with lists of clips or a folder per class.

    With train_list: text files as TSN and TSM have them, a line per clip: "folder num_frames label", or "folder label"
    (frames are counted anyway), the same in all lists. Folders are relative to `frames`, a folder under root.
    class_file, first_label: for lists with numbers as labels, see VideoLists.
    Without lists: root/<frames>/<split>/<class>/<clip>/.
    No val list or folder: val_fraction of train; val but no test: test is val; no test: val_fraction of train, too.
    fps: frames per second of the images, which no image tells.
    """

    def __init__(
        self,
        *,
        template: str = "img_{:05d}.jpg",
        fps: Annotated[float, Gt(0)] = 30.0,
        frames: str = ".",
        train_list: str | None = None,
        val_list: str | None = None,
        test_list: str | None = None,
        class_file: str | None = None,
        first_label: Literal[0, 1] | None = None,
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
    ) -> None:
        self.template = template
        self.fps = fps
        self.frames = frames
        self.lists = {"train": train_list, "val": val_list, "test": test_list}
        self.class_file = class_file
        self.first_label = first_label
        self.val_fraction = val_fraction

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        if self.lists["train"] is None:
            top = root / self.frames / "train"
            return [] if top.is_dir() else [f"{top} does not exist: put it there, or set dataset.layout.train_list"]
        return absent(root, self.frames, *self.list_files, *([self.class_file] if self.class_file else []))

    @property
    def list_files(self) -> list[str]:
        return [file for file in self.lists.values() if file is not None]

    def rows(self, root: Path) -> list[Row]:
        everything = self._listed(root) if self.lists["train"] else self._found(root)
        rows = {split: [row for row in everything if row.split == split] for split in SPLITS}
        if rows["val"] and not rows["test"]:
            everything += same_rows(rows["val"], split="test")
            rows["test"] = rows["val"]
        for split in ("test", "val"):
            if not rows[split]:
                everything = hold_out(everything, into=split, fraction=self.val_fraction, group=source_of(None))
        return everything

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        if self.lists["train"] is None:
            return sorted_classes(labels)
        names = read_class_names(root, self.class_file)
        return names or numbered_classes(list(labels), first_label=self.first_label)

    def _found(self, root: Path) -> list[Row]:
        return [
            Row(path=folder.relative_to(root).as_posix(), label=folder.parent.name, split=split)
            for split in SPLITS
            for folder in sorted((root / self.frames / split).glob("[!.]*/[!.]*/"))
        ]

    def _listed(self, root: Path) -> list[Row]:
        lines = [
            (split, line, f"{root / file}, line {number}")
            for split in SPLITS
            if (file := self.lists[split]) is not None
            for number, line in read_list(root / file)
        ]
        has_counts = _has_counts([line for _, line, _ in lines], root / self.frames)

        def listed(given: tuple[Split, str, str]) -> Listed:
            split, line, place = given
            folder, label = _folder_and_label(line, has_counts, place)
            check_path(folder, folder=root / self.frames, place=place)
            return Listed(split, (Path(self.frames) / folder).as_posix(), label, place)

        found = read_each(lines, listed)
        labels = resolve_labels(found, names=read_class_names(root, self.class_file), first_label=self.first_label)
        return [Row(path=line.path, label=label, split=line.split) for line, label in zip(found, labels)]


def _has_counts(lines: Sequence[str], frames: Path) -> bool:
    """Is a number before the label the frames' number? Not where a folder's name ends with it."""
    parts = [line.rsplit(maxsplit=2) for line in lines]
    numbered = [part for part in parts if len(part) == 3 and part[1].isdecimal()]
    return 2 * len(numbered) > len(lines) and not any(isdir(frames / f"{part[0]} {part[1]}") for part in numbered)


def _folder_and_label(line: str, has_counts: bool, place: str) -> tuple[str, str]:
    parts = line.rsplit(maxsplit=2 if has_counts else 1)
    if len(parts) != (3 if has_counts else 2) or (has_counts and not parts[1].isdecimal()):
        wanted = (
            "a folder, the number of its frames and a label, as on other lines"
            if has_counts
            else "a folder and a label"
        )
        raise BadRequest(f"{place}: {cut(line)} is not {wanted}")
    return parts[0], parts[-1]
