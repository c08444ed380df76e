"""Run folders as they are found on disk, whole or damaged, read without torch: what compare and record look at.

Nothing here raises for a damaged run: what cannot be read is said in `Run.trouble`.
"""

import csv
import glob
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from videxp.core import files, signatures
from videxp.core.contract import Contract, contract_of
from videxp.core.errors import BadRequest
from videxp.core.yaml_files import read_yaml
from videxp.runs.folder import RunFolder, seconds_since
from videxp.runs.inputs import input_marks

AXES = ("step", "epoch", "clips_seen")
THROUGHPUT = "throughput/"
"""What columns begin with that a clock or the machine decides: never the same twice."""
SPEED, LATENCY = f"{THROUGHPUT}clips_per_second", f"{THROUGHPUT}latency_ms"
# Folders of a run, which hold no other run.
INSIDE = {"checkpoints", "samples", "wandb"}


@dataclass(frozen=True)
class Run:
    """One run folder. Metrics are columns: `columns["val/loss"][i]` was logged in row i, NaN where it was not."""

    folder: RunFolder
    state: str
    """As of `Standing`; broken, too, where config.yaml cannot be read."""
    trouble: str
    """Why it failed, or what cannot be read; empty for a good run."""
    seconds: float | None
    """Wall time of all attempts together."""
    config: dict[str, Any] = field(repr=False)
    """Flat: {"optimizer.lr": 0.001}."""
    columns: dict[str, list[float]] = field(repr=False)
    logged: dict[str, list[int]] = field(repr=False)
    """Metric -> the rows in which it was logged (a logged NaN is a value)."""
    tested: str = ""
    """What the figures of the test were computed on: `ucf101: 64 of 840 videos, 1a2b3c4d`; "" where that is unknown."""

    @property
    def path(self) -> Path:
        return self.folder.path

    @cached_property
    def contract(self) -> Contract:
        """That of its task; an empty one where that cannot be read."""
        return contract_in(self.config)

    @cached_property
    def inputs(self) -> dict[str, str]:
        """`input_marks` of its provenance."""
        return input_marks(read_json(self.folder.provenance))

    @property
    def headline(self) -> list[str]:
        """The metrics that matter most, without split: `["accuracy", "loss"]`."""
        return list(self.contract.headline)

    @property
    def deciding(self) -> str:
        """The metric that chose: the sweep's best trial, where the run is one, else the best checkpoint; or ""."""
        by_sweep = self._sweep.get("metrics")
        return str(next(iter(by_sweep)) if by_sweep else self.config.get("task.monitor") or "")

    @property
    def logarithmic(self) -> set[str]:
        """Config keys that the run's sweep draws from a logarithmic distribution."""
        return {key for key, text in (self._sweep.get("space") or {}).items() if str(text).startswith("tag(log,")}

    @cached_property
    def _sweep(self) -> dict[str, Any]:
        return _read_sweep(self.path.parent / "sweep.yaml")

    def better(self, metric: str) -> str | None:
        """ "max" or "min": which is better, as the task or the axis says; None where it does not."""
        return self._better_on_axes.get(metric) or better(self.config, metric)

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """Content of its evaluation.json; empty where there is none that can be read."""
        return read_json(self.folder.evaluation)

    @property
    def on_axes(self) -> dict[str, float]:
        """What its evaluation found on other axes than accuracy: `{"robustness/mpc": 0.41}`."""
        return {
            name: value
            for section in sections_of(self.evaluation).values()
            for name, value in section["scalars"].items()
        }

    @property
    def _better_on_axes(self) -> dict[str, str]:
        return {
            name: way for section in sections_of(self.evaluation).values() for name, way in section["better"].items()
        }

    def values(self, metric: str) -> list[float]:
        """All that was logged of a metric, oldest first."""
        return [self.columns[metric][row] for row in self.logged.get(metric, [])]

    def last(self, metric: str) -> float | None:
        values = self.values(metric)
        return values[-1] if values else None

    def best(self, metric: str) -> float | None:
        """NaN is never the best; None where the task does not say which way is better."""
        values = [value for value in self.values(metric) if not math.isnan(value)]
        way = self.better(metric)
        return None if not values or way is None else max(values) if way == "max" else min(values)

    @property
    def metrics(self) -> list[str]:
        return [name for name in self.logged if not name.startswith(THROUGHPUT)]

    @property
    def clips_per_second(self) -> float | None:
        """The median over the run: neither the first steps nor a pause counts for much."""
        values = self.values(SPEED)
        return round(median(values), 2) if values else None

    @property
    def latency_ms(self) -> float | None:
        """Of one clip alone, as the test measured it."""
        return self.last(LATENCY)


def _read_sweep(path: Path) -> dict[str, Any]:
    """What a sweep was asked for: `{"metrics": {...}, "space": {...}}`, each a mapping; empty where there is none."""
    try:
        asked = read_yaml(path) if path.is_file() else None
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    found = {key: asked.get(key) for key in ("metrics", "space")} if isinstance(asked, dict) else {}
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def contract_in(config: dict[str, Any]) -> Contract:
    """That of a flat config's task; an empty one where that cannot be read."""
    return contract_of(str(config.get("task._target_", ""))) or Contract()


def better(config: dict[str, Any], metric: str) -> str | None:
    """ "max" or "min": which is better, as the task of a flat config says; None where it does not."""
    name = metric.partition("/")[2]
    found = contract_in(config).better(name)
    if found is None and (judge := config.get(f"task.test_metrics.{name}._target_")) is not None:
        signature = signatures.signature(str(judge))
        found = signature.constants.get("better") if signature is not None else None
    if metric.startswith(THROUGHPUT):
        return "max" if name.endswith(("_per_second", "mfu")) else "min"
    return found if found in ("max", "min") else "min" if name == "loss" else None


