"""A run beside what was made of it, and beside other runs and files: how long they take, and what they get right."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from videxp.core.errors import BadRequest
from videxp.core.timing import Timing, time_in_turn
from videxp.data import VideoDataModule
from videxp.deploy.exporting.exporting import fits, sample_clips
from videxp.deploy.exporting.measuring import measure_metrics
from videxp.deploy.exporting.opening import Exported
from videxp.deploy.exporting.runs import LoadedRun
from videxp.metrics.significance import compare_paired, number_units
from videxp.tasks import VideoTask
from videxp.tasks.deployable import Deployable

Clip = Mapping[str, np.ndarray]
CLIP = {"num_frames": "frames", "size": "size"}
"""What a data set calls the length and the size of its clips, and what a file's package does."""


# ---- times -----------------------------------------------------------------------------------------------------------


def by_torch(deployable: Deployable, clip: Clip) -> Callable[[], object]:
    inputs = [torch.from_numpy(clip[name]) for name in deployable.axes]

    def call() -> None:
        with torch.inference_mode():
            deployable(*inputs)

    return call


def by_file(file: Exported, clip: Clip) -> Callable[[], object]:
    """file: opened with one thread."""
    return lambda: file(**clip)


def time_beside(calls: Mapping[str, Callable[[], object]], *, seconds: float) -> dict[str, dict[str, Any]]:
    """Of each: `ms` and `cpu_ms`, medians of calls on one thread; `faster` and `faster_cpu`, how many times faster than
    the first it is by the clock and by CPU time, which are the same where the computer does nothing else: medians over
    rounds in which each had its turn; and their quartiles.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = time_in_turn(calls, seconds=seconds)
    finally:
        torch.set_num_threads(threads)
    first = next(iter(found.values()))
    return {name: _facts(first, timing) for name, timing in found.items()}


def _facts(first: Timing, timing: Timing) -> dict[str, Any]:
    pairs = [*zip(first.calls, timing.calls, strict=True)]
    faster = [ours.wall / theirs.wall for ours, theirs in pairs]
    faster_cpu = [ours.thread / max(theirs.thread, 1e-9) for ours, theirs in pairs]
    return {
        "ms": 1e3 * median(timing.seconds),
        "cpu_ms": 1e3 * median(call.thread for call in timing.calls),
        "faster": median(faster),
        "faster_quartiles": _quartiles(faster),
        "faster_cpu": median(faster_cpu),
        "faster_cpu_quartiles": _quartiles(faster_cpu),
        "rounds": len(pairs),
        "wall_over_cpu": timing.wall_over_cpu(threads=1),
    }


def _quartiles(values: list[float]) -> list[float]:
    return [float(np.quantile(values, share)) for share in (0.25, 0.75)]


def time_others(loaded: LoadedRun, others: Mapping[str, LoadedRun | Exported], *, seconds: float) -> dict[str, Any]:
    """A run timed in turn with other runs and files, on a clip of its test, one at a time: `clip`, its shape by input,
    and `times` by name, the run's first.

    others: files opened with one thread. Raises BadRequest where one takes clips of another size.
    """
    (clip,) = sample_clips(loaded.task, loaded.deployable, loaded.datamodule, split="test", count=1)
    calls = {str(loaded.run.path): by_torch(loaded.deployable, clip)}
    for name, other in others.items():
        require_same_clip(loaded, clip, name, other)
        calls[name] = by_file(other, clip) if isinstance(other, Exported) else by_torch(other.deployable, clip)
    shapes = {name: list(value.shape) for name, value in clip.items()}
    return {"clip": shapes, "threads": 1, "times": time_beside(calls, seconds=seconds)}


def require_same_clip(loaded: LoadedRun, clip: Clip, name: str, other: LoadedRun | Exported) -> None:
    """Raises BadRequest where what is beside the run is used to clips of another length or size."""
    ours = {key: getattr(loaded.datamodule, key) for key in CLIP}
    if isinstance(other, Exported):
        theirs = {key: other.package.clip.get(of_file, ours[key]) for key, of_file in CLIP.items()}
        takes = {port.name: list(port.shape) for port in other.package.inputs}
        is_alike = takes.keys() == clip.keys() and fits(other.package, clip)
    else:
        theirs = {key: getattr(other.datamodule, key) for key in CLIP}
        (one,) = sample_clips(other.task, other.deployable, other.datamodule, split="test", count=1)
        takes = {key: list(value.shape) for key, value in one.items()}
        is_alike = takes == {key: list(value.shape) for key, value in clip.items()}
    if ours != theirs:
        told = [f"{one['num_frames']} frames of {one['size']} pixels" for one in (theirs, ours)]
        raise BadRequest(f"--beside {name}: made for {told[0]}, {loaded.run.path} for {told[1]}: times of other work")
    if not is_alike:
        given = {key: list(value.shape) for key, value in clip.items()}
        raise BadRequest(f"--beside {name}: takes {takes}, {loaded.run.path} {given}: times of other work")


# ---- metrics ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Test:
    """What a pass over the test gave."""

    metrics: Mapping[str, float]
    rows: Mapping[int, Mapping[str, Any]]
    """Of each sample, by its number."""


def tested(task: VideoTask, datamodule: VideoDataModule, batches: float | None) -> Test:
    metrics, _ = measure_metrics(task, datamodule, batches=batches)
    return Test(metrics, {int(row["index"]): row for row in task.prediction_rows(datamodule)})


def metrics_beside(task: VideoTask, before: Test, after: Test) -> dict[str, dict[str, Any]]:
    """Headline metric -> `before` and `after`; and, where samples have a value of their own, `paired`: the difference
    with its 95 % bootstrap interval over videos."""
    found: dict[str, dict[str, Any]] = {}
    for name in task.contract.headline or tuple(task.contract.metrics):
        if (key := f"test/{name}") not in before.metrics or key not in after.metrics:
            continue
        found[name] = {"before": before.metrics[key], "after": after.metrics[key]}
        found[name]["better"] = task.contract.better(name)
        common = sorted(before.rows.keys() & after.rows.keys())
        both = [i for i in common if is_scored(before.rows[i], after.rows[i], name)]
        if both:
            scores = [[float(test.rows[i][name]) for i in both] for test in (before, after)]
            unit_N = number_units([str(before.rows[i]["path"]) for i in both])
            found[name]["paired"] = asdict(compare_paired(*scores, unit_N=unit_N))
    return found


def is_scored(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    return all(isinstance(row.get(name), (int, float)) and math.isfinite(row[name]) for row in (one, other))
