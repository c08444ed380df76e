"""Text files of a line for each sample, with numbers or names as labels: what the layouts that read them share."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from videxp.data.layouts.base import Layout, completed_splits, source_of
from videxp.data.layouts.class_numbers import (
    Listed,
    check_first_lines,
    numbered_classes,
    read_class_names,
    resolve_labels,
)
from videxp.data.layouts.tables import read_list
from videxp.data.manifest import SPLITS, Row, Split
from videxp.data.notes import Notes


class LabelledLists(Layout):
    """Base of layouts with a list for each split. What a line says is the subclass's to know."""

    lists: dict[Split, str | None]
    class_file: str | None
    first_label: int | None
    val_fraction: float
    group_pattern: str | None

    @property
    def list_files(self) -> list[str]:
        return [file for file in self.lists.values() if file is not None]

    def classes(self, root: Path, labels: Iterable[str]) -> list[str]:
        names = read_class_names(root, self.class_file)
        return names or numbered_classes(list(labels), first_label=self.first_label)

    def _lines(self, root: Path) -> list[tuple[Split, str, str]]:
        """(split, line, where it stands) of all lists."""
        return [
            (split, line, f"{root / file}, line {number}")
            for split in SPLITS
            if (file := self.lists[split]) is not None
            for number, line in read_list(root / file)
        ]

    def _labelled_rows(self, root: Path, listed: Sequence[Listed]) -> list[Row]:
        check_first_lines(listed, root)
        labels = resolve_labels(listed, names=read_class_names(root, self.class_file), first_label=self.first_label)
        return [Row(line.path, line.split, (label,)) for line, label in zip(listed, labels)]

    def _with_all_splits(self, rows: Iterable[Row], *, own: str, notes: Notes) -> list[Row]:
        return completed_splits(
            rows,
            val_fraction=self.val_fraction,
            group=source_of(self.group_pattern),
            notes=notes,
            own=own,
        )
