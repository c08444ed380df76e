"""Which metrics a run will log, by its config alone: what a callback may watch and a sweep may be decided by."""

from collections.abc import Iterator
from typing import Any

from videxp.config.problems import NOTHING, Problem, suggestion
from videxp.core.contract import Contract, contract_of

THROUGHPUT = ("clips_per_second", "frames_per_second", "data_wait_share", "device_memory_gib", "latency_ms")
"""What `videxp.training.callbacks.throughput` logs of every run, as `throughput/...`."""
AT_THE_END = ("test/", "throughput/latency_ms")
"""What is logged once, after the training."""


def logged_metrics(task: dict[str, Any]) -> dict[str, str | None] | None:
    """`{"val/accuracy": "max", "train/loss": None, ...}` of a config's `task`: which is better, where the task says.

    None for a task that does not say what it logs.
    """
    contract = contract_of(str(task.get("_target_")))
    if contract is None:
        return None
    better = contract.metrics
    at_the_end = [*contract.test_only, *_names(task, "test_metrics"), *_of_others(contract, task)]
    in_training = [*contract.train_metrics, *_names(task, "losses")]
    return {
        **{f"val/{name}": way for name, way in better.items() if name not in at_the_end},
        **{f"test/{name}": way for name, way in better.items()},
        **{f"test/{name}": contract.better(name) for name in at_the_end},
        **{f"train/{name}": "min" if name == "loss" else None for name in in_training},
        **{f"throughput/{name}": None for name in THROUGHPUT},
    }


def _of_others(contract: Contract, task: dict[str, Any]) -> list[str]:
    """Names of metrics that are of baselines, or of other degradations than the data set's."""
    baselines = (*contract.baselines, *_names(task, "baselines"))
    of_baselines = (*contract.of_baselines, *(_names(task, "test_metrics") if contract.of_baselines else ()))
    return [
        *(f"{metric}_{name}" for name in baselines for metric in of_baselines),
        *(f"{metric}_{name}" for name in _names(task, "test_degradations") for metric in contract.of_degradations),
    ]


def _names(task: dict[str, Any], key: str) -> list[str]:
    """The names that a config gives to the modules under a key: `task.losses`, `task.test_metrics`."""
    node = task.get(key)
    return [str(name) for name in node if name != "_target_"] if isinstance(node, dict) else []


def sweep_problems(task: dict[str, Any], sweep: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with `sweep.metric`, `sweep.direction` and `sweep.pruner`, which trials would be trained for."""
    known = logged_metrics(task)
    metrics = _as_list(sweep.get("metric")) or [str(task.get("monitor"))]
    ways = _as_list(sweep.get("direction"))
    if twice := [metric for metric in dict.fromkeys(metrics) if metrics.count(metric) > 1]:
        yield Problem("sweep.metric", twice[0], "is named twice; keep one")
        return
    if ways and len(ways) != len(metrics):
        given = f"{len(ways)} for {len(metrics)} metrics"
        yield Problem("sweep.direction", NOTHING, f"{given}; write one for each, [maximize,minimize]")
        return
    for metric, way in zip(metrics, ways or [None] * len(metrics)):
        if sweep.get("metric") is not None and known is not None and metric not in known:
            near = suggestion(str(metric), known, limit=12)
            yield Problem("sweep.metric", metric, f"nobody logs it; {near}")
        elif known is not None and way is not None and known.get(metric) not in (None, way[:3]):
            right = "maximize" if known[metric] == "max" else "minimize"
            message = f"{metric} is better when {'higher' if right == 'maximize' else 'lower'}; sweep.direction={right}"
            yield Problem("sweep.direction", way, message)
    if sweep.get("pruner") and str(metrics[0]).startswith(AT_THE_END):
        message = f"judges while a trial trains, and {metrics[0]} comes at its end; sweep.pruner=null"
        yield Problem("sweep.pruner", sweep["pruner"], message)


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
