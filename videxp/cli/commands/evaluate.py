"""videxp evaluate: a run's best checkpoint on a split, each sample counted once.

Every split is read as the test split is: the same clips of each video, the same transform. So the numbers of train, val
and test can be compared. `dataset=NAME dataset.root=...` evaluates on another data set,
`dataset.protocol=10x3` by another protocol. evaluation.json holds the figures of the run's own test data, read as the
run reads it; all others lie beside it, under names that say what they are of.

RUN may be a file that `videxp export` made of a run (.onnx, .pt2, .xml): its metrics are printed, no file is written.

`--on speed,robustness,explanation` measures these axes instead, each into a section of the same file; `--on all`, all.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.options import VERIFY, OneLineParser
from videxp.core.printable import as_typed_here
from videxp.deploy.exporting.package import is_exported, require_exported
from videxp.evaluation.axis import (
    ACCURACY,
    AXES,
    add_axis_arguments,
    axis,
    parse_axes,
    refuse_options_without_axis,
)
from videxp.runs.signing import require_signed

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pytorch_lightning import Trainer

    from videxp.core.console import Console
    from videxp.data import VideoDataModule
    from videxp.evaluation.subject import Subject
    from videxp.runs.folder import RunFolder
    from videxp.tasks import VideoTask

SUMMARY = "RUN [overrides]           test a run's best checkpoint -> RUN/evaluation.json"


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    if options.verify is not None:
        require_signed(Path(options.run), options.verify)
    if is_exported(options.run):
        return evaluate_by_file(options)

    from videxp.runs.folder import open_run

    run = open_run(options.run)
    cfg, changes, not_as_trained = read_config(run, options.overrides)

    from videxp.core.console import Console
    from videxp.evaluation.results import describe, find_places, picture_folder, write_result
    from videxp.evaluation.subject import open_subject
    from videxp.training.log_file import quiet_libraries

    quiet_libraries()
    console = Console(highlight=False, markup=False, quiet=options.json)
    open_part = partial(open_subject, run, cfg, assemble=partial(assemble, run, console), console=console)
    subject = open_part(split=options.split)
    overrides = config.redacted_overrides(options.overrides)
    described = partial(describe, subject, changes=changes, not_as_trained=not_as_trained, overrides=overrides)
    places = find_places(subject, changes=changes)
    subject = replace(subject, pictures=picture_folder(run, places[0]))
    require_axes(subject, options)
    result: dict[str, Any] = {}
    pictures: list[Path] = []
    for name in options.on:
        if name == ACCURACY:
            open_val = partial(open_part, split="val") if options.temperature else None
            found, files = test_accuracy(subject, places, open_val)
        else:
            found, files = measure_axis(subject, name, options)
        if subject.trainer.is_global_zero:
            result = write_result(places[0], {**described(), **found})
            report(subject, name, result, [places[0], *files])
            pictures += [file for file in files if file.is_relative_to(run.samples)]
    if result:
        log(subject, result, name=places[0].stem, pictures=pictures)
    if options.json and result:
        print(json.dumps(result))
    return 0


def evaluate_by_file(options: argparse.Namespace) -> int:
    """Accuracy alone, by an exported file in place of the run's network."""
    if options.on != [ACCURACY] or options.temperature:
        option = "--temperature" if options.temperature else "--on"
        raise BadRequest(f"{option} is for runs, {options.run} is a file: leave {option} out, or give the run's folder")
    require_exported(Path(options.run))  # before the slow imports

    from videxp.deploy.exporting.measuring import evaluate_file, result_lines
    from videxp.deploy.exporting.opening import open_exported
    from videxp.training.log_file import quiet_libraries

    quiet_libraries()
    exported = open_exported(options.run)
    result = evaluate_file(exported, overrides=options.overrides, split=options.split or "test")
    print(json.dumps(result) if options.json else "\n".join(result_lines(result)))
    return 0


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = OneLineParser(prog="videxp evaluate", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder, or an exported file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.protocol=10x3 hardware=cpu")
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        help="which samples; default: test, or all of other data than the run's that has no splits of its own",
    )
    parser.add_argument(
        "--on", type=parse_axes, default=[ACCURACY], metavar="AXES", help=f"{','.join(AXES)} or all; default: accuracy"
    )
    parser.add_argument(
        "--temperature",
        action="store_true",
        help="fit the temperature of a classifier's probabilities on its validation videos; one more pass, over these",
    )
    parser.add_argument("--verify", metavar="PUB.pem", type=Path, help=VERIFY)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_axis_arguments(parser)
    options = parser.parse_intermixed_args(arguments)
    refuse_options_without_axis(options, options.on)
    if options.temperature and ACCURACY not in options.on:
        raise BadRequest("--temperature has no effect without --on accuracy: add that, or leave --temperature out")
    return options


def read_config(run: "RunFolder", overrides: list[str]) -> tuple["DictConfig", dict[str, Any], list[str]]:
    """As `config.load_for_evaluation`, and what is not as it was when the run was trained, which is said in a line."""
    from videxp.training.changed_inputs import say_changed_inputs

    cfg, changes = config.load_for_evaluation(run.config, overrides)
    changed = say_changed_inputs(run, cfg, file=config.load_resolved(run.config))
    return cfg, changes, [f"{one.name}: {one.text}" for one in changed]


def require_axes(subject: "Subject", options: argparse.Namespace) -> None:
    """Raises BadRequest for what is asked of an axis in vain."""
    for name in options.on:
        if name == ACCURACY:
            continue
        if subject.trainer.world_size > 1:
            one = "hardware=cpu, or hardware=gpu hardware.devices=1"
            raise BadRequest(f"--on {name}: one process measures it: add {one}")
        axis(name).require_options(options, subject)


