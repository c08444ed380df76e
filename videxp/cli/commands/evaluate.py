"""videxp evaluate: a run's best checkpoint on a split, each sample counted once.

Every split is read as the test split is: the same clips of each video, the same transform. So the numbers of train, val
and test can be compared. `dataset=NAME dataset.root=...` evaluates on another data set,
`dataset.protocol=10x3` by another protocol. evaluation.json holds the figures of the run's own test data, read as the
run reads it; all others lie beside it, under names that say what they are of.
"""

import argparse
import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import replacing, write_csv

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.data import Manifest, VideoDataModule
    from videxp.runs.evaluation_files import EvaluatedData
    from videxp.runs.folder import RunFolder
    from videxp.training.assembling import Experiment

SUMMARY = "RUN [overrides]           test a run's best checkpoint -> RUN/evaluation.json"
SPLITS = ("train", "val", "test")
VIEWS = ("dataset.test_clips", "dataset.test_transform.crops")  # which the protocol's name says
NULL_MEANS = {"trainer.limit_test_batches": "all", "dataset.test_frames": "as in training", "dataset.cache": "none"}
WORST = 8  # videos that are kept and shown


def main(arguments: list[str]) -> int:
    options = parsed(arguments)

    from videxp.runs.folder import open_run

    run = open_run(options.run)
    cfg, changes, not_as_trained = read_config(run, options.overrides)
    own = config.load_resolved(run.config).dataset

    from videxp.core.console import Console
    from videxp.data.loading.testing_protocols import views_in
    from videxp.runs.weights import read_checkpoint, weights_hash
    from videxp.training.assembling import build_experiment, set_weights
    from videxp.training.callbacks.progress import ProgressBar
    from videxp.training.log_file import quiet_libraries

    checkpoint = run.checkpoint()
    content = read_checkpoint(checkpoint)
    state = content["state_dict"]
    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    config.require_labels(cfg, several=datamodule.several_labels)
    fingerprint = datamodule.fingerprint
    is_elsewhere = os.path.realpath(own.root) != os.path.realpath(cfg.dataset.root)
    split, on = chosen_samples(datamodule, run, split=options.split, is_elsewhere=is_elsewhere)
    datamodule.use(in_order_of_run(datamodule.manifest.as_test(split), content.get("classes")))
    console = Console(highlight=False, markup=False, quiet=options.json)
    progress = ProgressBar(console)
    experiment = build_experiment(cfg, datamodule, root=run.path, loggers=[], callbacks=[progress], fresh=False)
    trainer, task = experiment.trainer, experiment.task
    if (count := datamodule.counts["test"]) < trainer.world_size:  # a rank without any would not meet the others
        raise BadRequest(f"{count} {options.split} samples for {trainer.world_size} processes: use fewer, hardware=cpu")
    set_weights(task, state, path=checkpoint)
    started = time.perf_counter()
    trainer.test(task, datamodule=datamodule, verbose=False)
    seconds = time.perf_counter() - started
    rows = gathered(task.prediction_rows(datamodule), world_size=trainer.world_size)
    if not trainer.is_global_zero:
        return 0
    videos, of = datamodule.seen["test"]
    if rows:  # a task need not have predictions for each sample
        require_each_once(rows, num_samples=videos)
    metrics = {name.replace("test/", f"{split}/", 1): v for name, v in trainer.callback_metrics.items()}
    result: dict[str, Any] = {
        "checkpoint": str(checkpoint.relative_to(run.path)),
        "weights": weights_hash(state),
        "split": split,
        "data": {
            "name": datamodule.name,
            "root": str(datamodule.root),
            "fingerprint": fingerprint,
            "clips": videos,
            "of": of,
            "samples": on.fingerprint,
            "changes": None if on.changes is None else on.changes.facts(),
            "trained_on": {"count": len(on.trained), "examples": on.trained[:WORST]},
        },
        "quarantined": datamodule.missing,
        "not_as_trained": not_as_trained,
        "overrides": config.redacted_overrides(options.overrides),
        "world_size": trainer.world_size,
        "read_otherwise": [change_text(key, was, now) for key, (was, now) in changes.items()],
        "conditions": {"samples": on.fingerprint, "split": split, **{key: now for key, (_, now) in changes.items()}},
        "metrics": {name: float(value) for name, value in metrics.items()},
        "protocol": task.evaluation_protocol,
        "videos_per_second": round(videos / seconds, 2),
        "classes": task.classes_tested,
        "worst": worst_rows(rows),
    }
    views = views_in(cfg.dataset)
    protocol = "" if views == views_in(own) else views.name
    data = on.word(name=datamodule.name, root=datamodule.root, own_name=own.name, own_root=str(own.root))
    # The name of other data stands for how it is read, too.
    named = {} if data else {key: now for key, (_, now) in changes.items() if not (protocol and key in VIEWS)}
    files = write_files(result, rows, experiment, run, data=data, protocol=protocol, changes=named)
    if options.json:
        print(json.dumps(result))
    else:
        report(result, console, on=on, own_name=own.name, files=files)
    return 0


