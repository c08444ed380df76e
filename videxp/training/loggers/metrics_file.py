"""metrics.csv: one row each time something is logged, on disk at once. The record of a run; other loggers are sinks."""

import contextlib
import csv
import errno
import io
import itertools
import os
import shlex
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import replacing

AXES = ["step", "epoch", "clips_seen"]


class MetricsFile(Logger):
    """Appends rows to `path`; a metric seen for the first time adds a column (empty in earlier rows)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.columns = list(AXES)
        self.rows = 0
        if path.exists():
            with path.open(newline="") as file:
                self.columns = next(csv.reader(file), list(AXES))
                self.rows = sum(1 for _ in csv.reader(file))

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The configuration is config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": step, **metrics}
        new = [name for name in row if name not in self.columns]
        try:
            if new or not self.path.exists():
                self._widen(new)
            self._append(row)
        except OSError as error:
            raise VidexpError(
                f"{self.path} could not be written: {error.strerror}; its rows before step {step} are whole\n"
                "Make room and go on with `videxp resume` from the newest checkpoint"
            ) from error
        self.rows += 1

    def _append(self, row: dict[str, Any]) -> None:
        """One row in one write, or nothing."""
        text = io.StringIO()
        csv.DictWriter(text, self.columns).writerow(row)
        with self.path.open("ab", buffering=0) as file:
            before = file.tell()
            content = text.getvalue().encode()
            try:
                if file.write(content) < len(content):  # a disk that gets full takes what it can
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(before)
                raise

    def _widen(self, new: list[str]) -> None:
        rows: list[dict[str, str]] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        columns = self.columns + new
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        self.columns = columns


def keep_rows(path: Path, count: int) -> None:
    """Cut off what was logged after a checkpoint that was taken at `count` rows; columns that then are empty go too.

    Raises BadRequest where fewer are left, as after a power failure; without the file, the run goes on without them.
    """
    if not path.exists():
        return
    columns, rows = _whole_rows(path, count)
    if len(rows) < count or not path.is_file():
        raise BadRequest(
            f"{path}: damaged: {len(rows)} of the {count} rows before the checkpoint are left\n"
            f"Put it back, or go on without them: {shlex.join(['mv', str(path), f'{path}.damaged'])}"
        )
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        filled = [name for name in columns if name in AXES or any(row[name] for row in rows)]
        writer = csv.DictWriter(file, filled, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _whole_rows(path: Path, count: int) -> tuple[list[str], list[dict[str, str]]]:
    """(columns, those of the first `count` rows that are whole); none of what is no file, such as a pipe."""
    columns: list[str] = list(AXES)
    rows: list[dict[str, str]] = []
    if not path.is_file():
        return columns, rows
    with contextlib.suppress(csv.Error), path.open(newline="", errors="replace") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or AXES)
        for row in itertools.islice(reader, count):
            rows += [row] if _is_whole(row) else []
    return columns, rows


def _is_whole(row: dict[str, Any]) -> bool:
    """Has it its place in the run, and a number or nothing for each column?"""
    return str(row.get("step", "")).isdecimal() and None not in row and all(map(_is_number_or_nothing, row.values()))


def _is_number_or_nothing(text: str | None) -> bool:
    try:
        return text is not None and (text == "" or float(text) is not None)
    except ValueError:
        return False


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv, each with the columns that it fills."""
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def last_values(rows: list[dict[str, float]], *, prefix: str = "") -> dict[str, float]:
    """The newest value of each metric whose name starts with `prefix`."""
    values: dict[str, float] = {}
    for row in rows:
        values |= {name: value for name, value in row.items() if name.startswith(prefix) and name not in AXES}
    return values
