"""Footage without labels, for restoration and generation: folders of videos or of image sequences.

Clips alone (their degraded counterparts are made while training) or pairs: `inputs` says where the counterpart of each
clip lies. Both have the same frames, and the clip is a whole number of times as large; preparing checks it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt, Interval
from videxp.data.layouts.base import Layout, absent, completed_splits, source_of
from videxp.data.layouts.frame_folders import ImageSequences
from videxp.data.layouts.split_folders import split_folders
from videxp.data.layouts.tables import check_path, read_each, read_list
from videxp.data.layouts.walk import below, find_image_folders, find_videos
from videxp.data.manifest import SPLITS, Row, Split
from videxp.data.notes import UNHEARD, Notes


@dataclass(kw_only=True)
class Footage(Layout):
    """What `VideoFolder` and `FrameSequences` share: everything but what a clip is."""

    targets: str = "."
    inputs: str | None = None
    splits: Literal["auto", "made", "test"] = "auto"
    train_folder: str | None = None
    val_folder: str | None = None
    test_folder: str | None = None
    train_list: str | None = None
    val_list: str | None = None
    test_list: str | None = None
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    test_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.2
    group_pattern: str | None = None
    split_seed: int = 0

    @property
    def own_inputs(self) -> str | None:
        """`inputs`, where they lie apart from the clips."""
        return self.inputs

    def __post_init__(self) -> None:
        if self.own_inputs is not None and self.targets == ".":
            raise BadRequest(
                f"dataset.layout.inputs={self.inputs} would lie among the clips: put the clips into a folder, too, "
                "and name it in dataset.layout.targets"
            )
        counterpart(self.inputs or "", "a/b.mp4")

    def clips(self, root: Path, folder: str, notes: Notes = UNHEARD) -> Iterator[str]:
        """Paths, relative to root, of the clips in root/folder and beneath it."""
        raise NotImplementedError

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        names = [self.targets, *(file for file in self._lists.values() if file is not None)]
        if self.own_inputs is not None and "{" not in self.own_inputs:
            names.append(self.own_inputs)
        if problems := absent(root, *names):
            return problems
        try:
            if not any(self._lists.values()) and self.splits != "test":
                self._split_folders(root, UNHEARD)
        except BadRequest as error:
            return [str(error)]
        return [] if any(self.clips(root, self.targets)) else [f"{root / self.targets} holds no clips"]

    @property
    def list_files(self) -> list[str]:
        return [file for file in self._lists.values() if file is not None]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        return self.with_all_splits(self.given_rows(root, notes), notes)

    def given_rows(self, root: Path, notes: Notes) -> list[Row]:
        """In the splits that lists or folders give; all of them train where there are none."""
        if self.splits == "test":
            return self._rows(self.clips(root, self.targets, notes), "test")
        if any(self._lists.values()):
            return [row for split in SPLITS for row in self._listed(root, split)]
        folders = self._split_folders(root, notes) or {"train": ""}
        return [
            row
            for split, folder in folders.items()
            for row in self._rows(self.clips(root, below(self.targets, folder), notes), split)
        ]

    def with_all_splits(self, rows: Iterable[Row], notes: Notes) -> list[Row]:
        if self.splits == "test":
            return [*rows]
        return completed_splits(
            rows,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            group=source_of(self.group_pattern),
            seed=self.split_seed,
            notes=notes,
            own="folders train, val and test, or lists",
        )

    def _split_folders(self, root: Path, notes: Notes) -> dict[Split, str]:
        if self.splits == "made":
            return {}
        given: dict[Split, str | None] = {"train": self.train_folder, "val": self.val_folder, "test": self.test_folder}
        return split_folders(root, self.targets, given, holds=lambda folder: any(self.clips(root, folder)), notes=notes)

    def _listed(self, root: Path, split: Split) -> list[Row]:
        file = self._lists[split]
        clips = listed_clips(root / file, root / self.targets) if file else []
        return self._rows((below(self.targets, clip) for clip in clips), split)

    @property
    def _lists(self) -> dict[Split, str | None]:
        return {"train": self.train_list, "val": self.val_list, "test": self.test_list}

    def _rows(self, paths: Iterable[str], split: Split) -> list[Row]:
        """paths: relative to root."""
        targets = PurePosixPath(self.targets)
        inner = (PurePosixPath(path).relative_to(targets).as_posix() for path in paths)
        return [footage(path, split, targets=self.targets, inputs=self.inputs) for path in inner]


@dataclass(kw_only=True)
class VideoFolder(Footage):
    """root/<targets>/<split>/**/*.mp4, or root/<targets>/**/*.mp4. No labels.

    Which clip belongs to which split: by train_list, val_list, test_list (text files under root; a path relative to
    `targets` in each line) where any is given; else by split folders, by their usual names or as named; else, and for
    splits that get no clip, test_fraction and val_fraction of the clips by hash, the same on every machine (val but no
    test: val is test). splits="test": every clip is a test clip; "made": no folder is a split. group_pattern,
    extensions: see FolderPerClass.
    inputs: the folder, or a pattern with {path}, {parent}, {name}, {stem}, of the degraded counterparts:
    targets=GT, inputs=BIx4: GT/a/b.mp4 and BIx4/a/b.mp4; inputs=BIx4/{parent}/{stem}.avi: BIx4/a/b.avi.
    """

    extensions: Sequence[str] | None = None

    def clips(self, root: Path, folder: str, notes: Notes = UNHEARD) -> Iterator[str]:
        return find_videos(root, folder, notes, extensions=self.extensions)


@dataclass(kw_only=True)
class FrameSequences(ImageSequences, Footage):
    """The same for folders of images, a clip each: Vid4, UDM10, REDS' own arrangement. No labels.

    template: `{:08d}.png`, `im{}.png`; or `*`, `*.png`: all images of the folder, as people count: im2 before im10.
    fps: frames per second of the images, which no image tells.
    test_first: so many frames of each test clip, from its start, are the test; None: all.
    within: the folder of clean frames in each clip's folder; `inputs` is then one there, too: with within=sharp and
        inputs=blur, root/<targets>/<split>/CLIP/{sharp,blur}/*.png. test_clips: names of clips; the others train.
    """

    template: str = "*"
    fps: Annotated[float, Gt(0)] = 25.0
    test_first: Annotated[int, Ge(1)] | None = None
    within: str | None = None
    test_clips: Sequence[str] | None = None

    @property
    def own_inputs(self) -> str | None:
        return self.inputs if self.within is None else None

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        names = {self._clip(path).name for path in self.clips(root, self.targets)} if self.test_clips else set()
        lost = [name for name in self.test_clips or () if name not in names]
        return [f"{root / self.targets} has no clip {lost[0]}: dataset.layout.test_clips names it"] if lost else []

    def given_rows(self, root: Path, notes: Notes) -> list[Row]:
        if not self.test_clips:
            return super().given_rows(root, notes)
        tested = set(self.test_clips)
        rows = self._rows(self.clips(root, self.targets, notes), "train")
        return [replace(row, split="test") if self._clip(row.path).name in tested else row for row in rows]

    def _rows(self, paths: Iterable[str], split: Split) -> list[Row]:
        rows = super()._rows(paths, split)
        if self.within is None or self.inputs is None:
            return rows
        return [replace(row, input=(self._clip(row.path) / self.inputs).as_posix()) for row in rows]

    def _clip(self, path: str) -> PurePosixPath:
        """The clip's folder of that of its clean frames."""
        return PurePosixPath(path if self.within is None else path.removesuffix(f"/{self.within}"))

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        rows = super().rows(root, notes)
        if self.test_first is None:
            return rows
        end = self.test_first / self.fps
        return [replace(row, end_seconds=end) if row.split == "test" else row for row in rows]

    def clips(self, root: Path, folder: str, notes: Notes = UNHEARD) -> Iterator[str]:
        found = find_image_folders(root, folder, notes)
        return found if self.within is None else (path for path in found if path.endswith(f"/{self.within}"))


# ---- shared -----------------------------------------------------------------------------------------------------


def footage(path: str, split: Split, *, targets: str, inputs: str | None) -> Row:
    """A clip at targets/path with, if any, its counterpart."""
    given = "" if inputs is None else counterpart(inputs, path)
    return Row(PurePosixPath(targets, path).as_posix(), split, input=given)


def listed_clips(file: Path, folder: Path) -> list[str]:
    """One path a line, relative to the folder."""
    return read_each(read_list(file), lambda line: check_path(line[1], folder=folder, place=f"{file}, line {line[0]}"))


def counterpart(inputs: str, path: str, *, key: str = "inputs") -> str:
    """BIx4, a/b.mp4 -> BIx4/a/b.mp4; BIx4/{parent}/{stem}.avi -> BIx4/a/b.avi. key: of the layout, for the error."""
    parts = PurePosixPath(path)
    fields = {"path": path, "parent": parts.parent.as_posix(), "name": parts.name, "stem": parts.stem}
    try:
        found = inputs.format(**fields) if "{" in inputs else f"{inputs}/{path}"
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        known = ", ".join(f"{{{name}}}" for name in fields)
        raise BadRequest(f"dataset.layout.{key}={inputs!r}: {error} is no field: there are {known}") from None
    return PurePosixPath(found).as_posix()
