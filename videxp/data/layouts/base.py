"""How a data set lies on disk: what every layout answers, how splits are made where none exist, and a folder per class.

A layout only lists: it opens no video. Paths in rows are relative to the root, with `/`.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Interval
from videxp.data.annotations.annotation import Annotation
from videxp.data.layouts.alike import plain_form
from videxp.data.layouts.recordings import tell_torn_recordings
from videxp.data.layouts.split_folders import split_called, split_folders
from videxp.data.layouts.walk import below, chooser, find_videos, list_folder
from videxp.data.manifest import SPLITS, Facts, Row, Split, sorted_classes
from videxp.data.notes import UNHEARD, Notes, examples

if TYPE_CHECKING:
    import numpy as np


class Layout:
    """Base of all layouts. Its constructor's arguments are plain values, kept under their names."""

    def missing(self, root: Path) -> list[str]:
        """What is not there, one line each with the remedy; looks at few files, so that a check takes no time."""
        return [] if root.is_dir() else [f"the folder {root} does not exist: put the data there, or set dataset.root"]

    def make(self, root: Path) -> None:
        """Make the files under root that are not there yet; most data sets cannot."""

    def rows(self, root: Path, notes: Notes = UNHEARD) -> Iterable[Row]:
        """All samples, in any order; `notes` takes what was guessed and passed over on the way.

        Raises BadRequest where a list cannot be understood.
        """
        raise NotImplementedError

    group_pattern: str | None = None
    """Regular expression whose first group, in a path, names what several files were cut from."""

    def recordings(self, root: Path) -> Callable[[Row], str] | None:
        """Names the recording (a speaker, a film) that a sample is from, of which others are, too: such samples tell
        less than as many independent ones. None: nothing names it, each file is its own.

        Raises BadRequest where it cannot be told.
        """
        return None if self.group_pattern is None else source_of(self.group_pattern)

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        """Class names in the order in which the model numbers them."""
        return sorted_classes(labels)

    def size_and_time(self, path: Path) -> tuple[int, int]:
        """(bytes, mtime in ns): what a sample that changes does not keep. Raises OSError if it is gone."""
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns

    def facts(self, path: Path, *, thorough: bool = False) -> Facts | None:
        """For what is no video file: what opening `path` told. None: it is a video file.

        thorough: decode all of it, not a sample.
        """
        return None

    def would_tell(self, facts: Facts) -> bool:
        """Would this layout find these facts, too, in a file that is the same?"""
        return facts.container != "folder"

    def cause(self, path: str) -> "np.ndarray | None":
        """Where in a video that is what its label says, uint8 [T,H,W], 255 there and 0 elsewhere; None: not known.

        path: relative to the root; None, too, where it is no row's. What explanations of answers are held against.
        """
        return None

    @property
    def annotations(self) -> Sequence[Annotation]:
        """What its samples have beside labels and inputs: one for each name in the rows' `fields`."""
        return ()

    @property
    def list_files(self) -> list[str]:
        """The files under root that list the samples; none where folders do."""
        return []

    @property
    def frame_template(self) -> str:
        """Name of each image where a sample is a folder of images."""
        return ""

    def settings(self) -> dict[str, Any]:
        """What tells this layout from another: part of the name of the prepared manifest."""
        return {"layout": type(self).__qualname__, **vars(self)}


