"""Whether runs differ by more than chance, tested on the samples that all of them answered.

The first run is what the others are compared with. Runs of one experiment, which differ in seeds alone, are one side:
a sample's score is its mean over them.
"""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from textwrap import wrap
from typing import Any

import numpy as np

from videxp.comparison.repetitions import SPLIT, repetitions
from videxp.comparison.table import Column, Row, canonical, yaml_text
from videxp.core.errors import BadRequest
from videxp.core.printable import aligned, number_text
from videxp.metrics.significance import LEVEL, RESAMPLES, Paired, compare_paired, holm, number_units, welch
from videxp.runs.evaluation_files import in_short
from videxp.runs.predictions import Predictions, read_evaluations
from videxp.runs.reading import Run

DATA_KEY = re.compile(r"dataset\.(root|layout\..+|max_unreadable)|trainer\.limit_test_batches")
"""Config keys that choose the tested samples."""

COLUMNS = 80  # of a terminal


@dataclass(frozen=True)
class Side:
    """Runs of one experiment, and its score of each sample."""

    names: list[str]
    scores: np.ndarray
    """float64 [runs, samples]."""

    @property
    def name(self) -> str:
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]} and {len(self.names) - 1} more"

    @property
    def mean(self) -> float:
        return float(self.scores.mean())

    @property
    def of_runs(self) -> list[float]:
        return [float(value) for value in self.scores.mean(1)]

    def facts(self) -> dict[str, Any]:
        return {"runs": self.names, "mean": self.mean, "of_runs": self.of_runs}


@dataclass(frozen=True)
class Significance:
    """All sides against the first."""

    metric: str
    more_is_better: bool
    split: str
    samples: str
    sides: list[Side]
    found: list[Paired]
    """Of each side after the first."""
    p_values: list[float]
    """Of these, adjusted for their number (Holm)."""
    over_seeds: list[float]
    """p-values of Welch's t-test of the runs' means; NaN where a side has one run, or no side's runs differ."""
    unit: str
    left_out: int
    """Samples for which some run has no score."""
    trained_on: dict[str, int]
    """Runs that were trained on some of the samples."""

    def verdict(self, number: int) -> str:
        """Of the side after the first of that number: "better", "worse" or "no difference shown"."""
        one = self.found[number]
        if self.p_values[number] >= LEVEL or one.low <= 0 <= one.high:
            return "no difference shown"
        return "better" if (one.difference > 0) == self.more_is_better else "worse"

    def facts(self) -> dict[str, Any]:
        """For --json and the page; `p` is adjusted (Holm), `p_of_one` is not."""
        first, *others = self.sides
        return {
            "metric": self.metric,
            "better": "max" if self.more_is_better else "min",
            "split": self.split,
            "samples": self.samples,
            "unit": self.unit,
            "left_out": self.left_out,
            "resamples": RESAMPLES,
            "first": first.facts(),
            "others": [
                {
                    **side.facts(),
                    **vars(one),
                    "p": self.p_values[number],
                    "p_of_one": one.p,
                    "p_over_seeds": None if math.isnan(seeds) else seeds,
                    "verdict": self.verdict(number),
                }
                for number, (side, one, seeds) in enumerate(zip(others, self.found, self.over_seeds))
            ],
            "notes": notes(self),
        }


