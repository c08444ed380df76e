"""Files of an evaluation: evaluation.json, predictions.csv and a video of the worst samples."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videxp.core.files import replacing, write_csv
from videxp.evaluation.accuracy import WORST
from videxp.evaluation.calibration import save_reliability
from videxp.evaluation.subject import Subject, Tested
from videxp.runs.evaluation_files import free_paths, result_path
from videxp.runs.folder import RunFolder, write_json
from videxp.runs.reading import read_json, sections_of

VIEWS = ("dataset.clips.test_clips", "dataset.test_transform.crops")  # which the protocol's name says
NULL_MEANS = {
    "trainer.limit_test_batches": "all",
    "dataset.clips.test_frames": "as in training",
    "dataset.cache": "none",
}
Changes = Mapping[str, tuple[Any, Any]]
"""Key -> (value in the run, value in the evaluation)."""


def describe(subject: Subject, *, changes: Changes, not_as_trained: list[str], overrides: list[str]) -> dict[str, Any]:
    """What evaluation.json says of the subject: which weights, on which data, read how.

    not_as_trained: a line for each thing that is not as it was when the run was trained. overrides: without secrets.
    """
    samples, data = subject.samples, subject.datamodule
    return {
        "checkpoint": str(subject.checkpoint.relative_to(subject.run.path)),
        "weights": subject.weights,
        "split": subject.split,
        "data": {
            "name": data.name,
            "root": str(data.root),
            "fingerprint": subject.fingerprint,
            "clips": subject.counted[0],
            "of": subject.counted[1],
            "samples": samples.fingerprint,
            "changes": None if samples.changes is None else samples.changes.facts(),
            "trained_on": {"count": len(samples.trained), "examples": samples.trained[:WORST]},
        },
        "not_as_trained": not_as_trained,
        "overrides": overrides,
        "world_size": subject.trainer.world_size,
        "read_otherwise": [change_text(key, was, now) for key, (was, now) in changes.items()],
        "conditions": conditions(subject, changes),
    }


def conditions(subject: Subject, changes: Changes) -> dict[str, Any]:
    """What the figures hang on beside the weights: two evaluations that agree in these have one file."""
    now = {key: value for key, (_, value) in changes.items()}
    tested = len(subject.tested)
    part = {"videos": tested} if tested < len(subject.datamodule.dataset("test")) else {}  # batches have any size
    return {"samples": subject.samples.fingerprint, "split": subject.split, **part, **now}


def change_text(key: str, was: Any, now: Any) -> str:
    """`size 112 (was 40)`, `clip_fps 8 (was not set)`."""
    nothing = NULL_MEANS.get(key, "not set")
    before, after = (nothing if value is None else str(value) for value in (was, now))
    return f"{key.removeprefix('dataset.')} {after} (was {before})"


def find_places(subject: Subject, *, changes: Changes) -> list[Path]:
    """Paths of evaluation.json, predictions.csv, the worst videos and the reliability diagram, under names that say
    what they are of."""
    run, data, protocol = subject.run, subject.data, subject.protocol
    # The name of other data stands for how it is read, too.
    named = {} if data else {key: now for key, (_, now) in changes.items() if not (protocol and key in VIEWS)}
    places = [
        result_path(path, subject.split, data=data, protocol=protocol, changes=named)
        for path in (
            run.evaluation,
            run.predictions,
            run.samples / "worst_videos.mp4",
            run.samples / "reliability.png",
        )
    ]
    return places if places[0] == run.evaluation else free_paths(places, conditions(subject, changes))


def picture_folder(run: RunFolder, place: Path) -> Path:
    """Where plots and clips of the axes go: samples/; of an evaluation whose file isn't the run's evaluation.json, a
    folder there that is named as `place`, its file."""
    return run.samples if place == run.evaluation else run.samples / place.stem


def write_result(path: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Write evaluation.json; returns what it holds now: what other axes found of the same weights stays."""
    before = read_json(path)
    now = json.loads(json.dumps(result, default=str))
    same = all(before.get(key) == now[key] for key in ("weights", "conditions"))
    kept = sections_of(before) if "metrics" in result else before
    merged = {**(kept if same else {}), **result}
    write_json(path, merged)
    return merged


def write_samples(subject: Subject, tested: Tested, result: Mapping[str, Any], places: list[Path]) -> list[Path]:
    """Write predictions.csv, a video of the worst and the reliability diagram; returns the paths of what there is to
    write."""
    predictions, worst, diagram = places
    files = []
    if tested.rows:
        write_predictions(predictions, tested.rows)
        files.append(predictions)
    if result["worst"] and subject.task.save_worst(result["worst"], subject.datamodule, worst):
        files.append(worst)
    if "does_not_apply" not in result["calibration"]:
        files.append(save_reliability(result["calibration"], diagram))
    return files


def write_predictions(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one row per sample."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, rows, list(rows[0]))