class FolderPerClass(Layout):
    """root/<split>/<class>/**/*.mp4, root/<class>/<split>/**/*.mp4 or root/<class>/**/*.mp4. The folder is the label.

    Split folders are found by their usual names in any case (train, training; val, valid, validation, dev, eval; test,
    testing); train_folder, val_folder and test_folder name others. splits="made": all folders are classes.
    Splits that have no folder are made, the same on every machine, from hashes of file names:
    no split folders: test_fraction and val_fraction of the files; no val folder: val_fraction of train;
    a val folder but no test folder: val is test, as is usual for Kinetics.
    `group_pattern` is a regular expression whose first group names the source of a file (speaker, film); files of one
    source stay in one split. extensions: endings of files to take; None: all that are videos.
    """

    def __init__(
        self,
        *,
        splits: Literal["auto", "made"] = "auto",
        train_folder: str | None = None,
        val_folder: str | None = None,
        test_folder: str | None = None,
        extensions: Sequence[str] | None = None,
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        test_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.2,
        group_pattern: str | None = None,
        split_seed: int = 0,
    ) -> None:
        self.splits = splits
        self.train_folder = train_folder
        self.val_folder = val_folder
        self.test_folder = test_folder
        self.extensions = None if extensions is None else list(extensions)
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.group_pattern = group_pattern
        self.split_seed = split_seed

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        try:
            folders = self._split_folders(root, UNHEARD)
            top = folders.get("train", "")
            if any(self._holds(root, below(top, entry.name)) for entry in list_folder(root, top)[0]):
                return []
        except BadRequest as error:
            return [str(error)]
        loose = sum(map(chooser(self.extensions), (entry.path for entry in list_folder(root, top)[1])))
        found = f"{loose} lie in it directly" if loose else "there are none in its folders"
        return [
            f"{root / top} holds no videos in one folder per class ({found}): put each into a folder called as its "
            "class, list them in a table (dataset=manifest), or set dataset.root"
        ]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        folders = self._split_folders(root, notes)
        if folders:
            rows = [row for split, folder in folders.items() for row in self._labelled(root, folder, split, notes)]
        else:
            rows = self._split_inside(root, list(self._labelled(root, "", "train", notes)), notes)
        return completed_splits(
            rows,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            group=source_of(self.group_pattern),
            seed=self.split_seed,
            notes=notes,
            own="folders train, val and test",
        )

    @property
    def _given(self) -> dict[Split, str | None]:
        return {"train": self.train_folder, "val": self.val_folder, "test": self.test_folder}

    def _holds(self, root: Path, folder: str) -> bool:
        return any(find_videos(root, folder, extensions=self.extensions))

    def _split_folders(self, root: Path, notes: Notes) -> dict[Split, str]:
        if self.splits == "made":
            return {}
        return split_folders(root, "", self._given, holds=partial(self._holds, root), notes=notes)

    def _labelled(self, root: Path, top: str, split: Split, notes: Notes) -> Iterator[Row]:
        """The videos in the folders of root/top, labelled by these."""
        folders, files = list_folder(root, top, notes)
        is_video = chooser(self.extensions)
        for entry in files:
            reason = "loose videos outside of class folders" if is_video(entry.path) else "files that are no videos"
            notes.pass_over(reason, below(top, entry.name))
        for folder in folders:
            place = below(top, folder.name)
            paths = list(find_videos(root, place, notes, extensions=self.extensions))
            if not paths:
                notes.pass_over("folders without videos", place)
            for path in paths:
                if path != below(place, path.rpartition("/")[2]):
                    notes.pass_over("videos in folders inside of a class, labelled by the class", path, about="classes")
                yield Row(path, split, (folder.name,))

    def _split_inside(self, root: Path, rows: list[Row], notes: Notes) -> list[Row]:
        """By the folders inside of each class, where all of them are called as splits; else all are for training.

        Raises BadRequest where some are and others are not, and where root holds a single folder, and that the classes
        or splits.
        """
        inside: dict[Row, str] = {row: inner[0] if (inner := row.path.split("/")[1:-1]) else "" for row in rows}
        if self.splits == "made":
            return rows
        if len({row.labels for row in rows}) == 1 and len(set(inside.values())) > 1 and "" not in inside.values():
            within = sorted(set(inside.values()))
            raise BadRequest(
                f"{root} holds but the folder {rows[0].labels[0]}, and that {examples(within)}: is it the data set? "
                f"{shlex.quote(f'dataset.root={root / rows[0].labels[0]}')}; one class: dataset.layout.splits=made"
            )
        splits = {row: split_called(name) for row, name in inside.items()}
        called = [row for row in rows if splits[row]]
        if not called:
            return rows
        if other := next((row for row in rows if not splits[row]), None):
            raise BadRequest(
                f"{root}: some videos lie in folders called as splits inside of their class, such as {called[0].path}, "
                f"others do not, such as {other.path}: move them, or have the splits made, dataset.layout.splits=made"
            )
        notes.tell("splits", f"by the folders inside of each class: {', '.join(sorted(set(inside.values())))}")
        return [replace(row, split=split) for row in rows if (split := splits[row])]


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
    rows: Iterable[Row],
    *,
    val_fraction: float,
    own: str,
    test_fraction: float | None = None,
    group: Callable[[Row], str] | None = None,
    seed: int = 0,
    notes: Notes = UNHEARD,
) -> list[Row]:
    """All rows, with the splits that are empty made: val but no test: test is val; else shares of train, by hash.

    own: what says splits of one's own, for the note: "folders train, val and test". test_fraction: None: as val's.
    group: what stays together (`source_of`); None: each row is by itself.
    """
    rows, group = list(rows), group or source_of(None)
    test_fraction = val_fraction if test_fraction is None else test_fraction
    train, val, test = ([row for row in rows if row.split == split] for split in SPLITS)
    if val and not test:
        notes.tell("splits", f"test is val, {len(val):,} samples: there is no test split (your own: {own})")
        return [*train, *val, *same_rows(val, split="test")]
    kept = train
    if not test:
        kept = hold_out(kept, into="test", fraction=test_fraction, group=group, seed=seed)
    if not val:
        kept = hold_out(kept, into="val", fraction=val_fraction, group=group, seed=seed)
    tell_made_splits(train, kept, group=group, seed=seed, own=own, notes=notes)
    return [*kept, *val, *test]