def compare_runs(
    runs: list[Run], names: list[str], rows: list[Row], columns: list[Column], *, metric: str | None
) -> Significance:
    """Raises BadRequest for a single run, runs without predictions, other samples, and a metric that no sample has."""
    if len(runs) < 2:
        raise BadRequest("compare --significance: needs two runs or more: videxp compare RUN OTHER --significance")
    evaluated = same_samples(runs)
    name, more_is_better = scored_column(runs[0], evaluated, metric)
    keys = sorted(evaluated[0].rows)
    scores = np.array([[one.score(key, name) for key in keys] for one in evaluated])
    known = np.isfinite(scores).all(0)
    if not known.any():
        raise BadRequest(f"--metric {name}: no sample has it in all runs: {_other_metrics(evaluated)}")
    kept = [key for key, is_known in zip(keys, known) if is_known]
    sides = [
        Side([names[i] for i in group], scores[group][:, known]) for group in sides_of(rows, columns, count=len(runs))
    ]
    unit_N = number_units([evaluated[0].unit(key) for key in kept])
    first, *others = (side.scores.mean(0) for side in sides)
    found = [compare_paired(first, other, unit_N=unit_N) for other in others]
    return Significance(
        metric=name,
        more_is_better=more_is_better,
        split=evaluated[0].split,
        samples=evaluated[0].samples,
        sides=sides,
        found=found,
        p_values=holm([one.p for one in found]),
        over_seeds=[welch(sides[0].of_runs, side.of_runs) for side in sides[1:]],
        unit="recording" if "recording" in next(iter(evaluated[0].rows.values())) else "video",
        left_out=len(keys) - len(kept),
        trained_on={name: one.trained_on for name, one in zip(names, evaluated) if one.trained_on},
    )


def sides_of(rows: list[Row], columns: list[Column], *, count: int) -> list[list[int]]:
    """Runs' numbers, those of one experiment together; each by itself where some has not finished, and where all are of
    one."""
    groups = repetitions(rows, columns)
    alone = [[number] for number in range(count)]
    if len(groups) == 1 or sum(map(len, groups)) < count:
        return alone
    return sorted(groups)


# ---- the same samples -----------------------------------------------------------------------------------------------


def same_samples(runs: list[Run]) -> list[Predictions]:
    """Each run's evaluation on the samples of the first run's own test. Raises BadRequest where it has none."""
    reference, *_ = [*_evaluations(runs[0])]
    return [reference, *(_evaluation_like(reference, run, first=runs[0]) for run in runs[1:])]


def _evaluations(run: Run) -> list[Predictions]:
    if found := [*read_evaluations(run.folder)]:
        return found
    command = f"videxp evaluate {shlex.quote(str(run.path))}"
    if run.folder.evaluation.is_file():
        raise BadRequest(
            f"{run.path}: its evaluation has no figures of each sample that can be read, so there are no pairs to "
            f"test: where its task has such figures, {command} writes predictions.csv"
        )
    raise BadRequest(f"{run.path}: not evaluated yet: {command}")


def _evaluation_like(reference: Predictions, run: Run, *, first: Run) -> Predictions:
    found = _evaluations(run)
    for one in found:
        if one.samples == reference.samples and one.rows.keys() == reference.rows.keys():
            return one
    raise BadRequest(f"{run.path}: {_difference(found[0], reference)}\n{_remedy(run, first)}")


def _difference(one: Predictions, reference: Predictions) -> str:
    """What tells the samples of two evaluations apart."""
    lacking, more = (sorted(_paths(a) - _paths(b)) for a, b in ((reference, one), (one, reference)))
    parts = [f"lacks {len(lacking)} ({in_short(lacking)})"] * bool(lacking)
    parts += [f"has {len(more)} others ({in_short(more)})"] * bool(more)
    what = " and ".join(parts) or "the files of the same names have another content, label or part"
    return f"not evaluated on the {len(reference.rows)} {reference.split} samples of {reference.run}: {what}"


def _paths(one: Predictions) -> set[str]:
    return {key[0] for key in one.rows}


def _remedy(run: Run, first: Run) -> str:
    command = f"videxp evaluate {shlex.quote(str(run.path))}"
    known = [key for key in sorted({*first.config, *run.config}) if DATA_KEY.fullmatch(key)]
    other = [key for key in known if canonical(run.config.get(key)) != canonical(first.config.get(key))]
    is_another = any(key.endswith("_target_") for key in other)  # data set
    if not is_another and any(SPLIT.fullmatch(key) for key in other):
        return "They are tested on other splits of the data, so no sample has both answers: compare RUN... --mean"
    if is_another:
        other = ["dataset.root"]
        command += f" dataset={shlex.quote(str(first.config.get('dataset.name')))}"
    other = [key for key in other if key in first.config]
    if not other:
        return (
            f"Evaluate both again, on the data as it is now: videxp evaluate {shlex.quote(str(first.path))}; {command}"
        )
    words = (shlex.quote(f"{key}={yaml_text(first.config.get(key))}") for key in other)
    return f"Evaluate it on the same: {command} {' '.join(words)}"


