"""A run and files made of it, side by side: how long they take, and what they get right."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
import torch

from videxp.core.timing import Timing, time_in_turn
from videxp.data import VideoDataModule
from videxp.deploy.exporting.measuring import measure_metrics
from videxp.deploy.exporting.opening import Exported
from videxp.metrics.significance import compare_paired, number_units
from videxp.tasks import VideoTask
from videxp.tasks.deployable import Deployable

Clip = Mapping[str, np.ndarray]


def time_beside(
    deployable: Deployable, files: Mapping[str, Exported], clip: Clip, *, seconds: float
) -> dict[str, dict[str, Any]]:
    """Of torch and of each file: `ms` and `cpu_ms`, medians of calls of one clip; `faster` and `faster_cpu`, how many
    times faster than torch it is by the clock and by CPU time, which are the same where the computer does nothing
    else: medians over rounds in which each had its turn; and `faster_quartiles`.

    files: opened with one thread; torch is told here.
    """
    inputs = [torch.from_numpy(clip[name]) for name in deployable.axes]

    def by_torch() -> None:
        with torch.inference_mode():
            deployable(*inputs)

    def by_file(file: Exported) -> Callable[[], object]:
        return lambda: file(**clip)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = time_in_turn(
            {"torch": by_torch, **{name: by_file(file) for name, file in files.items()}}, seconds=seconds
        )
    finally:
        torch.set_num_threads(threads)
    return {name: _facts(found["torch"], timing) for name, timing in found.items()}


def _facts(torch_: Timing, timing: Timing) -> dict[str, Any]:
    pairs = [*zip(torch_.calls, timing.calls, strict=True)]
    faster = [ours.wall / theirs.wall for ours, theirs in pairs]
    return {
        "ms": 1e3 * median(timing.seconds),
        "cpu_ms": 1e3 * median(call.thread for call in timing.calls),
        "faster": median(faster),
        "faster_quartiles": [float(np.quantile(faster, share)) for share in (0.25, 0.75)],
        "faster_cpu": median(ours.thread / max(theirs.thread, 1e-9) for ours, theirs in pairs),
        "rounds": len(pairs),
        "wall_over_cpu": timing.wall_over_cpu(threads=1),
    }


def metrics_beside(
    before: VideoTask, after: VideoTask, datamodule: VideoDataModule, *, batches: float | None
) -> dict[str, dict[str, Any]]:
    """Headline metric -> `before` and `after` on the test; and, where samples have a value of their own, `paired`: the
    difference with its 95 % bootstrap interval over videos."""
    (first, rows_before), (second, rows_after) = (tested(task, datamodule, batches) for task in (before, after))
    found: dict[str, dict[str, Any]] = {}
    for name in before.contract.headline or tuple(before.contract.metrics):
        if (key := f"test/{name}") not in first or key not in second:
            continue
        found[name] = {"before": first[key], "after": second[key], "better": before.contract.better(name)}
        both = [i for i in sorted(rows_before) if i in rows_after and is_scored(rows_before[i], rows_after[i], name)]
        if both:
            scores = [[float(rows[i][name]) for i in both] for rows in (rows_before, rows_after)]
            unit_N = number_units([str(rows_before[i]["path"]) for i in both])
            found[name]["paired"] = asdict(compare_paired(*scores, unit_N=unit_N))
    return found


def tested(
    task: VideoTask, datamodule: VideoDataModule, batches: float | None
) -> tuple[dict[str, float], dict[int, dict[str, Any]]]:
    """The metrics of the test, and each sample's row by its number."""
    metrics, _ = measure_metrics(task, datamodule, batches=batches)
    return metrics, {int(row["index"]): row for row in task.prediction_rows(datamodule)}


def is_scored(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    return all(isinstance(row.get(name), (int, float)) and math.isfinite(row[name]) for row in (one, other))