def tell_made_splits(
    before: Sequence[Row],
    after: Sequence[Row],
    *,
    group: Callable[[Row], str],
    seed: int,
    own: str,
    notes: Notes = UNHEARD,
) -> None:
    """The same rows before and after `hold_out`. own: see `completed_splits`."""
    rows = [new for old, new in zip(before, after, strict=True) if old.split == "train"]
    counts = {split: sum(row.split == split for row in rows) for split in ("val", "test")}
    made = " and ".join(f"{split} ({count:,})" for split, count in counts.items() if count)
    if not made:
        return
    notes.made_splits |= {split for split, count in counts.items() if count and notes is not UNHEARD}
    notes.tell(
        "splits", f"made: {made} of {len(rows):,} samples, by hash of their names with seed {seed} (your own: {own})"
    )
    if all(group(row) == row.path for row in rows):
        tell_torn_recordings(rows, notes)


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
            labels_of[group(row)].update(row.labels or [""])
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


def check_rows(rows: Sequence[Row], *, name: str, allow_copies: bool = False) -> None:
    """Raises BadRequest: no samples, a sample twice, a class that train lacks; and, unless `allow_copies`, a path of
    train in val or test, or with two labels. Files are not opened: the same bytes under other names are found later.

    A data set may have nothing to train on: it is to be tested on.
    """
    if not rows:
        raise BadRequest(f"Data set {name} has no samples: see dataset.root")
    where: dict[tuple, Row] = {}
    samples: dict[str, set[tuple]] = defaultdict(set)
    for row in rows:
        key = (row.path, repr(row.start_seconds), repr(row.end_seconds))
        if key in samples[row.split]:
            raise BadRequest(f"Data set {name} lists {row.path} twice in {row.split}: remove one of the two lines")
        samples[row.split].add(key)
        if allow_copies:
            continue
        other = where.setdefault(key, row)
        if "train" in (other.split, row.split) and other.split != row.split:
            raise BadRequest(f"Data set {name} has {row.path} both in {other.split} and in {row.split}: remove one")
        if other.labels != row.labels:
            both = " and ".join(repr(", ".join(one.labels)) for one in (other, row))
            raise BadRequest(f"Data set {name} labels {row.path} both {both}")
    shared = samples["val"] & samples["test"]
    if shared and samples["val"] != samples["test"] and not allow_copies:
        path = min(shared)[0]
        raise BadRequest(
            f"Data set {name} has {len(shared)} samples both in val and in test, such as {path}: remove them"
        )
    known = {label for row in rows if row.split == "train" for label in row.labels}
    for row in rows if any(row.split == "train" for row in rows) else ():
        for label in row.labels:
            if label not in known:
                near = next((other for other in known if plain_form(other) == plain_form(label)), None)
                raise BadRequest(
                    f"Data set {name}: class {label!r} is in {row.split} ({row.path}) but in no training sample: "
                    + (f"call it {near!r}, as train does" if near else "add some to train, or leave such samples out")
                )
