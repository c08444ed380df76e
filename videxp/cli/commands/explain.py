"""videxp explain: what a run's answers rest on: where, when, and whether the map that says so is any good.

For each video OUT gets NAME.explained.mp4 (the clip beside its map), .png (bars over time) and .json (all figures);
index.html shows them all. Of a long video the run's test clips are looked at, and the one that speaks most for the
answer is explained. A generator takes no input: its clips change along one code at a time.
"""

import argparse
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.contract import MAP_METHODS, Contract, contract_of, contract_trouble
from videxp.core.errors import BadRequest
from videxp.core.lines import show, warn
from videxp.core.options import OneLineParser, add_device
from videxp.core.outputs import identities

if TYPE_CHECKING:
    from collections.abc import Callable

    from videxp.data.loading.file_clips import NetworkClips
    from videxp.runs.folder import RunFolder

SUMMARY = "RUN INPUT... -o OUT       what the answers rest on: maps over videos, frames, figures"


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)

    from videxp.runs.folder import open_run

    run = open_run(options.run)
    cfg = config.load_resolved(run.config)
    contract = require_explanations(run, str(cfg.task._target_))
    names = check_request(options, contract)

    from videxp.training.changed_inputs import say_changed_inputs

    say_changed_inputs(run, cfg)

    from videxp.deploy.restore_files import usable_device
    from videxp.evaluation.explaining.maps import require_weights
    from videxp.evaluation.explaining.outputs import PAGE
    from videxp.runs.weights import read_checkpoint, weights_hash
    from videxp.training.assembling import load_task
    from videxp.training.log_file import quiet_libraries

    quiet_libraries()
    datamodule = config.build(cfg.dataset)  # for its clips and transforms; the data need not be there
    task = load_task(cfg, run.checkpoint()).to(usable_device(options.device))
    require_weights(task.deployed)
    weights = weights_hash(read_checkpoint(run.checkpoint())["state_dict"])
    about = {"run": str(run.path), "weights": weights, "seed": int(cfg.seed)}
    if "walks" in contract.explains:
        status = explain_walks(task, options, about)
    else:
        status = explain_files(task, datamodule, options, names, about)
    show(str(options.output / PAGE))
    return status


def explain_walks(task: Any, options: argparse.Namespace, about: dict[str, Any]) -> int:
    from videxp.evaluation.explaining.walks import write_walks

    for line in write_walks(task, options.output, about=about):
        show(line)
    return 0


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = OneLineParser(prog="videxp explain", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="video files, folders or globs; none of a generator")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder")
    parser.add_argument("--method", choices=MAP_METHODS, help="how maps are made; default: the task's own")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--class", dest="class_name", metavar="NAME", help="why this class; default: the predicted one")
    asked.add_argument(
        "--patch",
        metavar="X,Y",
        help="of a restored video: where this pixel and those around it come from",
    )
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace explanations that are there already")
    return parser.parse_intermixed_args(arguments)


def require_explanations(run: "RunFolder", task: str) -> Contract:
    """The contract of the run's task. Raises BadRequest where it says nothing of explanations."""
    if trouble := contract_trouble(task):
        raise BadRequest(f"{run.path} is a run of {task}: {trouble}")
    contract = contract_of(task)
    if contract is None or not contract.explains:
        raise BadRequest(
            f"{run.path} is a run of {task.rsplit('.', maxsplit=1)[-1]}, whose contract says nothing of `explains`"
        )
    return contract


def check_request(options: argparse.Namespace, contract: Contract) -> list[str]:
    """The names of the outputs; finds the inputs. Raises BadRequest."""
    from videxp.deploy.inputs import expand
    from videxp.evaluation.explaining.outputs import distinct_names, require_explained_folder

    if "walks" in contract.explains:
        given = [*options.inputs, *(f"--{name} {value}" for name, value in asked(options).items())]
        if options.method:
            given.append(f"--method {options.method}")
        if given:
            raise BadRequest(f"{given[0]}: a generator has no input and no answer: leave it out")
    elif not options.inputs:
        raise BadRequest("INPUT: give video files, folders or globs: videxp explain RUN VIDEO.mp4 -o OUT")
    options.inputs = expand(options.inputs) if options.inputs else []
    names = distinct_names(options.inputs)
    inputs = identities(options.inputs)
    require_explained_folder(options.output, names, overwrite=options.overwrite, inputs=inputs)
    return names


def asked(options: argparse.Namespace) -> dict[str, str]:
    """What is to be explained, by option."""
    given = {"class": options.class_name, "patch": options.patch}
    return {name: value for name, value in given.items() if value is not None}


def explain_files(
    task: Any, datamodule: Any, options: argparse.Namespace, names: list[str], about: dict[str, Any]
) -> int:
    """One video after the other; one that fails costs a line and the exit status 1, not the others."""
    from videxp.evaluation.explaining.files import FileExplainer, write_explanations
    from videxp.evaluation.explaining.maps import choose_method

    method, note = choose_method(options.method, task.contract.map_method, task.deployed, option="--method")
    if note:
        warn(f"{note}: maps are made by {method}")
    explainer = FileExplainer(
        task,
        datamodule,
        read=reader_of(task, datamodule),
        method=method,
        note=note,
        asked=asked(options),
        seed=about.pop("seed"),
        about=about,
    )
    failed = write_explanations(explainer, dict(zip(names, options.inputs)), options.output, say=show)
    for line in failed:
        warn(line)
    return 1 if failed else 0


def reader_of(task: Any, datamodule: Any) -> "Callable[[Path], NetworkClips]":
    """What reads a file as the network gets it: as the test's samples are, unless the task's predictor says how."""
    from videxp.deploy.clips import timed_clips_of_file

    predictor: Any = import_module(task.contract.predictor) if task.contract.predictor else None
    if hasattr(predictor, "read_explained"):
        return partial(predictor.read_explained, task, datamodule)
    return partial(timed_clips_of_file, datamodule, device=task.device)