def scored_column(run: Run, evaluated: Sequence[Predictions], metric: str | None) -> tuple[str, bool]:
    """(column, whether more is better): the metric asked for, else the first of the task's main ones that each sample
    has, else the loss. Raises BadRequest for one that the samples have not."""
    common = [name for name in evaluated[0].columns if all(name in one.columns for one in evaluated)]
    wanted = [metric.rpartition("/")[2]] if metric else [*run.headline, "loss"]
    name = next((name for name in wanted if name in common), None)
    if name is None:
        raise BadRequest(f"--metric {metric or wanted[0]}: no figure of each sample: {_other_metrics(evaluated)}")
    way = run.better(f"test/{name}")
    if way is None:
        raise BadRequest(f"--metric {name}: the task does not say which way is better: {_other_metrics(evaluated)}")
    return name, way == "max"


def _other_metrics(evaluated: Sequence[Predictions]) -> str:
    names = [name for name in evaluated[0].columns if all(name in one.columns for one in evaluated)]
    return f"there are {', '.join(names)}"


# ---- as text --------------------------------------------------------------------------------------------------------


def significance_lines(result: Significance) -> list[str]:
    """A table of at most 80 columns where names are short, and what it does and does not tell."""
    first, *others = result.sides
    heading = (f"against {first.name}", result.metric, "difference [95 %]", "p", "")
    cells = [
        (
            side.name,
            number_text(side.mean),
            f"{one.difference:+.4f} [{one.low:+.4f}, {one.high:+.4f}]",
            f"{p:.2g}",
            result.verdict(number),
        )
        for number, (side, one, p) in enumerate(zip(others, result.found, result.p_values))
    ]
    table = aligned([heading, (first.name, number_text(first.mean), "", "", ""), *cells], right={1, 2, 3})
    return [*table, *(line for note in notes(result) for line in wrap(note, COLUMNS))]


def notes(result: Significance) -> list[str]:
    """What was tested, and what was not."""
    one = result.found[0]
    units = f"{one.units} {result.unit}s" + (f" ({one.samples} samples)" if one.samples != one.units else "")
    several = f", adjusted for {len(result.found)} comparisons (Holm)" if len(result.found) > 1 else ""
    tests = " and ".join(sorted({found.test for found in result.found}))
    lines = [f"p: {tests} over {units} of {result.split}{several}; interval: {RESAMPLES:,} bootstrap resamples."]
    if result.left_out:
        lines.append(f"{result.left_out} samples left out: some run has no {result.metric} of them.")
    for name, count in result.trained_on.items():
        lines.append(f"{name} was trained on {count} of these samples: the comparison favors it.")
    return [*lines, *_about_seeds(result)]


def _about_seeds(result: Significance) -> list[str]:
    first, *others = result.sides
    if all(len(side.names) == 1 for side in result.sides):
        return [
            "That is about these weights on other such videos. How far another seed in training moves them is not "
            "tested: train each with several seeds, and give all runs."
        ]
    lines = ["Scores are means over the seeds of a side; p and interval are over videos, with these weights."]
    for side, p in zip(others, result.over_seeds):
        if min(len(side.names), len(first.names)) < 2:
            lines.append(f"Over seeds, {side.name} is not tested: it takes two runs or more on either side.")
        elif math.isnan(p):
            lines.append(f"Over seeds, {side.name} is not tested: no seed changes the score on either side.")
        else:
            spreads = " against ".join(_spread(each.of_runs) for each in (side, first))
            lines.append(f"Over seeds, {side.name}: {spreads}, Welch's t-test p = {p:.2g}.")
    return lines


def _spread(values: list[float]) -> str:
    return f"{number_text(mean(values))} ± {number_text(stdev(values))} ({len(values)})"
