"""A folder of images per video, as optical-flow and Something-Something pipelines leave them."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from os.path import isdir
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Gt, Interval
from videxp.data.layouts.base import Layout, absent
from videxp.data.layouts.class_numbers import Listed
from videxp.data.layouts.labelled_lists import LabelledLists
from videxp.data.layouts.split_folders import split_folders
from videxp.data.layouts.tables import check_path, cut, read_each
from videxp.data.layouts.walk import below, find_image_folders, holds_image_folders
from videxp.data.manifest import Facts, Row, Split, sorted_classes
from videxp.data.notes import UNHEARD, Notes
from videxp.video.errors import UnreadableVideo
from videxp.video.frame_names import frame_files

DECODED = 16
"""Pictures of each folder that are decoded when it is prepared, if it has so many."""


class ImageSequences(Layout):
    """Base of layouts whose samples are folders of images, or single ones."""

    template: str
    fps: float

    @property
    def frame_template(self) -> str:
        return self.template

    def size_and_time(self, path: Path) -> tuple[int, int]:
        stats = [entry.stat() for entry in os.scandir(path)] if path.is_dir() else [path.stat()]
        return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)

    def would_tell(self, facts: Facts) -> bool:
        return facts.container == "folder" and facts.fps == self.fps

    def facts(self, path: Path, *, thorough: bool = False) -> Facts:
        """Each picture's header is read, and its end; DECODED of them, evenly spread, are decoded, or all of them."""
        from videxp.video.picture_file import BadPicture

        size_bytes, mtime_ns = self.size_and_time(path)
        seen = Facts(size_bytes=size_bytes, mtime_ns=mtime_ns)
        try:
            images = frame_files(path, template=self.template)
        except UnreadableVideo as error:
            return replace(seen, error=error.cause)
        digest = hashlib.blake2b(digest_size=16)
        last, first_size = len(images) - 1, None
        decoded = range(len(images)) if thorough else {round(i * last / (DECODED - 1)) for i in range(DECODED)}
        for number, image_file in enumerate(images):
            try:
                data = image_file.read_bytes()
                size = check_picture(data, decode=number in decoded)
            except (BadPicture, OSError) as error:
                return replace(seen, error=f"{image_file.name}: {getattr(error, 'strerror', None) or error}")
            if size != (first_size := first_size or size):
                sizes = f"{size[1]}x{size[0]}", f"{first_size[1]}x{first_size[0]}"
                return replace(seen, error=f"{image_file.name} has size {sizes[0]}, the first frame {sizes[1]}")
            digest.update(data)
        height, width = first_size or (0, 0)
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


class FrameFolders(ImageSequences, LabelledLists):
    """root/<folder of a clip>/img_00001.jpg, with lists of clips or a folder per class.

    With train_list: text files as TSN and TSM have them, a line per clip: "folder num_frames label", or "folder label"
    (frames are counted anyway), the same in all lists. Folders are relative to `frames`, a folder under root.
    class_file, first_label: for lists with numbers as labels, see VideoLists.
    Without lists: root/<frames>/<split>/<class>/**/<clip>/, or root/<frames>/<class>/**/<clip>/; folders of splits as
    `FolderPerClass` finds them.
    No val list or folder: val_fraction of train; val but no test: test is val; no test: val_fraction of train, too.
    group_pattern: see FolderPerClass.
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
        splits: Literal["auto", "made"] = "auto",
        train_folder: str | None = None,
        val_folder: str | None = None,
        test_folder: str | None = None,
        group_pattern: str | None = None,
    ) -> None:
        self.template = template
        self.fps = fps
        self.frames = frames
        self.lists: dict[Split, str | None] = {"train": train_list, "val": val_list, "test": test_list}
        self.class_file = class_file
        self.first_label = first_label
        self.val_fraction = val_fraction
        self.splits = splits
        self.folders: dict[Split, str | None] = {"train": train_folder, "val": val_folder, "test": test_folder}
        self.group_pattern = group_pattern

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        problems = absent(root, self.frames, *self.list_files, *([self.class_file] if self.class_file else []))
        if problems or self.lists["train"] is not None:
            return problems
        try:
            top = below(self.frames, self._split_folders(root, UNHEARD).get("train", ""))
            if any(PurePosixPath(clip).parent != PurePosixPath(top) for clip in find_image_folders(root, top)):
                return []
        except BadRequest as error:
            return [str(error)]
        return [f"{root / top} holds no folders of images in one folder per class: or set dataset.layout.train_list"]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        rows = self._listed(root) if self.lists["train"] else self._found(root, notes)
        return self._with_all_splits(rows, own="folders train, val and test, or lists", notes=notes)

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        return sorted_classes(labels) if self.lists["train"] is None else super().classes(root, labels)

    def _split_folders(self, root: Path, notes: Notes) -> dict[Split, str]:
        if self.splits == "made":
            return {}
        holds = partial(holds_image_folders, root)
        return split_folders(root, self.frames, self.folders, holds=holds, notes=notes)

    def _found(self, root: Path, notes: Notes) -> list[Row]:
        folders: dict[Split, str] = self._split_folders(root, notes) or {"train": ""}
        return [row for split, folder in folders.items() for row in self._labelled(root, folder, split, notes)]

    def _labelled(self, root: Path, folder: str, split: Split, notes: Notes) -> Iterator[Row]:
        """The folders of images in root/<frames>/<folder>, labelled by the first folder on the way."""
        top = PurePosixPath(self.frames, folder)
        for path in find_image_folders(root, top.as_posix(), notes):
            label, *inner = PurePosixPath(path).relative_to(top).parts
            if inner:
                yield Row(path, split, (label,))
            else:
                notes.pass_over("folders of images outside of class folders", path)

    def _listed(self, root: Path) -> list[Row]:
        lines = self._lines(root)
        has_counts = _has_counts([line for _, line, _ in lines], root / self.frames)

        def listed(given: tuple[Split, str, str]) -> Listed:
            split, line, place = given
            folder, label = _folder_and_label(line, has_counts, place)
            check_path(folder, folder=root / self.frames, place=place)
            return Listed(split, (Path(self.frames) / folder).as_posix(), label, place)

        return self._labelled_rows(root, read_each(lines, listed))


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


def check_picture(data: bytes, *, decode: bool) -> tuple[int, int]:
    """Its (height, width) as displayed; decoded, too, where its end does not tell that it is whole.

    Raises `BadPicture`.
    """
    from videxp.video.picture_file import decode_picture, ends_whole, picture_size

    size = picture_size(data)
    if decode or not ends_whole(data):
        decode_picture(data)
    return size
