"""videxp evaluate: a run's best checkpoint on a split, each sample counted once.

Every split is read as the test split is: the same clips of each video, the same transform. So the numbers of train, val
and test can be compared. `dataset=NAME dataset.root=...` evaluates on another data set,
`dataset.protocol=10x3` by another protocol.
"""

import argparse
import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.errors import BadRequest, VidexpError
from videxp.files import replacing, write_csv

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.experiment import Experiment
    from videxp.runs.folder import RunFolder

SUMMARY = "RUN [overrides]           test a run's best checkpoint -> RUN/evaluation.json"
SPLITS = ("train", "val", "test")
WORST = 8  # videos that are kept and shown


def main(arguments: list[str]) -> int:
    options = parsed(arguments)

    from videxp.runs.folder import open_run

    run = open_run(options.run)
    cfg, read_otherwise, not_as_trained = read_config(run, options.overrides)

    from videxp.commands.train import quiet_libraries
    from videxp.console import Console
    from videxp.data.testing_protocols import views_in
    from videxp.experiment import build_experiment, set_weights
    from videxp.runs.progress import ProgressBar
    from videxp.runs.weights import read_checkpoint, weights_hash

    if not any("limit_test_batches" in text for text in options.overrides):
        cfg.trainer.limit_test_batches = None  # a run cut short for a try is still evaluated on everything
    checkpoint = run.checkpoint()
    content = read_checkpoint(checkpoint)
    state = content["state_dict"]
    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    config.require_labels(cfg, several=datamodule.several_labels)
    fingerprint = datamodule.fingerprint
    datamodule.use(numbered_as(datamodule.manifest.as_test(options.split), content.get("classes")))
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
    limited = cfg.trainer.limit_test_batches is not None
    readable, samples = datamodule.coverage("test")
    if rows:  # a task need not have predictions for each sample
        require_each_once(rows, num_samples=readable, limited=limited)
    clips = len(rows) or readable
    metrics = {name.replace("test/", f"{options.split}/", 1): v for name, v in trainer.callback_metrics.items()}
    result: dict[str, Any] = {
        "checkpoint": str(checkpoint.relative_to(run.path)),
        "weights": weights_hash(state),
        "split": options.split,
        "data": {"name": datamodule.name, "fingerprint": fingerprint, "clips": clips, "of": samples},
        "quarantined": datamodule.missing,
        "not_as_trained": not_as_trained,
        "overrides": config.redacted_overrides(options.overrides),
        "world_size": trainer.world_size,
        "read_otherwise": read_otherwise or [],
        "metrics": {name: float(value) for name, value in metrics.items()},
        "protocol": task.evaluation_protocol,
        "videos_per_second": round(clips / seconds, 2),
        "classes": task.classes_tested,
        "worst": worst_rows(rows),
    }
    data = "" if read_otherwise is None else datamodule.name
    views = views_in(cfg.dataset)
    protocol = "" if views == views_in(config.load_resolved(run.config).dataset) else views.name
    files = written(result, rows, experiment, run, split=options.split, data=data, protocol=protocol)
    if options.json:
        print(json.dumps(result))
    else:
        report(result, console, files=files)
    return 0


def written(
    result: dict[str, Any],
    rows: list[dict[str, Any]],
    experiment: "Experiment",
    run: "RunFolder",
    *,
    split: str,
    data: str,
    protocol: str,
) -> list[Path]:
    """The files that an evaluation leaves."""
    from videxp.runs.folder import write_json

    places = (run.evaluation, run.predictions, run.samples / "worst_videos.mp4")
    evaluation, predictions, worst = (named(path, split, data=data, protocol=protocol) for path in places)
    write_json(evaluation, result)
    files = [evaluation]
    if rows:
        write_predictions(predictions, rows)
        files.append(predictions)
    if result["worst"] and experiment.task.save_worst(result["worst"], experiment.datamodule, worst):
        files.append(worst)
    return files


def read_config(run: "RunFolder", overrides: list[str]) -> tuple["DictConfig", list[str] | None, list[str]]:
    """As `config.load_for_evaluation`, and what is not as it was when the run was trained, which is said in a line."""
    from videxp.inputs import say_changed_inputs

    cfg, read_otherwise = config.load_for_evaluation(run.config, overrides)
    changed = say_changed_inputs(run, cfg, file=config.load_resolved(run.config))
    return cfg, read_otherwise, [f"{one.name}: {one.text}" for one in changed]


def parsed(arguments: list[str]) -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(prog="videxp evaluate", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.protocol=10x3 hardware=cpu")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which samples; default: test")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_intermixed_args(arguments)


def report(result: dict[str, Any], console: Any, *, files: list[Path]) -> None:
    """What the terminal shows."""
    from videxp.runs.evaluation_tables import classes_table, worst_table

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
    counted = f"{data['name']} {result['split']}: {data['clips']} of {data['of']} videos"
    console.print(f"{counted}, {result['videos_per_second']:.3g} videos/s", soft_wrap=True)
    console.print(", ".join(map(str, files)), soft_wrap=True)


def worst_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the greatest loss, the greatest first: of confident mistakes. None where rows have no loss."""
    lost = [row for row in rows if "loss" in row]
    return sorted(lost, key=lambda row: -math.inf if math.isnan(row["loss"]) else -row["loss"])[:WORST]


def named(path: Path, split: str, *, data: str, protocol: str = "") -> Path:
    """evaluation.json for test, evaluation_val.json for val; evaluation_vid4.json for test of another data set;
    evaluation_10x3.json for another protocol than the run's."""
    is_another_word = data in SPLITS or re.fullmatch(r"\d+x\d+", data)
    words = ([data] if data else []) + ([split] if split != "test" or is_another_word else [])
    words += [protocol] if protocol else []
    return path.with_stem("_".join([path.stem, *(word.replace("/", "-") for word in words)]))


def numbered_as(manifest: Any, known: list[str] | None) -> Any:
    """The manifest with the classes in the run's order: a classifier's outputs are those of the data it learned from.

    Raises BadRequest where they are not the same.
    """
    if not known:
        return manifest
    lacking = [name for name in known if name not in manifest.classes]
    strange = [name for name in manifest.classes if name not in known]
    if lacking or strange:
        reasons = [f"it lacks {first_of(lacking)}"] * bool(lacking)
        reasons += [f"the run does not know {first_of(strange)}"] * bool(strange)
        raise BadRequest(f"dataset {manifest.name}: its classes are not those of the run: {'; '.join(reasons)}")
    return replace(manifest, classes=known)


def first_of(names: list[str]) -> str:
    """`a, b, c, d, ...`."""
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def require_each_once(rows: list[dict[str, Any]], *, num_samples: int, limited: bool) -> None:
    """The guarantee, checked on what was really evaluated."""
    indices = [row["index"] for row in rows]
    if len(set(indices)) != len(indices) or (not limited and len(indices) != num_samples):
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
