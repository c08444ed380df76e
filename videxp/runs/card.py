"""The card of a trained model: what it is for, what it was trained on, what was measured of it, and what was not.

Made from the run folder alone, without torch; what a run did not record is said to be missing, never guessed.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.core.printable import number_text
from videxp.metrics.significance import interval, number_units, resample_sums, sums_of_units
from videxp.runs.evaluation_files import first_of
from videxp.runs.folder import RunFolder
from videxp.runs.predictions import Predictions, read_evaluations
from videxp.runs.reading import Run, read_json, read_run, sections_of

AXES = ("speed", "robustness", "calibration", "explanation")
"""Sections of evaluation.json beside the metrics."""
NOT_STATED = "not stated: ask whoever trained the model; the license of the data counts, too"


def write_card(run: RunFolder, path: Path | None = None, *, license: str = "") -> Path:
    """Write the card of a run to `path`, RUN/card.md by default; returns the path."""
    target = path or run.card
    write_text(target, card_text(read_run(run.path), license=license))
    return target


def card_text(run: Run, *, license: str = "") -> str:
    """Markdown. license: of the weights, as their owner states it."""
    told = read_json(run.folder.provenance)
    parts = [
        ("Model", _rows(_model(run, told, license=license))),
        ("Data", _rows(_data(told))),
        ("Figures", "\n".join(_figures(run)) or "None: no evaluation.json. `videxp evaluate RUN` measures it."),
        ("Limits", "\n".join(f"- {line}" for line in _limits(run, told))),
    ]
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in parts)
    return f"# {told.get('recipe') or run.path.resolve().name}\n\n{body}\n"


def _model(run: Run, told: dict[str, Any], *, license: str) -> Iterator[tuple[str, Any]]:
    weights = told.get("weights") or {}
    yield "task", run.config.get("task._target_")
    yield "network", run.config.get("model._target_")
    yield "run", f"{run.path.resolve().name} ({run.state})"
    yield "seed", run.config.get("seed")
    yield "weights, SHA-256", weights.get("best") or weights.get("last")
    yield "commit", (told.get("code") or {}).get("commit")
    yield "videxp", told.get("videxp")
    yield "trained until", told.get("finished")
    yield "license", license or NOT_STATED


def _data(told: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    data = told.get("data") or {}
    clips = data.get("clips") or {}
    yield "name", data.get("name")
    yield "fingerprint", data.get("fingerprint")
    yield "videos", ", ".join(f"{count} {split}" for split, count in clips.items())
    yield "classes", data.get("classes") or None
    yield "left out as unreadable", len(data.get("quarantined") or {}) or None


def _rows(facts: Iterator[tuple[str, Any]]) -> str:
    lines = [f"| {name} | {_cell(value)} |" for name, value in facts if value is not None]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    text = " ".join(str(value).replace("|", "\\|").split())
    return text or "not recorded"


def _figures(run: Run) -> Iterator[str]:
    """A table of the metrics with their intervals, then one for each other axis."""
    evaluation = run.evaluation
    if not evaluation.get("metrics"):
        return
    data = evaluation.get("data") or {}
    counted = f"{data.get('clips')} of {data.get('of')} videos of {data.get('name')}, {evaluation.get('split')}"
    yield f"{counted}; samples {str(data.get('samples'))[:8]}; {evaluation.get('protocol') or 'whole videos'}."
    yield ""
    yield "| metric | value | 95 % interval | better |"
    yield "|---|---|---|---|"
    intervals = metric_intervals(run.folder)
    for name, value in evaluation["metrics"].items():
        low_high = intervals.get(name.partition("/")[2])
        between = f"{number_text(low_high[0])} to {number_text(low_high[1])}" if low_high else ""
        yield f"| {name} | {number_text(value)} | {between} | {run.better(name) or ''} |"
    for axis, section in sections_of(evaluation).items():
        if section["scalars"]:
            yield from ("", f"| {axis} | value | better |", "|---|---|---|")
            for name, value in section["scalars"].items():
                yield f"| {name} | {number_text(value)} | {section['better'].get(name, '')} |"


def metric_intervals(run: RunFolder) -> dict[str, tuple[float, float]]:
    """Metric -> the 95 % bootstrap interval over videos (recordings, where they are known) of its mean, for those that
    predictions.csv holds per sample; of the run's own test."""
    own = read_json(run.evaluation)
    try:
        found = next((one for one in read_evaluations(run) if one.evaluation == own), None)
    except BadRequest:
        return {}
    if found is None:
        return {}
    metrics = {name.partition("/")[2]: value for name, value in found.evaluation["metrics"].items()}
    columns = [name for name in found.columns if name in metrics]
    return {name: between for name in columns if (between := _interval(found, name, mean=metrics[name]))}


def _interval(found: Predictions, column: str, *, mean: float) -> tuple[float, float] | None:
    """None where the samples' mean is not the metric, which is then computed otherwise."""
    keys = [key for key in found.rows if not math.isnan(found.score(key, column))]
    if not keys or not math.isclose(fmean(found.score(key, column) for key in keys), mean, rel_tol=1e-3):
        return None
    sums = sums_of_units(
        number_units([found.unit(key) for key in keys]),
        [found.score(key, column) for key in keys],
        [1.0] * len(keys),
    )
    drawn = resample_sums(sums)
    return interval(drawn[:, 0] / drawn[:, 1])


def _limits(run: Run, told: dict[str, Any]) -> Iterator[str]:
    evaluation = run.evaluation
    measured = sections_of(evaluation)
    if not evaluation.get("metrics"):
        yield "Accuracy was not measured: `videxp evaluate RUN`."
    if missing := [name for name in AXES if name not in measured]:
        yield f"Not measured: {', '.join(missing)}."
    for name, section in evaluation.items():
        if isinstance(section, dict) and (why := section.get("does_not_apply")):
            yield f"{name} does not apply: {why}."
    weights = (told.get("weights") or {}).values()
    if evaluation.get("weights") and weights and evaluation["weights"] not in weights:
        yield "The figures are of other weights than the run left: evaluate it again."
    data = evaluation.get("data") or {}
    if seen := (data.get("trained_on") or {}).get("count"):
        yield f"{seen} of the evaluated videos are among those that it was trained on."
    if changes := evaluation.get("not_as_trained"):
        yield f"Not as it was when it was trained ({len(changes)}): {first_of(changes)}."
    if missing := [name for name in run.headline if f"test/{name}" not in evaluation.get("metrics", {})]:
        yield f"No figure for {', '.join(missing)}, which matter most for this task."
    if run.config.get("dataset.num_frames"):
        size, frames = run.config.get("dataset.size"), run.config["dataset.num_frames"]
        yield f"Trained on clips of {frames} frames" + (f" of {json.dumps(size)} pixels." if size else ".")
    yield "Nothing is known of videos unlike those that it was trained on."