# ---- finding -----------------------------------------------------------------------------------------------------


def find_runs(inputs: list[str]) -> tuple[list[Path], list[str]]:
    """(run folders among `inputs` and beneath them, the inputs that hold none); `inputs` may be globs.

    Raises BadRequest for an input that does not exist, and where there is no run at all.
    """
    found: dict[Path, Path] = {}
    empty: list[str] = []
    for text in inputs:
        there = [text] if os.path.exists(text) else sorted(glob.glob(text, recursive=True))
        if not there:
            raise BadRequest(f"{text}: no such folder (RUN is a run folder, a folder that holds some, or a glob)")
        for name in there:
            beneath = _runs_beneath(name)
            if not beneath and os.path.isdir(name):
                empty.append(name)
            for path in beneath:
                found.setdefault(path.resolve(), path)
    if not found:
        raise BadRequest(f"{' '.join(inputs)}: no run folder there (a run folder holds config.yaml and status.json)")
    return list(found.values()), empty


def _runs_beneath(folder: str) -> list[Path]:
    found = []
    for path, folders, names in os.walk(folder):
        if "status.json" in names or {"config.yaml", "overrides.yaml"} <= set(names):
            found.append(Path(path))
            folders[:] = [inner for inner in folders if inner not in INSIDE]
        folders.sort()
    return found


# ---- reading -----------------------------------------------------------------------------------------------------


def read_run(path: Path) -> Run:
    """Read a run folder, as much of it as can be read."""
    folder = RunFolder(path)
    try:
        return _read_run(folder)
    except Exception as error:  # a file of the right form that says what no file of ours says
        trouble = f"it cannot be read: {type(error).__name__}: {_line(error)}"
        return Run(folder, state="broken", trouble=trouble, seconds=None, config={}, tested="", columns={}, logged={})


def _read_run(folder: RunFolder) -> Run:
    standing = folder.standing()
    config, config_trouble = _read_config(folder.config)
    columns, logged, metrics_trouble = _read_metrics(folder.metrics)
    return Run(
        folder=folder,
        state="broken" if config_trouble else standing.state,
        trouble="; ".join(filter(None, [standing.trouble, config_trouble, metrics_trouble])),
        seconds=_wall_time(folder, standing.status),
        config=config,
        tested=_tested(standing.status),
        columns=columns,
        logged=logged,
    )


def _tested(status: dict[str, Any]) -> str:
    try:
        facts = status["evaluated"]["test"]
        return f"{facts['name']}: {facts['videos']} of {facts['of']} videos, {facts['fingerprint'][:8]}"
    except (KeyError, TypeError):
        return ""


def _read_config(path: Path) -> tuple[dict[str, Any], str]:
    """The file is only looked at, so no `_target_` in it needs to be allowed."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("no regular file")
        config = read_yaml(path)
    except FileNotFoundError:
        return {}, "no config.yaml"
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        return {}, f"config.yaml cannot be read: {_line(error)}"
    return (flat(config), "") if isinstance(config, dict) else ({}, "config.yaml holds no mapping")


def flat(node: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`; lists stay whole."""
    result: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict) and value:
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


def _read_metrics(path: Path) -> tuple[dict[str, list[float]], dict[str, list[int]], str]:
    """(columns, rows in which each metric was logged, what is wrong); a last line that was cut off is left out."""
    try:
        lines = files.read_text(path).splitlines(keepends=True)
    except FileNotFoundError:
        return {}, {}, ""  # nothing was logged yet
    except (OSError, ValueError) as error:
        return {}, {}, f"metrics.csv cannot be read: {_line(error)}"
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    try:
        header, *rows = [*csv.reader(lines)] or [[]]
    except csv.Error as error:
        return {}, {}, f"metrics.csv cannot be read: {error}"
    columns: dict[str, list[float]] = {name: [] for name in header}
    logged: dict[str, list[int]] = {name: [] for name in header if name not in AXES}
    number = 0  # of the row, for the message
    try:
        for number, row in enumerate(rows):
            for name, text in zip(header, [*row, *[""] * (len(header) - len(row))]):
                columns[name].append(float(text) if text else math.nan)
                if text and name in logged:
                    logged[name].append(number)
    except ValueError as error:
        return columns, logged, f"metrics.csv, line {number + 2}: {error}"
    return columns, {name: at for name, at in logged.items() if at}, ""


def _wall_time(folder: RunFolder, status: dict[str, Any]) -> float | None:
    try:
        seconds = float(status["seconds"])
        if status["state"] == "running":
            touched = [path.stat().st_mtime for path in (folder.metrics, folder.log) if path.exists()]
            newest = datetime.fromtimestamp(max(touched), timezone.utc) if touched else None
            seconds += seconds_since(status, newest)
        return round(seconds, 1) if math.isfinite(seconds) else None
    except (KeyError, TypeError, ValueError):
        return None


def sections_of(evaluation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What an evaluation.json holds beside accuracy's metrics, by name: an axis's section or calibration's, each with
    its `scalars` and which way they are `better`."""
    parts = {name: value for name, value in evaluation.items() if isinstance(value, dict)}
    return {
        name: one for name, one in parts.items() if all(isinstance(one.get(k), dict) for k in ("scalars", "better"))
    }


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run; empty where it is missing or damaged."""
    try:
        value = files.read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
