"""How a data set lies on disk: what every layout answers, how splits are made where none exist, and a folder per class.

A layout only lists: it opens no video. Paths in rows are relative to the root, with `/`.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from videxp.data.labels import parted, shown
from videxp.data.manifest import Facts, Row, Split, sorted_classes
from videxp.errors import BadRequest
from videxp.limits import Interval

VIDEO_EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".flv", ".ts", ".wmv", ".3gp")


class Layout:
    """Base of all layouts. Its constructor's arguments are plain values, kept under their names."""

    def missing(self, root: Path) -> list[str]:
        """What is not there, one line each with the remedy; looks at few files, so that a check takes no time."""
        return [] if root.is_dir() else [f"the folder {root} does not exist: put the data there, or set dataset.root"]

    def make(self, root: Path) -> None:
        """Make the files under root that are not there yet; most data sets cannot."""

    def rows(self, root: Path) -> Iterable[Row]:
        """All samples, in any order. Raises BadRequest where a list cannot be understood."""
        raise NotImplementedError

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        """Class names in the order in which the model numbers them."""
        return sorted_classes(labels)

    def size_and_time(self, path: Path) -> tuple[int, int]:
        """(bytes, mtime in ns): what a sample that changes does not keep. Raises OSError if it is gone."""
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns

    def facts(self, path: Path) -> Facts | None:
        """For what is no video file: what opening `path` told. None: it is a video file."""
        return None

    @property
    def list_files(self) -> list[str]:
        """The files under root that list the samples; none where folders do."""
        return []

    @property
    def frame_template(self) -> str:
        """Name of each image where a sample is a folder of images."""
        return ""

    @property
    def trains(self) -> bool:
        """Are there samples to train on? Some data sets are for tests alone."""
        return True

    def settings(self) -> dict[str, Any]:
        """What tells this layout from another: part of the name of the prepared manifest."""
        return {"layout": type(self).__qualname__, **vars(self)}


class FolderPerClass(Layout):
    """root/<split>/<class>/**/*.mp4 or, without split folders, root/<class>/**/*.mp4. The folder is the label.

    Splits that have no folder are made, the same on every machine, from hashes of file names:
    no split folders: test_fraction and val_fraction of the files; no val folder: val_fraction of train;
    a val folder but no test folder: val is test, as is usual for Kinetics.
    `group_pattern` is a regular expression whose first group names the source of a file (speaker, film); files of one
    source stay in one split.
    """

    def __init__(
        self,
        *,
        train_folder: str = "train",
        val_folder: str = "val",
        test_folder: str = "test",
        extensions: Sequence[str] = VIDEO_EXTENSIONS,
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        test_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.2,
        group_pattern: str | None = None,
        split_seed: int = 0,
    ) -> None:
        self.train_folder = train_folder
        self.val_folder = val_folder
        self.test_folder = test_folder
        self.extensions = list(extensions)
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.group_pattern = group_pattern
        self.split_seed = split_seed

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        top = root / self.train_folder if (root / self.train_folder).is_dir() else root
        if next(labelled_files(top, self.extensions), None):
            return []
        return [f"{top} holds no videos ({', '.join(self.extensions[:3])}, ...) in one folder per class"]

    def rows(self, root: Path) -> list[Row]:
        group = source_of(self.group_pattern)
        folders = {"train": self.train_folder, "val": self.val_folder, "test": self.test_folder}
        if not (root / self.train_folder).is_dir():
            folders = {"train": ""}
        found = {split: self._folder(root, folder, split) for split, folder in folders.items()}
        return completed_splits(
            found["train"],
            found.get("val", []),
            found.get("test", []),
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            group=group,
            seed=self.split_seed,
        )

    def _folder(self, root: Path, folder: str, split: Any) -> list[Row]:
        found = labelled_files(root / folder, self.extensions)
        return [Row(path=str(PurePosixPath(folder, path)), label=label, split=split) for path, label in found]