def chosen_samples(
    datamodule: "VideoDataModule", run: "RunFolder", *, split: str | None, is_elsewhere: bool
) -> tuple[str, "EvaluatedData"]:
    """The split, and what its samples are beside those that the run recorded.

    None: test; of other data than the run's, all samples where nobody but a hash has parted them. Data elsewhere are
    the run's where each sample, by its content, is one that the run recorded.
    """
    from videxp.runs.evaluation_files import evaluated_data
    from videxp.runs.provenance import read_samples, samples

    manifest, recorded = datamodule.manifest, read_samples(run.data)
    is_other = is_elsewhere and {*recorded} != {*samples(manifest)}
    split = split or ("all" if is_other and "test" in manifest.made_splits else "test")
    if split != "all" and not manifest["split"].equal(split).any():
        there = [name for name in SPLITS if manifest["split"].equal(name).any()]
        raise BadRequest(f"dataset {manifest.name} has no {split} samples: --split {there[0]}, or --split all")
    now = [sample for sample in samples(manifest) if split in (sample.split, "all")]
    return split, evaluated_data(recorded, now, split=split)


def write_files(
    result: dict[str, Any],
    rows: list[dict[str, Any]],
    experiment: "Experiment",
    run: "RunFolder",
    *,
    data: str,
    protocol: str,
    changes: dict[str, Any],
) -> list[Path]:
    """The files that an evaluation leaves."""
    from videxp.runs.evaluation_files import free_paths, result_path
    from videxp.runs.folder import write_json

    places = [
        result_path(path, result["split"], data=data, protocol=protocol, changes=changes)
        for path in (run.evaluation, run.predictions, run.samples / "worst_videos.mp4")
    ]
    is_own = places[0] == run.evaluation
    evaluation, predictions, worst = places if is_own else free_paths(places, result["conditions"])
    write_json(evaluation, result)
    files = [evaluation]
    if rows:
        write_predictions(predictions, rows)
        files.append(predictions)
    if result["worst"] and experiment.task.save_worst(result["worst"], experiment.datamodule, worst):
        files.append(worst)
    return files


def read_config(run: "RunFolder", overrides: list[str]) -> tuple["DictConfig", dict[str, Any], list[str]]:
    """As `config.load_for_evaluation`, and what is not as it was when the run was trained, which is said in a line."""
    from videxp.training.changed_inputs import say_changed_inputs

    cfg, changes = config.load_for_evaluation(run.config, overrides)
    changed = say_changed_inputs(run, cfg, file=config.load_resolved(run.config))
    return cfg, changes, [f"{one.name}: {one.text}" for one in changed]


