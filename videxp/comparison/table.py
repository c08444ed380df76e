"""Runs beside one another: what differed between them, and what came out. Plain values in, plain values out.

A row is one run as a flat dict: `run`, `state`, its config keys, `val/loss` (last), `val/loss.best`, what was found on
other axes (`robustness/mpc`), `seconds`, `tested`, `clips_per_second`, `latency_ms`, `trouble`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatch
from os.path import commonpath
from pathlib import Path
from typing import Any, Literal

import yaml

from videxp.core.errors import BadRequest
from videxp.core.printable import duration, number_text
from videxp.runs.inputs import DATA, MARK, OF_A_MACHINE
from videxp.runs.reading import Run

Row = dict[str, Any]
BEST = ".best"
IMPLIED = {
    **{"dataset.layout._target_": "dataset.name", "task.monitor": "task._target_"},
    **{"pruning.widths": "pruning.share", "pruning.weights": "pruning.share"},
}
"""Config keys, and what mostly decides each: where it does, its own column says nothing new."""
CONDITION = re.compile(r"(?P<key>.+?)(?P<operator>!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    key: str
    kind: Literal["run", "state", "config", "tested", "last", "best", "axis", "cost", "trouble"]
    better: str | None = None
    """ "max" or "min" for metrics whose task says so."""
    copies: tuple[str, ...] = ()
    """Config keys that had the same values in all runs and are left out: `dataset.seed` beside `seed`."""
    shown: bool = True
    """False for what is in the files and, at choice, on the page, but not in the first look."""
    of_machine: bool = False
    """True for hardware, logger and run folder, which change no result: never in the first look, no parameter."""


def row(run: Run) -> Row:
    """All that is known of a run, by name."""
    return {
        "run": str(run.path),
        "state": run.state,
        **run.config,
        **run.inputs,
        **{name: run.last(name) for name in run.metrics},
        **{f"{name}{BEST}": run.best(name) for name in run.metrics if run.better(name) is not None},
        **run.on_axes,
        "tested": run.tested,
        "seconds": run.seconds,
        "clips_per_second": run.clips_per_second,
        "latency_ms": run.latency_ms,
        "trouble": run.trouble,
    }


def short_names(paths: list[Path]) -> tuple[str, list[str]]:
    """(the folder that all runs lie in, each run's path beneath it)."""
    folders = [str(path.resolve()) for path in paths]
    parent = commonpath([str(Path(folder).parent) for folder in folders])
    return parent, [str(Path(folder).relative_to(parent)) for folder in folders]


# ---- columns -----------------------------------------------------------------------------------------------------


def table_columns(runs: list[Run], *, metrics: list[str] | None = None) -> list[Column]:
    """What differed, what came out, what it cost. `metrics`: names or globs; by default the task's headline ones.

    Raises BadRequest for a name that no run has.
    """
    names = [*dict.fromkeys(name for run in runs for name in run.metrics)]
    chosen = _chosen(names, metrics) if metrics else _headline(runs, names)
    names.sort(key=lambda name: (chosen.index(name) if name in chosen else len(chosen), _split_order(name), name))
    columns = [Column("run", "run"), Column("state", "state")]
    columns += differing_columns([{**run.config, **run.inputs} for run in runs if run.config])
    on = {run.tested for run in runs if run.tested}
    columns.append(Column("tested", "tested", shown=len(on) > 1 or any(is_part(text) for text in on)))
    for name in names:
        better = next((way for run in runs if (way := run.better(name))), None)
        columns.append(Column(name, "last", better, shown=name in chosen))
        if better is not None:
            same = all(canonical(run.last(name)) == canonical(run.best(name)) for run in runs)
            columns.append(Column(f"{name}{BEST}", "best", better, shown=name in chosen and not same))
    on_axes = dict.fromkeys(name for run in runs for name in run.on_axes)
    ways = {name: next(filter(None, (run.better(name) for run in runs)), None) for name in on_axes}
    columns += [Column(name, "axis", way, shown=way is not None) for name, way in ways.items()]
    costs = [Column("seconds", "cost", "min"), Column("clips_per_second", "cost", "max")]
    costs += [Column("latency_ms", "cost", "min", shown=False)] if any(run.latency_ms for run in runs) else []
    return [*columns, *costs, Column("trouble", "trouble", shown=any(run.trouble for run in runs))]


def is_part(tested: str) -> bool:
    """Whether `name: 64 of 840 videos, 1a2b3c4d` is about a part of the data."""
    found = re.search(r": (\d+) of (\d+) videos, ", tested)
    return found is not None and found[1] != found[2]


def file_columns(columns: list[Column]) -> list[Column]:
    """All but the metrics that were not chosen; a file has last and best of a metric though they are the same."""
    chosen = {column.key for column in columns if column.kind == "last" and column.shown}
    return [c for c in columns if c.kind not in ("last", "best") or c.key.removesuffix(BEST) in chosen]


def differing_columns(configs: list[dict[str, Any]]) -> list[Column]:
    """Config keys that have not the same value in all runs.

    Of keys with the same last word and the same values everywhere, such as `seed` and `dataset.seed`, only the one
    nearest the root is kept. Not in the first look: what is the machine's, what only some runs have because their
    `_target_` is another, and what is `IMPLIED`.
    """
    firsts: dict[tuple[str, ...], list[str]] = {}
    known = sorted(set().union(*configs), key=lambda key: (key.count("."), key))
    for key in known:
        values = _values(configs, key)
        if len(set(values)) > 1:
            firsts.setdefault((key.rpartition(".")[2], *values), []).append(key)
    return sorted((_config_column(configs, keys, known) for keys in firsts.values()), key=lambda column: column.key)


def _config_column(configs: list[dict[str, Any]], keys: list[str], known: list[str]) -> Column:
    """keys: the column's own, and its copies. `dataset.loading.num_workers` is a copy of the hardware's."""
    key, *copies = keys
    of_machine = f"{key.removeprefix(MARK)}.".startswith(OF_A_MACHINE) or any(
        copy.startswith("hardware.") for copy in copies
    )
    shown = not of_machine and not _follows(configs, key, known)
    return Column(key, "config", copies=tuple(copies), shown=shown, of_machine=of_machine)


def _values(configs: list[dict[str, Any]], key: str) -> list[str]:
    return [canonical(config[key]) if key in config else "" for config in configs]


def _follows(configs: list[dict[str, Any]], key: str, known: list[str]) -> bool:
    """Some runs lack the key, and which class is built above it decides its value: `logger.wandb.project`; or what is
    said in `IMPLIED` does."""
    values = _values(configs, key)
    if key.startswith(MARK):
        return _is_said(configs, key, known)
    if key in IMPLIED and _decides(_values(configs, IMPLIED[key]), values):
        return True
    if "" not in values:
        return False
    if "{}" in values:  # `logger: {}` where others have loggers
        return any(other.startswith(f"{key}.") for other in known)
    parts = key.split(".")
    targets = [".".join([*parts[:depth], "_target_"]) for depth in range(len(parts) - 1, 0, -1)]
    target = next((name for name in targets if name in known), key)
    return target != key and _decides(_values(configs, target), values)


def _is_said(configs: list[dict[str, Any]], mark: str, known: list[str]) -> bool:
    """Another column says so already: of a file or a variable its key, of the data a key of the data set."""
    if mark == DATA:
        marks = _values(configs, mark)
        return any(_differs(configs, key) and _decides(_values(configs, key), marks) for key in _of_data(known))
    return mark.startswith(f"{MARK}code.") or _differs(configs, mark.removeprefix(MARK))


def _of_data(known: list[str]) -> list[str]:
    return [key for key in known if key.startswith("dataset.") and not key.endswith("seed")]


def _differs(configs: list[dict[str, Any]], key: str) -> bool:
    return len({*_values(configs, key)}) > 1


def _decides(one: list[str], other: list[str]) -> bool:
    """Whether runs with the same value of one have the same of the other."""
    return len({*zip(one, other)}) == len({*one})


def common_config(configs: list[dict[str, Any]]) -> dict[str, Any]:
    """Config keys that are the same in all runs."""
    first, *others = configs or [{}]
    return {
        k: v for k, v in first.items() if all(k in other and canonical(other[k]) == canonical(v) for other in others)
    }


def canonical(value: Any) -> str:
    """Equal for values that mean the same: 1 and 1.0, but not 1 and True."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value))
    return repr(value)


def _headline(runs: list[Run], names: list[str]) -> list[str]:
    """What decided first, then the task's main metrics, each of validation with its test beside."""
    wanted = [f"{split}/{name}" for run in runs for name in run.headline for split in ("val", "test")]
    found = [name for name in dict.fromkeys([*_deciding_metrics(runs), *wanted]) if name in names]
    return found or [name for name in names if name.startswith(("val/", "test/"))] or names


def _deciding_metrics(runs: list[Run]) -> list[str]:
    """What most runs were decided by comes first."""
    return [name for name, _ in Counter(filter(None, (run.deciding for run in runs))).most_common()]


def deciding_column(runs: list[Run], columns: list[Column]) -> Column | None:
    """What checkpoints and trials were chosen by: the best of all epochs of a validation metric, the last value of any
    other. None where no run has it, or nobody says which way is better."""
    metrics = {column.key: column for column in columns if column.kind in ("last", "best") and column.better}
    name = next((name for name in _deciding_metrics(runs)[:1] if name in metrics), None)
    if name is None:
        return None
    last, best = metrics[name], metrics[f"{name}{BEST}"]
    hidden = last.shown and not best.shown  # it has the same values
    return last if hidden or not name.startswith("val/") else best


def _chosen(names: list[str], wanted: list[str]) -> list[str]:
    """`accuracy` means it for each split; globs are taken."""
    chosen: list[str] = []
    for text in wanted:
        found = [name for name in names if fnmatch(name, text) or name.partition("/")[2] == text]
        if not found:
            raise BadRequest(f"--metrics {text}: no run has it; {_hint(text, names)}")
        chosen += sorted(found, key=lambda name: (_split_order(name), name))
    return [*dict.fromkeys(chosen)]


def _split_order(name: str) -> int:
    return {"test": 0, "val": 1, "train": 2}.get(name.partition("/")[0], 3)


# ---- filter and sort ---------------------------------------------------------------------------------------------


def matches(rows: list[Row], condition: str) -> list[bool]:
    """Which rows meet `optimizer.lr>=0.001`, `state=finished`, `model._target_=*X3D*` (= and != take globs).

    A run that has not the key meets nothing but !=. Raises BadRequest for what is no condition or an unknown key.
    """
    parts = CONDITION.fullmatch(condition)
    if parts is None:
        raise BadRequest(f"--filter {condition}: not a condition; write KEY=VALUE, KEY!=VALUE, KEY>VALUE, KEY<=VALUE")
    key = _find_key(rows, parts["key"].strip(), option="--filter")
    return [_meets(row.get(key), parts["operator"], parts["value"].strip(), there=key in row) for row in rows]


def _meets(value: Any, operator: str, text: str, *, there: bool) -> bool:
    wanted = _plain(text)
    if operator in ("=", "!="):
        equal = there and (canonical(value) == canonical(wanted) or fnmatch(yaml_text(value), text))
        return equal == (operator == "=")
    if not (is_number(value) and is_number(wanted)):
        return False
    return {">": value > wanted, ">=": value >= wanted, "<": value < wanted, "<=": value <= wanted}[operator]


def order(rows: list[Row], by: str) -> list[int]:
    """The rows' numbers, sorted by `KEY`, `KEY:asc` or `KEY:desc`; rows without a value come last either way."""
    key, colon, way = by.rpartition(":")
    if not colon or way not in ("asc", "desc"):
        key, way = by, "asc"
    key = _find_key(rows, key, option="--sort")
    values = [row.get(key) for row in rows]
    there = [i for i, value in enumerate(values) if value is not None and not _is_nan(value)]
    without = [i for i in range(len(rows)) if i not in set(there)]
    numbers_first = sorted(there, key=lambda i: _sortable(values[i]), reverse=way == "desc")
    return numbers_first + without


def _sortable(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if is_number(value) else (1, 0.0, yaml_text(value))


def _find_key(rows: list[Row], key: str, *, option: str) -> str:
    """The key itself, or the only one that ends with it: `lr` for `optimizer.lr`."""
    known = list(dict.fromkeys(name for row in rows for name in row))
    if key in known:
        return key
    ending = [name for name in known if name.endswith((f".{key}", f"/{key}"))]
    if len(ending) == 1:
        return ending[0]
    hint = f"it could be {', '.join(ending[:6])}" if ending else _hint(key, known)
    raise BadRequest(f"{option} {key}: {'not one key' if ending else 'no run has that key'}; {hint}")


def _hint(name: str, known: Iterable[str]) -> str:
    known = list(known)
    last_words = {re.split(r"[./]", key.removesuffix(BEST))[-1]: key for key in reversed(known)}
    near = get_close_matches(name, known, n=3) or [last_words[word] for word in get_close_matches(name, last_words)]
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known[:8])}"


def _plain(text: str) -> Any:
    """A value as YAML reads it; `1e-3`, which YAML takes for a word, is a number."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


# ---- as text -----------------------------------------------------------------------------------------------------


def cell_text(column: Column, row: Row) -> str:
    """What the table shows: metrics with four places, times in words, a class by its name, nothing for no value."""
    if column.key not in row or (row[column.key] is None and column.kind != "config"):
        return ""
    value = row[column.key]
    if column.key == "seconds":
        return duration(value)
    if column.kind in ("last", "best", "axis"):
        return number_text(value)
    if column.key.endswith("_target_") and value is not None:
        return str(value).rpartition(".")[2]
    return yaml_text(value)


def best_rows(column: Column, rows: list[Row]) -> set[int]:
    """The rows that hold a column's best value; none where no way is better or all are equal."""
    if column.better is None or column.kind == "cost":
        return set()
    values = {i: row[column.key] for i, row in enumerate(rows) if is_number(row.get(column.key))}
    values = {i: value for i, value in values.items() if not _is_nan(value)}
    if len(set(values.values())) < 2:
        return set()
    best = (max if column.better == "max" else min)(values.values())
    return {i for i, value in values.items() if value == best}


def yaml_text(value: Any) -> str:
    """As it would stand in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
