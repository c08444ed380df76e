"""A list of videos in a file of one's own: CSV, TSV or JSONL, with columns named as one likes."""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import nan
from pathlib import Path
from typing import Annotated, Any

from videxp.data.labels import SEVERAL, joined, parted, shown
from videxp.data.layouts import Layout, hold_out
from videxp.data.manifest import SPLITS, Row, Split
from videxp.errors import BadRequest
from videxp.limits import Interval

Record = dict[str, str]
SEPARATORS = ",;|"  # that people put between labels


class ManifestFile(Layout):
    """One line per sample. The ending of the file says how it is written: .csv, .tsv, .jsonl.

    Which split a line belongs to, in this order: `train_file`, `val_file`, `test_file` given: one file per split.
    `split_column` is in the file: by its value, which must be one of train_values, val_values or test_values (a column
    `subject` with [1,2,3] for training is as good as a column `split`; the same values for val and test make val the
    test set). Neither: test_fraction and val_fraction of the samples, chosen by hash, the same on every machine.
    A split `val` that gets no lines is taken from train (val_fraction).

    where: only lines whose columns have one of these values, such as {label: [walk, sit]}.
    group_column: samples with the same value (a speaker, a film) stay in one split where splits are made.
    label_separator: stands between the labels of a sample that has several (`run|wave`; in JSONL also a list). None:
    labels are names as they stand.
    several_labels: may a sample have several labels, or none? None: where one has several, another may have none.
    start_column, end_column: seconds; columns that are not in the file are ignored.
    relative_to_file: paths are relative to the file's folder rather than to root.
    """

    def __init__(
        self,
        *,
        file: str = "manifest.tsv",
        train_file: str | None = None,
        val_file: str | None = None,
        test_file: str | None = None,
        path_column: str = "path",
        label_column: str = "label",
        label_separator: str | None = "|",
        several_labels: bool | None = None,
        split_column: str = "split",
        start_column: str = "start_seconds",
        end_column: str = "end_seconds",
        group_column: str | None = None,
        train_values: Sequence[str | int] = ("train", "training"),
        val_values: Sequence[str | int] = ("val", "valid", "validation", "validate"),
        test_values: Sequence[str | int] = ("test", "testing"),
        where: Mapping[str, Sequence[str | int]] | None = None,
        relative_to_file: bool = False,
        val_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        test_fraction: Annotated[float, Interval(gt=0, lt=1)] = 0.2,
        split_seed: int = 0,
    ) -> None:
        self.file = file
        self.files = {"train": train_file, "val": val_file, "test": test_file}
        self.path_column = path_column
        self.label_column = label_column
        self.label_separator = label_separator
        self.several_labels = several_labels
        self.split_column = split_column
        self.start_column = start_column
        self.end_column = end_column
        self.group_column = group_column
        self.values = {
            "train": [str(value) for value in train_values],
            "val": [str(value) for value in val_values],
            "test": [str(value) for value in test_values],
        }
        self.where = {column: [str(value) for value in values] for column, values in (where or {}).items()}
        self.relative_to_file = relative_to_file
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.split_seed = split_seed

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        named = self._given_files() or {"file": self.file}
        problems = [
            f"{root / file} does not exist: set dataset.layout.{'file' if split == 'file' else f'{split}_file'}"
            for split, file in named.items()
            if not (root / file).is_file()
        ]
        if self._given_files() and "train" not in self._given_files():
            problems.append("dataset.layout.train_file is missing: val_file or test_file is given")
        return problems

    def rows(self, root: Path) -> list[Row]:
        rows: list[Row] = []
        groups: dict[str, str] = {}
        split_known = True
        places: dict[str, str] = {}  # of each label where it stands first
        sources: dict[Any, str] = self._given_files() or {"": self.file}
        for split, file in sources.items():
            for number, record in read_records(root / file):
                place = f"{root / file}, line {number}"
                if not self._wanted(record, place):
                    continue
                split_known &= bool(split) or self.split_column in record
                for where in [split] if split else self._splits(record, place):
                    row = self._row(record, where, root=root, file=root / file, place=place)
                    rows.append(row)
                    places.setdefault(row.label, place)
                    groups[row.path] = _cell(record, self.group_column, place) if self.group_column else row.path
        self._require_parted(places)
        self._require_number(places)
        rest: dict[str, Any] = {"group": lambda row: groups[row.path], "seed": self.split_seed}
        if not split_known:
            rows = hold_out(rows, into="test", fraction=self.test_fraction, **rest)
        if not any(row.split == "val" for row in rows):
            rows = hold_out(rows, into="val", fraction=self.val_fraction, **rest)
        return rows

    def _given_files(self) -> dict[Any, str]:
        return {split: file for split, file in self.files.items() if file is not None}

    def _wanted(self, record: Record, place: str) -> bool:
        return all(_cell(record, column, place) in values for column, values in self.where.items())

    def _splits(self, record: Record, place: str) -> list[Split]:
        """The splits that a line belongs to by its value; train where there is no such column."""
        if self.split_column not in record:
            return ["train"]
        value = record[self.split_column]
        if splits := [split for split in SPLITS if value in self.values[split]]:
            return splits
        raise BadRequest(
            f"{place}: {self.split_column}={value!r} belongs to no split: add it to dataset.layout.train_values, "
            "val_values or test_values, or leave such lines out with dataset.layout.where"
        )

    def _row(self, record: Record, split: Split, *, root: Path, file: Path, place: str) -> Row:
        path = (file.parent if self.relative_to_file else root) / _cell(record, self.path_column, place)
        path = Path(os.path.normpath(path))  # "lists/../a.mp4" is "a.mp4"
        return Row(
            path=(path.relative_to(root) if path.is_relative_to(root) else path).as_posix(),
            label=self._label(record, place),
            split=split,
            start_seconds=_seconds(record.get(self.start_column), self.start_column, place),
            end_seconds=_seconds(record.get(self.end_column), self.end_column, place),
        )

    def _label(self, record: Record, place: str) -> str:
        """ "" for none."""
        text = "" if record.get(self.label_column) == "" else _cell(record, self.label_column, place)
        parts = [part for label in parted(text) for part in label.split(self.label_separator or SEVERAL)]
        return joined(part.strip() for part in parts)

    def _require_parted(self, places: Mapping[str, str]) -> None:
        """Raises BadRequest for `run;wave` beside `run` and `wave`, or `wave;sit`, where `;` is not the separator."""
        names = {name: place for label, place in places.items() for name in parted(label)}
        for other in SEPARATORS if self.label_separator else ():
            parts_of = {name: {part.strip() for part in name.split(other)} for name in names}
            counts = Counter(chain.from_iterable(parts_of.values()))
            for name, parts in parts_of.items():
                own = sorted(parts & names.keys())
                if len(parts) > 1 and own and all(counts[part] > 1 for part in parts):
                    raise BadRequest(
                        f"{names[name]}: the column {self.label_column!r} has {name!r}, and {own[0]!r} is a class too: "
                        f"give 'dataset.layout.label_separator=\"{other}\"' (now {self.label_separator!r}), "
                        "or null if names hold it"
                    )

    def _require_number(self, places: Mapping[str, str]) -> None:
        """Raises BadRequest for a label that is missing, or one of several, where each sample has one."""
        other_than_one = [label for label in places if len(parted(label)) != 1]
        several = any(other_than_one) if self.several_labels is None else self.several_labels
        if other_than_one and not several:
            label = other_than_one[0]
            found = f"has several labels, {shown(label)}," if label else "is empty"
            raise BadRequest(
                f"{places[label]}: the column {self.label_column!r} {found} in a table of one label for each video; "
                "where a video may have several, or none: dataset.layout.several_labels=true"
            )


