"""Runs of one experiment, which differ in seeds and splits alone, and their mean and deviation."""

import re
from statistics import mean, stdev
from typing import Any

from videxp.comparison.table import Column, Row, canonical, is_number
from videxp.core.printable import number_text
from videxp.runs.inputs import DATA, MARK

REPEATED = re.compile(r"(.*\.)?seed|dataset\.layout\.(fold|\w*_list|\w*file)")
"""What repetitions of one experiment differ in: seeds and splits."""
SPLIT = re.compile(r"dataset\.layout\.(seed|fold|\w*_list|\w*file)")
"""What chooses other samples of one data set as training, validation and test."""


def repetitions(rows: list[Row], columns: list[Column]) -> list[list[int]]:
    """The finished rows' numbers, those of one experiment together: with the same config but for the machine and what
    repetitions differ in, variables, files, code and data; other splits of the same data are other data by right."""
    configs = [column for column in columns if column.kind == "config" and not column.of_machine]
    keys = [column.key for column in configs if column.key != DATA and not _is_called(column, REPEATED)]
    splits = [column.key for column in configs if _is_called(column, SPLIT)]
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, row in enumerate(rows):
        if row["state"] == "finished":
            groups.setdefault(_values_of(row, keys), []).append(number)
    return [part for group in groups.values() for part in _by_data(rows, group, splits)]


def _is_called(column: Column, pattern: re.Pattern[str]) -> bool:
    """A copy tells, too: `dataset.layout.seed` may stand as another key."""
    return any(pattern.fullmatch(key.removeprefix(MARK)) for key in (column.key, *column.copies))


def _values_of(row: Row, keys: list[str]) -> tuple[str, ...]:
    return tuple(canonical(row.get(key)) for key in keys)


def _by_data(rows: list[Row], group: list[int], splits: list[str]) -> list[list[int]]:
    """The group in parts where one split has different data in some of its rows."""
    data = {(_values_of(rows[i], splits), rows[i].get(DATA)) for i in group}
    if len(data) == len({split for split, _ in data}):
        return [group]
    parts: dict[Any, list[int]] = {}
    for i in group:
        parts.setdefault(rows[i].get(DATA), []).append(i)
    return list(parts.values())


def different_inputs(rows: list[Row], groups: list[list[int]], columns: list[Column]) -> list[str]:
    """What beside its config sets one group apart from another: `["optimizer.lr (MY_LR)", "data"]`."""
    found = []
    for column in columns:
        values = {str(rows[group[0]].get(column.key)) for group in groups}
        if column.key.startswith(MARK) and len(values) > 1 and not _is_called(column, REPEATED):
            name = column.key.removeprefix(MARK)
            variable = max(values).rpartition(" #")[0]
            found.append(f"{name} ({variable})" if variable else name)
    return found


def spread(rows: list[Row], columns: list[Column]) -> list[str]:
    """`test/accuracy 0.9420 ± 0.0012`, mean and sample standard deviation of what runs have of each shown metric in the
    end; one run has no deviation. No metric that one of them lacks."""
    texts = []
    for column in columns:
        values = [row.get(column.key) for row in rows] if column.kind == "last" and column.shown else []
        if values and all(is_number(value) for value in values):
            numbers = [float(value) for value in values if value is not None]
            deviation = f" ± {number_text(stdev(numbers))}" if len(numbers) > 1 else ""
            texts.append(f"{column.key} {number_text(mean(numbers))}{deviation}")
    return texts
