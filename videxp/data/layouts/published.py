"""Published data sets in the layout in which they are handed out, with their official splits.

UCF101 and HMDB51 have no official val split, and the classes of Kinetics' and Something-Something's test splits were
withheld for long, so each class says what val and test are. `validation` is "from_train": samples of train that no
other split has, by source; or "test": val is the test split, as most published figures were chosen.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Interval
from videxp.data.layouts.base import Layout, absent, hold_out, same_rows, source_of
from videxp.data.layouts.tables import (
    Cells,
    as_seconds,
    as_text,
    check_path,
    check_times,
    cut,
    read_each,
    read_json,
    read_list,
    read_table,
)
from videxp.data.layouts.walk import find_videos
from videxp.data.manifest import Row, Split
from videxp.data.notes import UNHEARD, Notes

KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
Validation = Literal["from_train", "test"]
_UCF101_PATH = re.compile(r"[^/]+/v_(\w+_g\d+)_c\d+\.\w+")


@dataclass(kw_only=True)
class UCF101(Layout):
    """root/<videos>/<Class>/v_<Class>_g01_c01.avi and root/<splits>/{classInd,trainlist01,testlist01}.txt, folds 1-3.

    Test is the official test list. Clips of one group (g01 to g25 of a class: one film) are near copies, so
    validation="from_train" holds whole groups out of the train list, val_fraction of those of each class.
    """

    fold: Literal[1, 2, 3] = 1
    videos: str = "UCF-101"
    splits: str = "ucfTrainTestlist"
    validation: Validation = "from_train"
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, f"{self.splits}/classInd.txt", *self.list_files, self.videos)

    @property
    def list_files(self) -> list[str]:
        return [f"{self.splits}/{name}{self.fold:02d}.txt" for name in ("trainlist", "testlist")]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        numbers = {name: number for number, name in enumerate(self.classes(root, ()), start=1)}
        rows = self._list(root, "trainlist", "train", numbers) + self._list(root, "testlist", "test", numbers)
        tell_unlisted(rows, find_videos(root, self.videos, notes), notes)
        source = self.recordings(root)
        return with_validation(rows, validation=self.validation, fraction=self.val_fraction, source=source, notes=notes)

    def recordings(self, root: Path) -> Callable[[Row], str]:
        return source_of(_UCF101_PATH.pattern)

    def _list(self, root: Path, name: str, split: Split, numbers: dict[str, int]) -> list[Row]:
        file = root / self.splits / f"{name}{self.fold:02d}.txt"

        def row(numbered: tuple[int, str]) -> Row:
            place = f"{file}, line {numbered[0]}"
            path, *number = numbered[1].split()  # trainlist: "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
            check_path(path, folder=root / self.videos, place=place)
            if not _UCF101_PATH.fullmatch(path):
                raise BadRequest(f"{place}: {cut(path)} is not like 'YoYo/v_YoYo_g08_c01.avi'")
            label = checked_label(path.split("/")[0], set(numbers), place)
            if number not in ([], [str(numbers[label])]):
                raise BadRequest(f"{place}: {cut(numbered[1])}: {label} is number {numbers[label]} in classInd.txt")
            return Row(f"{self.videos}/{path}", split, (label,))

        return read_each(read_list(file), row)

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        """In the official order, which the number in the train list counts by."""
        file = root / self.splits / "classInd.txt"

        def entry(numbered: tuple[int, str]) -> tuple[str, str]:
            number, *name = numbered[1].split()
            if not (number.isascii() and number.isdigit() and len(name) == 1):
                raise BadRequest(f"{file}, line {numbered[0]}: {cut(numbered[1])} is not like '1 ApplyEyeMakeup'")
            return name[0], number

        return ordered_names(read_each(read_list(file), entry), first=1, place=str(file))


@dataclass(kw_only=True)
class HMDB51(Layout):
    """root/<videos>/<class>/*.avi and root/<splits>/<class>_test_split1.txt: 1 = train, 2 = test, 0 = unused.

    Test is the official one. validation="from_train" holds out whole films (the part of a file's name before its
    class), val_fraction of those of each class.
    """

    fold: Literal[1, 2, 3] = 1
    videos: str = "videos"
    splits: str = "testTrainMulti_7030_splits"
    validation: Validation = "from_train"
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1

    def missing(self, root: Path) -> list[str]:
        problems = super().missing(root) or absent(root, self.splits, self.videos)
        if not problems and not any((root / self.splits).glob(f"*_test_split{self.fold}.txt")):
            problems = [f"{root / self.splits} holds no *_test_split{self.fold}.txt: unpack the official splits there"]
        return problems

    @property
    def list_files(self) -> list[str]:
        return [f"{self.splits}/*_test_split{self.fold}.txt"]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        suffix = f"_test_split{self.fold}.txt"
        files = sorted((root / self.splits).glob(f"*{suffix}"))
        lines = [(file.name.removesuffix(suffix), file, *line) for file in files for line in read_list(file)]
        found = read_each(lines, lambda line: self._row(root, *line))
        rows = [row for row in found if row is not None]
        tell_unlisted(rows, find_videos(root, self.videos, notes), notes)
        film = self.recordings(root)
        return with_validation(rows, validation=self.validation, fraction=self.val_fraction, source=film, notes=notes)

    def recordings(self, root: Path) -> Callable[[Row], str]:
        return lambda row: Path(row.path).name.split(f"_{row.labels[0]}_")[0] + "/" + row.labels[0]

    def _row(self, root: Path, label: str, file: Path, number: int, line: str) -> Row | None:
        """None for a file that is not used."""
        place = f"{file}, line {number}"
        use: dict[str, Split | None] = {"0": None, "1": "train", "2": "test"}
        name, _, kind = line.rpartition(" ")
        if kind not in use or not name:
            raise BadRequest(f"{place}: {cut(line)} is not a file name with 0, 1 or 2")
        check_path(name.strip(), folder=root / self.videos / label, place=place)
        split = use[kind]
        return split and Row(f"{self.videos}/{label}/{name.strip()}", split, (label,))


@dataclass(kw_only=True)
class Kinetics(Layout):
    """CSV files with the columns label, youtube_id, time_start, time_end, split, and files <id>_000010_000020.mp4.

    Works for Kinetics-400, -600 and -700. Files may lie in train/ and val/ themselves or in a folder per class there.
    Test is the official val split, on which all papers report. validation="test" (usual) uses it for val, too;
    "from_train" holds videos out of train. Files that are gone count as unreadable: set dataset.max_unreadable.
    """

    train_csv: str = "annotations/train.csv"
    val_csv: str = "annotations/val.csv"
    train_videos: str = "train"
    val_videos: str = "val"
    extensions: Sequence[str] | None = None
    validation: Validation = "test"
    val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.05

    def __post_init__(self) -> None:
        self.extensions = None if self.extensions is None else list(self.extensions)

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, *self.list_files, self.train_videos, self.val_videos)

    @property
    def list_files(self) -> list[str]:
        return [self.train_csv, self.val_csv]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        rows = self._list(root, self.train_csv, self.train_videos, "train", notes)
        rows += self._list(root, self.val_csv, self.val_videos, "test", notes)
        source = self.recordings(root)
        return with_validation(rows, validation=self.validation, fraction=self.val_fraction, source=source, notes=notes)

    def recordings(self, root: Path) -> Callable[[Row], str]:
        return source_of(r"([^/]{11})_\d{6,}_\d{6,}\.\w+$")

    def _list(self, root: Path, file: str, folder: str, split: Split, notes: Notes) -> list[Row]:
        there: dict[str, str] = {}
        for path in find_videos(root, folder, notes, extensions=self.extensions):
            if there.setdefault(Path(path).stem, path) != path:
                notes.pass_over("videos of the same name as another", path)

        def row(numbered: tuple[int, Cells]) -> Row:
            number, cells = numbered
            place = f"{root / file}, line {number}"
            label, clip, *times = (_required(cells, column, place) for column in KINETICS_COLUMNS)
            start, end = (as_seconds(text, column, place) for text, column in zip(times, KINETICS_COLUMNS[2:]))
            check_times(start, end, place=place)
            if len(clip) != 11 or "/" in clip:
                raise BadRequest(f"{place}: youtube_id={cut(clip)} is not 11 characters")
            stem = f"{clip}_{int(start):06d}_{int(end):06d}"
            path = check_path(there.get(stem, f"{folder}/{stem}.mp4"), folder=root, place=place)
            return Row(path, split, (label.strip('" '),))

        rows = read_each(read_table(root / file), row)
        tell_unlisted(rows, there.values(), notes)
        return rows


@dataclass(kw_only=True)
class SomethingSomethingV2(Layout):
    """root/<videos>/<id>.webm and the official JSON files of train and validation, the labels, and the test's answers.

    Test is the official validation split, on which all papers report, unless test="test": then the test split with
    test-answers.csv. val is the official validation split either way. Labels are templates without brackets, numbered
    as labels.json does.
    """

    videos: str = "20bn-something-something-v2"
    train_json: str = "labels/train.json"
    validation_json: str = "labels/validation.json"
    labels_json: str = "labels/labels.json"
    test_answers: str = "labels/test-answers.csv"
    test: Literal["validation", "test"] = "validation"

    def missing(self, root: Path) -> list[str]:
        return super().missing(root) or absent(root, *self.list_files, self.labels_json, self.videos)

    @property
    def list_files(self) -> list[str]:
        return [self.train_json, self.validation_json, *([self.test_answers] if self.test == "test" else [])]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        known = set(self.classes(root, ()))
        val = self._list(root, self.validation_json, "val", known)
        test = same_rows(val, split="test") if self.test == "validation" else self._answers(root, known)
        if self.test == "validation":
            notes.tell("splits", f"test is val, {len(val):,} samples (another: dataset.layout.test=test)")
        rows = [*self._list(root, self.train_json, "train", known), *val, *test]
        tell_unlisted(rows, find_videos(root, self.videos, notes), notes)
        return rows

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        file = root / self.labels_json
        numbers = {name: as_text(number, name, str(file)) for name, number in read_json(file, dict).items()}
        entries = [(without_brackets(name), number) for name, number in numbers.items()]
        return ordered_names(entries, first=0, place=str(file))

    def _list(self, root: Path, file: str, split: Split, known: set[str]) -> list[Row]:
        def row(numbered: tuple[int, Any]) -> Row:
            place = f"{root / file}, entry {numbered[0]}"
            if not isinstance(numbered[1], dict):
                raise BadRequest(f"{place}: {cut(numbered[1])} is no object in braces")
            clip, template = (_required(numbered[1], key, place) for key in ("id", "template"))
            return self._row(clip, template, split, known, place=f"{root / file}, id {clip}")

        return read_each(enumerate(read_json(root / file, list), start=1), row)

    def _answers(self, root: Path, known: set[str]) -> list[Row]:
        file = root / self.test_answers

        def row(numbered: tuple[int, str]) -> Row:
            place = f"{file}, line {numbered[0]}"
            clip, semicolon, template = numbered[1].partition(";")
            if not (clip and semicolon and template):
                raise BadRequest(f"{place}: {cut(numbered[1])} is not like '10;Holding something'")
            return self._row(clip.strip(), template.strip(), "test", known, place=place)

        return read_each(read_list(file), row)

    def _row(self, clip: str, template: str, split: Split, known: set[str], *, place: str) -> Row:
        label = checked_label(without_brackets(template), known, place)
        return Row(f"{self.videos}/{clip}.webm", split, (label,))


# ---- shared -----------------------------------------------------------------------------------------------------


def with_validation(
    rows: list[Row], *, validation: Validation, fraction: float, source: Callable[[Row], str], notes: Notes
) -> list[Row]:
    """Rows of train and test with a val split added."""
    if validation == "test":
        val = same_rows((row for row in rows if row.split == "test"), split="val")
        notes.tell("splits", f"val is test, {len(val):,} samples (another: dataset.layout.validation=from_train)")
        return [*rows, *val]
    held = hold_out(rows, into="val", fraction=fraction, group=source)
    count = sum(row.split == "val" for row in held)
    notes.tell("splits", f"made: val ({count:,}), whole sources of train (test as val: dataset.layout.validation=test)")
    return held


def tell_unlisted(rows: Iterable[Row], videos: Iterable[str], notes: Notes) -> None:
    """Videos (paths under root) that no list names."""
    listed = {row.path for row in rows}
    for path in videos:
        if path not in listed:
            notes.pass_over("videos that no list names", path)


def without_brackets(template: str) -> str:
    """Something-Something's templates mark objects: "Holding [something]" -> "Holding something"."""
    return re.sub(r"[\[\]]", "", template)


def ordered_names(entries: Sequence[tuple[str, str]], *, first: int, place: str) -> list[str]:
    """The names of (name, number) in the order of their numbers, which go up from `first` without a gap.

    Raises BadRequest for a name or number that is there twice, or missing.
    """
    names = {number: name for name, number in entries}
    wanted = [str(number) for number in range(first, first + len(entries))]
    if lacking := [number for number in wanted if number not in names]:
        raise BadRequest(
            f"{place}: {len(entries)} classes, but none has the number {lacking[0]}: number them from {first}"
        )
    if twice := next((name for name, count in Counter(name for name, _ in entries).items() if count > 1), None):
        raise BadRequest(f"{place}: {cut(twice)} is there twice, with two numbers: keep one")
    return [names[number] for number in wanted]


def _required(cells: Cells, column: str, place: str) -> str:
    if text := as_text(cells.get(column), column, place):
        return text
    raise BadRequest(f"{place}: no {column!r}" + ("" if column in cells else f" among {', '.join(cells)[:200]}"))


def checked_label(label: str, known: set[str], place: str) -> str:
    if label in known:
        return label
    near = get_close_matches(label, known, n=1)
    raise BadRequest(f"{place}: unknown label {label!r}" + (f": did you mean {near[0]!r}?" if near else ""))