def labelled_files(top: Path, extensions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(path relative to top, name of the folder in top) of each file that is not hidden and not directly in top."""
    for folder in sorted(p for p in top.glob("*") if p.is_dir() and not p.name.startswith(".")):
        for path in files_under(folder, extensions):
            yield f"{folder.name}/{path}", folder.name


def files_under(folder: Path, extensions: Sequence[str]) -> Iterator[str]:
    """Paths relative to the folder, with `/`, in order; links to folders are followed."""
    endings = tuple(extension.lower() for extension in extensions)
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(endings) and not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def absent(root: Path, *names: str) -> list[str]:
    return [
        f"{root / name} does not exist: put it there, or name it in dataset.layout"
        for name in names
        if not (root / name).exists()
    ]


# ---- splits ---------------------------------------------------------------------------------------------------------


def same_rows(rows: Iterable[Row], *, split: Split) -> list[Row]:
    return [replace(row, split=split) for row in rows]


def completed_splits(
    train: list[Row],
    val: list[Row],
    test: list[Row],
    *,
    val_fraction: float,
    test_fraction: float,
    group: Callable[[Row], str],
    seed: int,
) -> list[Row]:
    """All rows, with the splits that are empty made: val but no test: test is val; else shares of train, by hash."""
    if val and not test:
        return [*train, *val, *same_rows(val, split="test")]
    if not test:
        train = hold_out(train, into="test", fraction=test_fraction, group=group, seed=seed)
    if not val:
        train = hold_out(train, into="val", fraction=val_fraction, group=group, seed=seed)
    return [*train, *val, *test]


def source_of(pattern: str | None) -> Callable[[Row], str]:
    """What must not be torn apart by a split: the pattern's first group in the path, else the file itself."""
    if pattern is None:
        return lambda row: row.path
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise BadRequest(f"dataset.layout.group_pattern={pattern!r} is no regular expression: {error}") from None
    if compiled.groups < 1:
        raise BadRequest(f"dataset.layout.group_pattern={pattern!r} has no group: put (...) around the source's name")

    def group(row: Row) -> str:
        if match := compiled.search(row.path):
            return match[1]
        raise BadRequest(f"dataset.layout.group_pattern={pattern!r} does not match the path {row.path!r}")

    return group


def hold_out(
    rows: Iterable[Row], *, into: Split, fraction: float, group: Callable[[Row], str], seed: int = 0
) -> list[Row]:
    """Move about `fraction` of train's groups to the split `into`, chosen by hash: no group is torn apart.

    Where each group belongs to one class (a file, or UCF101's g01 to g25 of each class), every class gives its share;
    where groups span classes (speakers, videos with several labels), the same groups are taken from all.
    """
    rows = list(rows)
    labels_of: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.split == "train":
            labels_of[group(row)].update(parted(row.label) or [""])
    spanning = any(len(labels) > 1 for labels in labels_of.values())
    strata: dict[str, list[str]] = defaultdict(list)
    for name, labels in labels_of.items():
        strata["" if spanning else min(labels)].append(name)
    moved = {name for names in strata.values() for name in _chosen(names, fraction, salt=f"{seed} {into}")}
    return [replace(row, split=into) if row.split == "train" and group(row) in moved else row for row in rows]


def _chosen(names: list[str], fraction: float, *, salt: str) -> list[str]:
    """At least one (if another one remains) and about `fraction` of the names, by hash."""
    if len(names) < 2:
        return []
    count = min(max(1, round(fraction * len(names))), len(names) - 1)
    return sorted(names, key=lambda name: blake2b(f"{salt} {name}".encode("utf-8", "surrogateescape")).digest())[:count]


# ---- what every list of samples must be -----------------------------------------------------------------------------


def check_rows(rows: Sequence[Row], *, name: str, trains: bool = True) -> None:
    """Raises BadRequest: no samples, a sample twice, a sample of train in val or test, a class that train lacks."""
    if trains and not any(row.split == "train" for row in rows):
        raise BadRequest(f"Data set {name} has no training samples ({len(rows)} samples in all): see dataset.root")
    if not rows:
        raise BadRequest(f"Data set {name} has no samples: see dataset.root")
    where: dict[tuple, Row] = {}
    samples: dict[str, set[tuple]] = defaultdict(set)
    for row in rows:
        key = (row.path, repr(row.start_seconds), repr(row.end_seconds))
        if key in samples[row.split]:
            raise BadRequest(f"Data set {name} lists {row.path} twice in {row.split}: remove one of the two lines")
        samples[row.split].add(key)
        other = where.setdefault(key, row)
        if "train" in (other.split, row.split) and other.split != row.split:
            raise BadRequest(f"Data set {name} has {row.path} both in {other.split} and in {row.split}: remove one")
        if other.label != row.label:
            raise BadRequest(f"Data set {name} labels {row.path} both {shown(other.label)!r} and {shown(row.label)!r}")
    shared = samples["val"] & samples["test"]
    if shared and samples["val"] != samples["test"]:
        path = min(shared)[0]
        raise BadRequest(
            f"Data set {name} has {len(shared)} samples both in val and in test, such as {path}: remove them"
        )
    known = {label for row in rows if row.split == "train" for label in parted(row.label)}
    for row in rows if trains else ():
        for label in parted(row.label):
            if label not in known:
                raise BadRequest(
                    f"Data set {name}: class {label!r} is in {row.split} ({row.path}) but in no training sample"
                )