def _cell(record: Record, column: str, place: str) -> str:
    if value := record.get(column):
        return value
    if column in record:
        raise BadRequest(f"{place}: the column {column!r} is empty")
    raise BadRequest(f"{place}: no column {column!r} among {', '.join(record)}: name it in dataset.layout")


def read_records(file: Path) -> Iterator[tuple[int, Record]]:
    """(line number from 1, {column: text}) of each line of a CSV, TSV or JSONL file; empty lines are left out."""
    ending = file.suffix.lower()
    with file.open(encoding="utf-8-sig", newline="") as stream:
        if ending in (".jsonl", ".json", ".ndjson"):
            yield from _json_records(file, stream)
            return
        if ending not in (".csv", ".tsv", ".txt"):
            raise BadRequest(f"{file}: cannot tell how it is written: name it .csv, .tsv or .jsonl")
        first = stream.readline()
        delimiter = "," if ending == ".csv" and "\t" not in first else "\t"
        # In a TSV a quotation mark is a letter like any other, as in spreadsheets' plain exports.
        quoting: Any = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
        reader = csv.DictReader(chain([first], stream), delimiter=delimiter, quoting=quoting)
        for record in reader:
            if None in record or None in record.values():
                raise BadRequest(
                    f"{file}, line {reader.line_num}: not {len(reader.fieldnames or [])} columns as on top"
                )
            yield reader.line_num, {name: value.strip() for name, value in record.items()}


def _json_records(file: Path, lines: Iterable[str]) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object in braces")
        except ValueError as error:
            raise BadRequest(f"{file}, line {number}: no JSON object: {error}") from None
        yield number, {name: _text(value) for name, value in record.items()}


def _text(value: Any) -> str:
    """What a value of JSON is in a column; a list is one of labels."""
    if isinstance(value, list):
        return joined(map(_text, value))
    return "" if value is None else str(value)


def _seconds(text: str | None, column: str, place: str) -> float:
    if not text:
        return nan
    try:
        return float(text)
    except ValueError:
        raise BadRequest(f"{place}: {column}={text!r} is no number of seconds") from None
