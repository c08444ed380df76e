"""videxp evaluate: a run's best checkpoint on a split, each sample counted once.

Every split is read as the test split is: the same clips of each video, the same transform. So the numbers of train, val
and test can be compared. `dataset=NAME dataset.root=...` evaluates on another data set,
`dataset.protocol=10x3` by another protocol. evaluation.json holds the figures of the run's own test data, read as the
run reads it; all others lie beside it, under names that say what they are of.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pytorch_lightning import Trainer

    from videxp.core.console import Console
    from videxp.data import VideoDataModule
    from videxp.evaluation.accuracy import Accuracy
    from videxp.runs.folder import RunFolder
    from videxp.tasks import VideoTask

SUMMARY = "RUN [overrides]           test a run's best checkpoint -> RUN/evaluation.json"


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)

    from videxp.runs.folder import open_run

    run = open_run(options.run)
    cfg, changes, not_as_trained = read_config(run, options.overrides)

    from videxp.core.console import Console
    from videxp.evaluation.accuracy import measure_accuracy
    from videxp.evaluation.results import describe, write_files
    from videxp.training.assembling import build_experiment
    from videxp.training.callbacks.progress import ProgressBar
    from videxp.training.log_file import quiet_libraries

    quiet_libraries()
    console = Console(highlight=False, markup=False, quiet=options.json)

    def assemble(cfg: "DictConfig", datamodule: "VideoDataModule") -> tuple["Trainer", "VideoTask"]:
        bar = ProgressBar(console)
        built = build_experiment(cfg, datamodule, root=run.path, loggers=[], callbacks=[bar], fresh=False)
        return built.trainer, built.task

    found = measure_accuracy(run, cfg, split=options.split, assemble=assemble)
    if found is None:
        return 0
    overrides = config.redacted_overrides(options.overrides)
    result = describe(found, changes=changes, not_as_trained=not_as_trained, overrides=overrides)
    files = write_files(found, result, changes=changes)
    if options.json:
        print(json.dumps(result))
    else:
        report(found, result, console, files=files)
    return 0


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="videxp evaluate", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.protocol=10x3 hardware=cpu")
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        help="which samples; default: test, or all of other data than the run's that has no splits of its own",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_intermixed_args(arguments)


def read_config(run: "RunFolder", overrides: list[str]) -> tuple["DictConfig", dict[str, Any], list[str]]:
    """As `config.load_for_evaluation`, and what is not as it was when the run was trained, which is said in a line."""
    from videxp.training.changed_inputs import say_changed_inputs

    cfg, changes = config.load_for_evaluation(run.config, overrides)
    changed = say_changed_inputs(run, cfg, file=config.load_resolved(run.config))
    return cfg, changes, [f"{one.name}: {one.text}" for one in changed]


def report(found: "Accuracy", result: dict[str, Any], console: "Console", *, files: list[Path]) -> None:
    """Print the metrics, the classes and videos that went least well, and what they were computed on."""
    from videxp.evaluation.tables import classes_table, worst_table
    from videxp.runs.evaluation_files import in_short
    from videxp.runs.figures import figure_lines, split_figures

    contract = found.task.contract
    baselines, degradations, others = split_figures(result["metrics"], contract)
    width = max([24, *map(len, others)])
    for name, value in others.items():
        console.print(f"{name:<{width}}  {value:.4f}")
    for rows, heading in ((baselines, found.split), (degradations, "other degradations")):
        for line in ["", *figure_lines(rows, heading=heading)] if rows else ():
            console.print(line, soft_wrap=True)
    if result["protocol"]:
        console.print(result["protocol"], soft_wrap=True)
    by = next(iter(contract.headline), "")
    for table in (classes_table(result["classes"]), worst_table(result["worst"], by=by)):
        for line in ["", *table] if table else ():
            console.print(line, soft_wrap=True, style="dim" if line == table[0] else None)
    if result["classes"] or result["worst"]:
        console.print()
    for path, cause in result["quarantined"].items():
        console.print(f"left out: {path}: {cause}", soft_wrap=True)
    data, split, samples = result["data"], result["split"], found.samples
    if result["read_otherwise"]:
        console.print(f"read otherwise than in the run: {', '.join(result['read_otherwise'])}", soft_wrap=True)
    for line in samples.changes.lines() if samples.changes and data["name"] == found.own_name else ():
        console.print(f"not the run's own {split} data: {line}", soft_wrap=True)
    if samples.trained and split not in ("train", "all"):
        told = f"{len(samples.trained)} of these videos are among those that the run was trained on"
        console.print(f"{told}: {in_short(samples.trained)}", soft_wrap=True)
    counted = f"{data['name']} {split}: {data['clips']} of {data['of']} videos"
    where = f"{data['root']}, samples {data['samples'][:8]}"
    console.print(f"{counted}, {result['videos_per_second']:.3g} videos/s; {where}", soft_wrap=True)
    console.print(", ".join(map(str, files)), soft_wrap=True)
