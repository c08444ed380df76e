"""Files of an evaluation: evaluation.json, predictions.csv and a video of the worst samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videxp.core.files import replacing, write_csv
from videxp.evaluation.accuracy import WORST, Accuracy
from videxp.runs.evaluation_files import free_paths, result_path
from videxp.runs.folder import write_json

VIEWS = ("dataset.clips.test_clips", "dataset.test_transform.crops")  # which the protocol's name says
NULL_MEANS = {
    "trainer.limit_test_batches": "all",
    "dataset.clips.test_frames": "as in training",
    "dataset.cache": "none",
}
Changes = Mapping[str, tuple[Any, Any]]
"""Key -> (value in the run, value in the evaluation)."""


def describe(found: Accuracy, *, changes: Changes, not_as_trained: list[str], overrides: list[str]) -> dict[str, Any]:
    """Content of evaluation.json.

    not_as_trained: a line for each thing that is not as it was when the run was trained. overrides: without secrets.
    """
    samples, data = found.samples, found.datamodule
    videos, of = found.counted
    return {
        "checkpoint": str(found.checkpoint.relative_to(found.run.path)),
        "weights": found.weights,
        "split": found.split,
        "data": {
            "name": data.name,
            "root": str(data.root),
            "fingerprint": found.fingerprint,
            "clips": videos,
            "of": of,
            "samples": samples.fingerprint,
            "changes": None if samples.changes is None else samples.changes.facts(),
            "trained_on": {"count": len(samples.trained), "examples": samples.trained[:WORST]},
        },
        "quarantined": data.missing,
        "not_as_trained": not_as_trained,
        "overrides": overrides,
        "world_size": found.world_size,
        "read_otherwise": [change_text(key, was, now) for key, (was, now) in changes.items()],
        "conditions": {
            "samples": samples.fingerprint,
            "split": found.split,
            **{key: now for key, (_, now) in changes.items()},
        },
        "metrics": found.metrics,
        "protocol": found.task.evaluation_protocol,
        "videos_per_second": round(videos / found.seconds, 2),
        "classes": found.task.classes_tested,
        "worst": found.worst,
    }


def change_text(key: str, was: Any, now: Any) -> str:
    """`size 112 (was 40)`, `clip_fps 8 (was not set)`."""
    nothing = NULL_MEANS.get(key, "not set")
    before, after = (nothing if value is None else str(value) for value in (was, now))
    return f"{key.removeprefix('dataset.')} {after} (was {before})"


def write_files(found: Accuracy, result: dict[str, Any], *, changes: Changes) -> list[Path]:
    """Write the evaluation's files into the run's folder; returns their paths. result: of `describe`."""
    run, data, protocol = found.run, found.data, found.protocol
    # The name of other data stands for how it is read, too.
    named = {} if data else {key: now for key, (_, now) in changes.items() if not (protocol and key in VIEWS)}
    places = [
        result_path(path, found.split, data=data, protocol=protocol, changes=named)
        for path in (run.evaluation, run.predictions, run.samples / "worst_videos.mp4")
    ]
    is_own = places[0] == run.evaluation
    evaluation, predictions, worst = places if is_own else free_paths(places, result["conditions"])
    write_json(evaluation, result)
    files = [evaluation]
    if found.rows:
        write_predictions(predictions, found.rows)
        files.append(predictions)
    if result["worst"] and found.task.save_worst(result["worst"], found.datamodule, worst):
        files.append(worst)
    return files


def write_predictions(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one row per sample."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, rows, list(rows[0]))
