"""A folder of images per video, as optical-flow and Something-Something pipelines leave them."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from videxp.data.layouts import Layout, absent, class_names, content_lines, hold_out, named, same_rows, source_of
from videxp.data.manifest import SPLITS, Facts, Row, Split, sorted_classes
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
    (frames are counted anyway). Folders are relative to `frames`, a folder under root. class_file: names of the
    classes, one a line, for lists with numbers as labels. Without lists: root/<frames>/<split>/<class>/<clip>/.
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
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
    ) -> None:
        self.template = template
        self.fps = fps
        self.frames = frames
        self.lists = {"train": train_list, "val": val_list, "test": test_list}
        self.class_file = class_file
        self.val_fraction = val_fraction

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        if self.lists["train"] is None:
            top = root / self.frames / "train"
            return [] if top.is_dir() else [f"{top} does not exist: put it there, or set dataset.layout.train_list"]
        files = [*self.lists.values(), self.class_file]
        return absent(root, self.frames, *(file for file in files if file is not None))

    def rows(self, root: Path) -> list[Row]:
        rows = {split: self._split(root, split) for split in SPLITS}
        if rows["val"] and not rows["test"]:
            rows["test"] = same_rows(rows["val"], split="test")
        everything = [row for split in SPLITS for row in rows[split]]
        for split in ("test", "val"):
            if not rows[split]:
                everything = hold_out(everything, into=split, fraction=self.val_fraction, group=source_of(None))
        return everything

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        return class_names(root, self.class_file) or sorted_classes(labels)

    def _split(self, root: Path, split: Split) -> list[Row]:
        if self.lists["train"] is None:
            folders = sorted((root / self.frames / split).glob("[!.]*/[!.]*/"))
            return [Row(path=f.relative_to(root).as_posix(), label=f.parent.name, split=split) for f in folders]
        if (file := self.lists[split]) is None:
            return []
        names = class_names(root, self.class_file)
        rows = []
        for number, line in content_lines(root / file):
            folder, *count, label = line.rsplit(maxsplit=2)
            if count and not count[0].isdecimal():  # "folder with a space label"
                folder, label = line.rsplit(maxsplit=1)
            label = named(label, names, place=f"{root / file}, line {number}")
            path = (Path(self.frames) / folder.strip()).as_posix()
            rows.append(Row(path=path, label=label, split=split))
        return rows
