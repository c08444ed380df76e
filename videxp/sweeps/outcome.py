"""How a trial came out, read from its run folder."""

import csv
import math
from pathlib import Path
from typing import Literal, cast

from videxp.runs.folder import RunFolder
from videxp.sweeps.launching import OUTPUT
from videxp.sweeps.search import Objective

Ending = Literal["finished", "interrupted", "failed"]
MAX_CAUSE = 300


class NoScore(Exception):
    """A run has no value by which it could be judged."""


def ending(run: RunFolder, how: str) -> tuple[Ending, str]:
    """(How a run ended whose process is gone, why it failed); `how`: what the launcher saw of the process."""
    found = run.standing()
    if found.state in ("finished", "interrupted"):
        return cast(Ending, found.state), ""
    if found.state == "failed":
        return "failed", " ".join((found.trouble or how).split())[:MAX_CAUSE]
    if found.state == "running":
        return "failed", f"{how} while training"
    return "failed", last_words(run) or f"{how} before it began"


def last_words(run: RunFolder) -> str:
    """The last error that the run's process printed, in one line."""
    try:
        lines = (run.path / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line for line in lines if line.strip()][-1:]
    return " ".join(said).removeprefix("videxp: ")[:MAX_CAUSE]


def curve(run: RunFolder, metric: str) -> dict[int, float]:
    """Epoch (from 0) -> the metric's value; of several in an epoch the last. Empty where there is none."""
    return {int(epoch): value for epoch, value in _logged(run.metrics, metric)}


def scores(run: RunFolder, objectives: list[Objective]) -> list[float]:
    """Values that the run is judged by: of a validation metric the best of all epochs, of any other the last.

    Raises NoScore where a metric was not logged, or where its last value is NaN or infinite.
    """
    return [_score(run, objective) for objective in objectives]


def _score(run: RunFolder, objective: Objective) -> float:
    metric = objective.metric
    values = [value for _, value in _logged(run.metrics, metric)]
    if not values:
        raise NoScore(f"{metric} was not logged")
    if not math.isfinite(values[-1]):
        raise NoScore(f"{metric} is {values[-1]}")
    finite = [value for value in values if math.isfinite(value)]
    return objective.best(finite) if metric.startswith("val/") else values[-1]


def _logged(path: Path, metric: str) -> list[tuple[float, float]]:
    """(epoch, value) of each row that has the metric; a row that is being written is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [(float(row["epoch"]), float(row[metric])) for row in csv.DictReader(whole) if row.get(metric)]
