"""A list of videos in a file of one's own: CSV, TSV or JSONL, with columns named as one likes."""

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Interval
from videxp.data.annotations.labels import SEVERAL, label_set
from videxp.data.layouts.base import Layout, hold_out, source_of, tell_made_splits
from videxp.data.layouts.class_numbers import check_spellings
from videxp.data.layouts.split_folders import split_called
from videxp.data.layouts.tables import (
    Cells,
    as_seconds,
    as_text,
    check_path,
    check_times,
    read_each,
    read_table,
    refuse,
)
from videxp.data.manifest import SPLITS, Row, Split
from videxp.data.notes import UNHEARD, Notes
from videxp.video.file_kinds import VIDEO_ENDINGS, ending_of

MAX_SHOWN = 5
SEPARATORS = ",;|"  # that people put between labels


@dataclass(frozen=True)
class _Line:
    """A line of a table: what stands there, where, and the split that the file as a whole belongs to."""

    cells: Cells
    place: str
    file: Path
    split: Split | None


_Sample = tuple[Row, str, _Line]
"""A row, its group and its line."""


class ManifestFile(Layout):
    """One line per sample. The ending of the file says how it is written: .csv, .tsv, .jsonl.

    Which split a line belongs to, in this order: `train_file`, `val_file`, `test_file` given: one file per split.
    `split_column` is in the file: by its value, which must be one of train_values, val_values or test_values (None: the
    names that folders of splits have: `Train`, `validation`, `dev`). A column `subject` with [1,2,3] for training is as
    good as a column `split`; the same values for val and test make val the test set. Neither: test_fraction and
    val_fraction of the samples, chosen by hash, the same on every machine.
    A split `val` that gets no lines is taken from train (val_fraction).

    where: only lines whose columns have one of these values, such as {label: [walk, sit]}.
    group_column: samples with the same value (a speaker, a film) stay in one split where splits are made; or
    group_pattern: those whose paths have the same first group of this regular expression.
    label_separator: stands between the labels of a sample that has several (`run|wave`; in JSONL also a list). None:
    labels are names as they stand.
    labels_each: how many labels a sample has, "one" or "any" number, none included; null: any where one has several.
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
        labels_each: Literal["one", "any"] | None = None,
        split_column: str = "split",
        start_column: str = "start_seconds",
        end_column: str = "end_seconds",
        group_column: str | None = None,
        group_pattern: str | None = None,
        train_values: Sequence[str | int] | None = None,
        val_values: Sequence[str | int] | None = None,
        test_values: Sequence[str | int] | None = None,
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
        self.labels_each = labels_each
        self.split_column = split_column
        self.start_column = start_column
        self.end_column = end_column
        self.group_column = group_column
        self.group_pattern = group_pattern
        given: dict[Split, Sequence[str | int] | None] = {"train": train_values, "val": val_values, "test": test_values}
        self.values = {
            split: None if values is None else [str(value) for value in values] for split, values in given.items()
        }
        self.where = {column: [str(value) for value in values] for column, values in (where or {}).items()}
        self.relative_to_file = relative_to_file
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.split_seed = split_seed

    def missing(self, root: Path) -> list[str]:
        if problems := super().missing(root):
            return problems
        return [
            f"{root / file} does not exist: set dataset.layout.{f'{split}_file' if split else 'file'}"
            for split, file in self._sources()
            if not (root / file).is_file()
        ]

    @property
    def list_files(self) -> list[str]:
        return [file for _, file in self._sources()]

    def rows(self, root: Path, notes: Notes = UNHEARD) -> list[Row]:
        lines = self._all_lines(root)
        self._check_columns(lines, notes)
        split_known = self._is_split_known(lines)
        samples = self._all_samples(lines, root)
        self._check_labels(samples)
        self._check_folder([row.path for row, _, _ in samples], root)
        rows = [row for row, _, _ in samples]
        groups = {row.path: group for row, group, _ in samples}
        given = rows
        rest: dict[str, Any] = {"group": lambda row: groups[row.path], "seed": self.split_seed}
        if not split_known:
            rows = hold_out(rows, into="test", fraction=self.test_fraction, **rest)
        if not any(row.split == "val" for row in rows):
            rows = hold_out(rows, into="val", fraction=self.val_fraction, **rest)
        tell_made_splits(given, rows, **rest, own=f"a column {self.split_column}, or a file each", notes=notes)
        return rows

    def recordings(self, root: Path) -> Callable[[Row], str] | None:
        if self.group_column is None:
            return super().recordings(root)
        groups = {row.path: group for row, group, _ in self._all_samples(self._all_lines(root), root)}
        return lambda row: groups[row.path]

    def _all_lines(self, root: Path) -> list[_Line]:
        return [line for split, file in self._sources() for line in self._lines(root / file, split)]

    def _all_samples(self, lines: Sequence[_Line], root: Path) -> list[_Sample]:
        return [sample for of in read_each(lines, lambda line: self._samples(line, root)) for sample in of]

    def _sources(self) -> list[tuple[Split | None, str]]:
        return [(split, file) for split in SPLITS if (file := self.files[split])] or [(None, self.file)]

    def _lines(self, file: Path, split: Split | None) -> list[_Line]:
        """Those that are wanted."""
        lines = [_Line(cells, f"{file}, line {number}", file, split) for number, cells in read_table(file)]
        wanted = [line for line in lines if self._is_wanted(line)]
        if not wanted:
            column, values = next(iter(self.where.items()))
            found = sorted({_cell(line, column, "") for line in lines})
            shown = ", ".join(found[:MAX_SHOWN]) + (", ..." if len(found) > MAX_SHOWN else "")
            raise BadRequest(f"dataset.layout.where.{column}={values}: {file} has no such lines; it has {shown}")
        return wanted

    def _check_columns(self, lines: Sequence[_Line], notes: Notes) -> None:
        """Note the columns that are not read. Raises BadRequest for `Split`, or `start seconds`, that would not be."""
        kinds = {tuple(line.cells): line.file for line in lines}
        columns = {name: file for names, file in kinds.items() for name in names}
        optional = {"start_column": self.start_column, "end_column": self.end_column}
        if any(line.split is None for line in lines):
            optional["split_column"] = self.split_column
        for key, column in optional.items():
            near = [name for name in columns if _plain(name) == _plain(column)]
            if near and column not in columns:
                raise BadRequest(
                    f"{columns[near[0]]}: the column {near[0]!r} would not be read: "
                    f"{quote(f'dataset.layout.{key}={near[0]}')}, or call it otherwise"
                )
        read = {self.path_column, self.label_column, self.group_column, *optional.values(), *self.where, ""}
        for name in columns:
            if name not in read:
                notes.pass_over("columns of the table that are not read", name)

    def _is_wanted(self, line: _Line) -> bool:
        return all(_cell(line, column, "where") in values for column, values in self.where.items())

    def _is_split_known(self, lines: Sequence[_Line]) -> bool:
        """Raises BadRequest where some lines, but not all, say their split: they would decide for the others."""
        has_split = [line.split is not None or self.split_column in line.cells for line in lines]
        if any(has_split) and not all(has_split):
            refuse([f"{line.place}: no {self.split_column!r}, which other lines have: give it to all, or to none"
                    for line, has in zip(lines, has_split) if not has])  # fmt: skip
        return all(has_split)

    def _samples(self, line: _Line, root: Path) -> list[_Sample]:
        """The rows of a line, one for each split that it belongs to, with its group."""
        group = _cell(line, self.group_column, "group_column") if self.group_column else ""
        rows = [self._row(line, split, root=root) for split in ([line.split] if line.split else self._splits(line))]
        by_pattern = source_of(self.group_pattern)
        return [(row, group or by_pattern(row), line) for row in rows]

    def _splits(self, line: _Line) -> list[Split]:
        """The splits that a line belongs to by its value; train where there is no such column."""
        if self.split_column not in line.cells:
            return ["train"]
        value = _cell(line, self.split_column, "split_column")
        usual = split_called(value)
        given = {split: usual == split if values is None else value in values for split, values in self.values.items()}
        if splits := [split for split in SPLITS if given[split]]:
            return splits
        raise BadRequest(
            f"{line.place}: {self.split_column}={value!r} belongs to no split: say whose, such as "
            f"dataset.layout.train_values=[train,{value}], or leave such lines out with dataset.layout.where"
        )

    def _row(self, line: _Line, split: Split, *, root: Path) -> Row:
        folder = line.file.parent if self.relative_to_file else root
        text = check_path(_cell(line, self.path_column, "path_column"), folder=folder, place=line.place)
        path = Path(os.path.normpath(folder / text))  # "lists/../a.mp4" is "a.mp4"
        times = [
            as_seconds(as_text(line.cells.get(column), column, line.place), column, line.place)
            for column in (self.start_column, self.end_column)
        ]
        check_times(*times, place=line.place)
        return Row(
            path=(path.relative_to(root) if path.is_relative_to(root) else path).as_posix(),
            split=split,
            labels=self._labels(line),
            start_seconds=times[0],
            end_seconds=times[1],
        )

    def _labels(self, line: _Line) -> tuple[str, ...]:
        value = line.cells.get(self.label_column)
        if isinstance(value, list):
            texts = [as_text(item, self.label_column, line.place) for item in value]
        else:
            is_none = self.label_column in line.cells and value in (None, "")
            texts = [] if is_none else [_cell(line, self.label_column, "label_column")]
        parts = [part for text in texts for part in text.split(self.label_separator or SEVERAL)]
        return label_set(part.strip() for part in parts)

    def _check_labels(self, samples: Sequence[_Sample]) -> None:
        places: dict[tuple[str, ...], str] = {}  # of each sample's labels, where they stand first
        kinds: dict[tuple[str, str], _Line] = {}  # of each value of JSON: text, number or truth value
        for row, _, line in samples:
            places.setdefault(row.labels, line.place)
            value = line.cells.get(self.label_column)
            for item in value if isinstance(value, list) else [value]:
                kinds.setdefault((as_text(item, self.label_column, line.place), type(item).__name__), line)
        self._require_parted(places)
        self._require_number(places)
        names: dict[str, str] = {}
        for labels, place in places.items():
            for name in labels:
                names.setdefault(name, place)
        check_spellings(names)
        texts: dict[str, _Line] = {}
        for (text, _), line in kinds.items():
            if (other := texts.setdefault(text, line)) is not line:
                raise BadRequest(
                    f"{line.place}: the column {self.label_column!r} has {text} as a number and, in "
                    f"{other.place.rpartition(', ')[2]}, as a text, or the other way round: write it in one way"
                )

    def _check_folder(self, paths: Sequence[str], root: Path) -> None:
        """Raises BadRequest where none of the first videos is there, but all are in the other folder."""
        for _, file in self._sources():
            here, there = root, (root / file).parent
            if self.relative_to_file:
                here, there = there, here
            own = [os.path.relpath(root / path, here) for path in paths[:MAX_SHOWN]]
            if here != there and not any((here / p).exists() for p in own) and all((there / p).exists() for p in own):
                raise BadRequest(
                    f"{root / file}: {own[0]} is not in {here}, but in {there}: "
                    f"dataset.layout.relative_to_file={str(not self.relative_to_file).lower()}"
                )

    def _require_parted(self, places: Mapping[tuple[str, ...], str]) -> None:
        """Raises BadRequest for `run;wave` beside `run` and `wave`, or `wave;sit`, where `;` is not the separator."""
        names = {name: place for labels, place in places.items() for name in labels}
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

    def _require_number(self, places: Mapping[tuple[str, ...], str]) -> None:
        """Raises BadRequest for a label that is missing, or one of several, where each sample has one."""
        other_than_one = [labels for labels in places if len(labels) != 1]
        if other_than_one and (self.labels_each == "one" or (self.labels_each is None and not any(other_than_one))):
            labels = other_than_one[0]
            found = f"has several labels, {', '.join(labels)}," if labels else "is empty"
            raise BadRequest(
                f"{places[labels]}: the column {self.label_column!r} {found} in a table of one label for each video; "
                "where a video may have several, or none: dataset.layout.labels_each=any"
            )


def _plain(column: str) -> str:
    """`Start Seconds`, `start-seconds` -> `startseconds`."""
    return re.sub(r"[\W_]", "", column).casefold()


def _cell(line: _Line, column: str, key: str) -> str:
    """The text of a column that must not be empty; `dataset.layout.KEY` names it."""
    if column in line.cells:
        if text := as_text(line.cells[column], column, line.place):
            return text
        raise BadRequest(f"{line.place}: the column {column!r} is empty")
    names = [name for name in line.cells if name]
    found = f"{line.place}: no column {column!r} among {', '.join(names)[:200]}"
    if any(ending_of(name) in VIDEO_ENDINGS for name in names):
        raise BadRequest(f"{found}: the first line must name the columns, such as path,label")
    if not key.endswith("_column"):
        raise BadRequest(found)
    near = [name for name in names if name.casefold() == column.casefold()] or get_close_matches(column, names, n=1)
    raise BadRequest(f"{found}: name it in dataset.layout.{key}" + (f", such as {near[0]}" if near else ""))