def assemble(
    run: "RunFolder", console: "Console", cfg: "DictConfig", datamodule: "VideoDataModule"
) -> tuple["Trainer", "VideoTask"]:
    from videxp.training.assembling import build_experiment
    from videxp.training.callbacks.progress import ProgressBar

    bar = ProgressBar(console)
    built = build_experiment(cfg, datamodule, root=run.path, loggers=[], callbacks=[bar], fresh=False)
    return built.trainer, built.task


def test_accuracy(
    subject: "Subject", places: list[Path], open_val: Callable[[], "Subject"] | None
) -> tuple[dict[str, Any], list[Path]]:
    """(the accuracy of the subject, the files beside evaluation.json that were written); on every rank.

    open_val: gives the validation samples, on which a temperature is fitted; None: no temperature.
    """
    from videxp.evaluation.accuracy import measure_accuracy
    from videxp.evaluation.results import write_samples
    from videxp.evaluation.temperature import fit_on_validation

    temperature = None if open_val is None else fit_on_validation(subject, open_val)
    tested, found = measure_accuracy(subject, temperature=temperature)
    files = write_samples(subject, tested, found, places[1:]) if subject.trainer.is_global_zero else []
    return found, files


def measure_axis(subject: "Subject", name: str, options: argparse.Namespace) -> tuple[dict[str, Any], list[Path]]:
    """({axis: its section}, the pictures that were written)."""
    module = axis(name)
    beside = measure_beside(subject, options) if name == "speed" and options.beside else None
    section = module.measure(subject, options)
    section |= {} if beside is None else {"beside": beside}
    scalars = module.scalars(section)
    section |= {"scalars": scalars, "better": {key: way for key, way in module.BETTER.items() if key in scalars}}
    return {name: section}, module.save_pictures(section, subject.pictures)


def measure_beside(subject: "Subject", options: argparse.Namespace) -> dict[str, Any]:
    """Times of the run, of other runs and of files, in turn. Raises BadRequest where their clips are not alike."""
    from videxp.deploy.compressing.beside import time_others
    from videxp.deploy.exporting.opening import open_exported
    from videxp.deploy.exporting.runs import load
    from videxp.runs.folder import open_run

    def opened(name: str) -> Any:
        if is_exported(name):
            return open_exported(name, threads=1)
        run = open_run(name)
        return load(run, config.load_resolved(run.config))

    others = {name: opened(name) for name in options.beside}
    return time_others(load(subject.run, subject.cfg), others, seconds=options.seconds)


def log(subject: "Subject", result: dict[str, Any], *, name: str, pictures: list[Path]) -> None:
    """Log the figures to W&B where the run was logged there."""
    from videxp.training.loggers.evaluation_run import log_evaluation

    sync = log_evaluation(subject.cfg, subject.run, result=result, name=name, pictures=pictures)
    if sync:
        subject.console.print(f"W&B: logged offline; upload with {sync}", soft_wrap=True)


def report(subject: "Subject", name: str, result: dict[str, Any], files: list[Path]) -> None:
    """Print what an axis came to, and which files hold it."""
    if name == ACCURACY:
        report_accuracy(subject, result)
    else:
        for line in axis(name).lines(result[name], subject.task.contract):
            subject.console.print(line, soft_wrap=True)
    for path in files:
        subject.console.print(as_typed_here(path), soft_wrap=True)


def report_accuracy(subject: "Subject", result: dict[str, Any]) -> None:
    """Print the metrics, the classes and videos that went least well, and what they were computed on."""
    from videxp.evaluation.errors import error_lines
    from videxp.evaluation.tables import classes_table, worst_table
    from videxp.runs.evaluation_files import in_short
    from videxp.runs.figures import figure_lines, split_figures

    console, contract = subject.console, subject.task.contract
    baselines, degradations, others = split_figures(result["metrics"], contract)
    width = max([24, *map(len, others)])
    for name, value in others.items():
        console.print(f"{name:<{width}}  {value:.4f}")
    for rows, heading in ((baselines, subject.split), (degradations, "other degradations")):
        for line in ["", *figure_lines(rows, heading=heading)] if rows else ():
            console.print(line, soft_wrap=True)
    if result["protocol"]:
        console.print(result["protocol"], soft_wrap=True)
    by = next(iter(contract.headline), "")
    for table in (classes_table(result["classes"]), worst_table(result["worst"], by=by)):
        for line in ["", *table] if table else ():
            console.print(line, soft_wrap=True, style="dim" if line == table[0] else None)
    errors = error_lines(result)
    for line in ["", *errors] if errors else ():
        console.print(line, soft_wrap=True, style="dim" if line.startswith("worse slices") else None)
    if result["classes"] or result["worst"] or errors:
        console.print()
    for path, cause in result["quarantined"].items():
        console.print(f"left out: {path}: {cause}", soft_wrap=True)
    data, split, samples = result["data"], result["split"], subject.samples
    if result["read_otherwise"]:
        console.print(f"read otherwise than in the run: {', '.join(result['read_otherwise'])}", soft_wrap=True)
    for line in samples.changes.lines() if samples.changes and data["name"] == subject.own_name else ():
        console.print(f"not the run's own {split} data: {line}", soft_wrap=True)
    if samples.trained and split not in ("train", "all"):
        told = f"{len(samples.trained)} of these videos are among those that the run was trained on"
        console.print(f"{told}: {in_short(samples.trained)}", soft_wrap=True)
    counted = f"{data['name']} {split}: {data['clips']} of {data['of']} videos"
    where = f"{data['root']}, samples {data['samples'][:8]}"
    console.print(f"{counted}, {result['videos_per_second']:.3g} videos/s; {where}", soft_wrap=True)