def parsed(arguments: list[str]) -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(prog="videxp evaluate", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.protocol=10x3 hardware=cpu")
    parser.add_argument(
        "--split",
        choices=(*SPLITS, "all"),
        help="which samples; default: test, or all of other data than the run's that has no splits of its own",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_intermixed_args(arguments)


def report(result: dict[str, Any], console: Any, *, on: "EvaluatedData", own_name: str, files: list[Path]) -> None:
    """What the terminal shows."""
    from videxp.evaluation.tables import classes_table, worst_table
    from videxp.runs.evaluation_files import in_short

    width = max([24, *map(len, result["metrics"])])
    for name, value in result["metrics"].items():
        console.print(f"{name:<{width}}  {value:.4f}")
    if result["protocol"]:
        console.print(result["protocol"], soft_wrap=True)
    for table in (classes_table(result["classes"]), worst_table(result["worst"])):
        for line in ["", *table] if table else ():
            console.print(line, soft_wrap=True, style="dim" if line == table[0] else None)
    if result["classes"] or result["worst"]:
        console.print()
    for path, cause in result["quarantined"].items():
        console.print(f"left out: {path}: {cause}", soft_wrap=True)
    data = result["data"]
    if result["read_otherwise"]:
        console.print(f"read otherwise than in the run: {', '.join(result['read_otherwise'])}", soft_wrap=True)
    for line in on.changes.lines() if on.changes and data["name"] == own_name else ():
        console.print(f"not the run's own {result['split']} data: {line}", soft_wrap=True)
    if on.trained and result["split"] not in ("train", "all"):
        told = f"{len(on.trained)} of these videos are among those that the run was trained on"
        console.print(f"{told}: {in_short(on.trained)}", soft_wrap=True)
    counted = f"{data['name']} {result['split']}: {data['clips']} of {data['of']} videos"
    where = f"{data['root']}, samples {data['samples'][:8]}"
    console.print(f"{counted}, {result['videos_per_second']:.3g} videos/s; {where}", soft_wrap=True)
    console.print(", ".join(map(str, files)), soft_wrap=True)


def worst_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the greatest loss, the greatest first: of confident mistakes. None where rows have no loss."""
    lost = [row for row in rows if "loss" in row]
    return sorted(lost, key=lambda row: -math.inf if math.isnan(row["loss"]) else -row["loss"])[:WORST]


def in_order_of_run(manifest: "Manifest", known: list[str] | None) -> "Manifest":
    """The manifest with the run's classes in the run's order, by name: a classifier's outputs are those of the data it
    learned from. Data without a video of some class is as good.

    Raises BadRequest where it has none of them, or others.
    """
    from videxp.runs.evaluation_files import first_of

    if not known:
        return manifest
    lacking = [name for name in known if name not in manifest.classes]
    strange = [name for name in manifest.classes if name not in known]
    if strange or not manifest.classes:
        reasons = [f"it lacks {first_of(lacking)}"] * bool(lacking)
        reasons += [f"the run does not know {first_of(strange)}"] * bool(strange)
        renamed = [f"{name} -> {other}" for name in strange for other in lacking if name.casefold() == other.casefold()]
        remedy = f"\nRename them in the data as the run has them: {first_of(renamed)}" if renamed else ""
        raise BadRequest(f"dataset {manifest.name}: its classes are not those of the run: {'; '.join(reasons)}{remedy}")
    return replace(manifest, classes=known)


def change_text(key: str, was: Any, now: Any) -> str:
    """`size 112 (was 40)`, `clip_fps 8 (was not set)`."""
    nothing = NULL_MEANS.get(key, "not set")
    before, after = (nothing if value is None else str(value) for value in (was, now))
    return f"{key.removeprefix('dataset.')} {after} (was {before})"


def require_each_once(rows: list[dict[str, Any]], *, num_samples: int) -> None:
    """The guarantee, checked on what was really evaluated."""
    indices = [row["index"] for row in rows]
    if len(set(indices)) != len(indices) or len(indices) != num_samples:
        raise VidexpError(
            f"{num_samples} samples, but {len(indices)} predictions for {len(set(indices))} of them: "
            "the task's prediction_rows must have one row for each sample"
        )


def gathered(rows: list[dict[str, Any]], *, world_size: int) -> list[dict[str, Any]]:
    """The rows of all ranks, in the order of the samples."""
    if world_size > 1:
        from torch.distributed import all_gather_object

        parts: list[list[dict[str, Any]]] = [[] for _ in range(world_size)]
        all_gather_object(parts, rows)
        rows = [row for part in parts for row in part]
    return sorted(rows, key=lambda row: row["index"])


def write_predictions(path: Path, rows: list[dict[str, Any]]) -> None:
    """One row per sample."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, rows, list(rows[0]))
