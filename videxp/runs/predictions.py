"""predictions.csv of a run: how each sample of an evaluation went, read without torch."""

import csv
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest
from videxp.runs.folder import RunFolder
from videxp.runs.reading import read_json

Key = tuple[str, str, str, int]
"""Path of a sample, its start and end in seconds or "", and which of those with the same it is."""


@dataclass(frozen=True)
class Predictions:
    """One evaluation of a run, and a row for each of its samples."""

    run: Path
    evaluation: dict[str, Any] = field(repr=False)
    rows: dict[Key, dict[str, str]] = field(repr=False)

    @property
    def samples(self) -> str:
        """Fingerprint of the samples."""
        return str(self.evaluation.get("data", {}).get("samples", ""))

    @property
    def split(self) -> str:
        return str(self.evaluation.get("split", ""))

    @property
    def trained_on(self) -> int:
        """How many of the samples the run was trained on."""
        return int(self.evaluation.get("data", {}).get("trained_on", {}).get("count", 0))

    @cached_property
    def columns(self) -> list[str]:
        """Those that hold a number, or nothing, for each sample."""
        first = next(iter(self.rows.values()))
        return [name for name in first if name != "index" and all(is_number(row[name]) for row in self.rows.values())]

    def score(self, key: Key, column: str) -> float:
        """NaN where there is none."""
        return float(self.rows[key][column] or "nan")

    def unit(self, key: Key) -> str:
        """The recording that a sample is from, where the data set names it; else its file."""
        return self.rows[key].get("recording") or key[0]


def is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def read_evaluations(run: RunFolder) -> Iterator[Predictions]:
    """Those of a run that have predictions: its own test first."""
    for path in (run.evaluation, *sorted(run.path.glob("evaluation_*.json"))):
        predictions = path.with_name(f"predictions{path.stem.removeprefix('evaluation')}.csv")
        evaluation = read_json(path)
        if isinstance(evaluation.get("data"), dict) and predictions.is_file():
            yield Predictions(run.path, evaluation, _read_rows(predictions))


def _read_rows(path: Path) -> dict[Key, dict[str, str]]:
    """Raises BadRequest for a file that is none of ours."""
    found: dict[Key, dict[str, str]] = {}
    met: Counter[tuple[str, str, str]] = Counter()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, strict=True):
                place = (row["path"], row.get("start_seconds") or "", row.get("end_seconds") or "")
                found[(*place, met[place])] = {name: row[name] or "" for name in row}
                met[place] += 1
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise BadRequest(f"{path}: cannot be read ({error}): {_remedy(path)}") from None
    if not found:
        raise BadRequest(f"{path}: holds no sample: {_remedy(path)}")
    return found


def _remedy(path: Path) -> str:
    """Of the run's own test a command writes it; another evaluation's is one of several."""
    is_own = path == RunFolder(path.parent).predictions
    return f"videxp evaluate {shlex.quote(str(path.parent))} writes it anew" if is_own else "delete it"
