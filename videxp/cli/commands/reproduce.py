"""videxp reproduce: run again from what a run recorded; say bit-identical, or what differs first and what could be why.

Exit status: 0 bit-identical, 1 not, 2 bad request. Data, code, variables and files that the config names are compared
before anything is trained. What is given as key=value is named among what could explain a difference.
"""

import argparse
import contextlib
import csv
import io
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import read_text
from videxp.core.options import OneLineParser

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.runs.differences import Difference
    from videxp.runs.folder import RunFolder

SUMMARY = "RUN [overrides]           run it again; bit-identical, or the first difference and its cause"
RUN_DIR = "hydra.run.dir="
OTHER = {"config": "config.yaml was edited since the run", "variable": "other values in the environment"}
"""How a refusal calls a kind of difference; else `other data`, `other code`."""


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp reproduce", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a finished run's folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="hydra.run.dir=FOLDER, hardware=cpu, ...")
    parser.add_argument("--anyway", action="store_true", help="go on though data, code or other inputs differ")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_intermixed_args(arguments)

    from videxp.runs.folder import RunFolder, open_run, write_json
    from videxp.runs.provenance import read_provenance
    from videxp.training.changed_inputs import changed_inputs, say_unrecorded

    run = open_run(options.run)
    if (state := run.require_state()) != "finished":
        raise BadRequest(f"{run.path} is {state}: only a finished run can be reproduced")
    before = read_provenance(run)
    say_unrecorded(run, before)
    _rows(run.metrics)  # before a training for nothing
    overrides = [text for text in options.overrides if not text.startswith(RUN_DIR)]
    chosen = [text.removeprefix(RUN_DIR) for text in options.overrides if text.startswith(RUN_DIR)]
    recorded = config.load_resolved(run.config)
    cfg = config_to_train(run, before, overrides)
    again = RunFolder(Path(chosen[-1]) if chosen else free_folder(run.path))
    out = sys.stderr if options.json else sys.stdout  # with --json, stdout is the answer alone
    with contextlib.redirect_stdout(out):
        found = [*_changed_data(cfg, run, before), *changed_inputs(before, cfg, file=recorded, exactly=True)]
        if found and not options.anyway:
            raise VidexpError(_refusal(run, found, options))
        found = [*given_differences(recorded, cfg, overrides), *found]
        for difference in found:
            print(f"differs: {difference}")
        status = _train_again(cfg, again, before["recipe"], options)
    if status != 0:
        return status
    result = compare(run, again, before, found)
    if not result["identical"]:
        with contextlib.redirect_stdout(out):
            result["differences"] += [vars(difference) for difference in _rewritten_data(cfg)]
    if options.json:
        print(json.dumps(result))
    else:
        _report(run, again, result)
    write_json(again.path / "reproduction.json", result)
    return 0 if result["identical"] else 1


def config_to_train(run: "RunFolder", before: dict[str, Any], overrides: list[str]) -> "DictConfig":
    """config.yaml with the overrides and the recorded number of threads, which changes results."""
    cfg = config.load_resolved(run.config, overrides=overrides)
    config.refuse_unknown_addresses(cfg, typed=overrides)
    if hidden := config.redacted_keys(config.plain(cfg)):
        raise BadRequest(f"{run.config}: {hidden[0]} was a secret and is not in it: give it, {hidden[0]}=VALUE")
    if cfg.hardware.num_threads is None and before["world_size"] == 1:
        cfg.hardware.num_threads = before["torch_threads"]
    return cfg


def given_differences(recorded: "DictConfig", cfg: "DictConfig", overrides: list[str]) -> list["Difference"]:
    """What the overrides of this command changed."""
    from videxp.runs.differences import Difference, config_differences

    if not overrides:
        return []
    found = config_differences(config.flat(recorded), config.flat(cfg))
    return [
        Difference("config", one.name, f"{one.text} (given)") for one in found if one.name != "hardware.num_threads"
    ]


def free_folder(path: Path) -> Path:
    """`runs/first-again`, `runs/first-again-2`, ..."""
    number = 1
    while (folder := path.with_name(f"{path.name}-again{'' if number == 1 else f'-{number}'}")).exists():
        number += 1
    return folder


def _changed_data(cfg: "DictConfig", run: "RunFolder", before: dict[str, Any]) -> list["Difference"]:
    from videxp.runs.differences import data_differences
    from videxp.runs.provenance import data_facts, read_samples, samples

    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    manifest = datamodule.manifest
    return data_differences(before["data"], data_facts(manifest), old=read_samples(run.data), new=samples(manifest))


def _rewritten_data(cfg: "DictConfig") -> list["Difference"]:
    """What preparing does not look for: it takes a file of the same size and time for the same."""
    from videxp.data.preparing.rewritten import rewritten_files
    from videxp.runs.differences import content_differences

    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    return content_differences(rewritten_files(datamodule.manifest, datamodule.layout))


def _refusal(run: "RunFolder", found: list["Difference"], options: argparse.Namespace) -> str:
    from videxp.training.changed_inputs import in_short

    kinds = list(dict.fromkeys(difference.kind for difference in found))
    parts = [f"{OTHER.get(kind, f'other {kind}')}: {in_short([d for d in found if d.kind == kind])}" for kind in kinds]
    command = shlex.join(["videxp", "reproduce", options.run, *options.overrides, "--anyway"])
    return f"{run.path}: {parts[0]}\n{'; '.join(parts[1:])}\nGo on all the same: {command}".replace("\n\n", "\n")


def _train_again(cfg: "DictConfig", again: "RunFolder", recipe: str, options: argparse.Namespace) -> int:
    from videxp.cli.commands.train import run_again

    words = ["videxp", "reproduce", options.run, *config.redacted_overrides(options.overrides)]
    composed = config.Composed(cfg=cfg, recipe=recipe, overrides=[], run_dir=str(again.path))
    return run_again(composed, command=shlex.join([*words, *(["--anyway"] if options.anyway else [])]))


def compare(run: "RunFolder", again: "RunFolder", before: dict[str, Any], found: list["Difference"]) -> dict[str, Any]:
    """What came out, and all that could explain a difference."""
    from videxp.runs.differences import environment_differences, first_difference
    from videxp.runs.provenance import read_provenance
    from videxp.runs.weights import checkpoint_hash

    after = read_provenance(again)
    weights = [(before.get("weights") or {}).get("last") or checkpoint_hash(run.last), checkpoint_hash(again.last)]
    first = first_difference(_rows(run.metrics), _rows(again.metrics))
    return {
        "run": str(run.path),
        "again": str(again.path),
        "identical": first is None and weights[0] == weights[1],
        "first_difference": None if first is None else vars(first),
        "first_difference_text": "" if first is None else str(first),
        "weights": weights,
        "differences": [vars(d) for d in [*found, *environment_differences(before, after)]],
    }


def _rows(path: Path) -> list[dict[str, str]]:
    """Raises BadRequest where there is none that can be read."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
        if not rows or any(None in row or None in row.values() for row in rows):
            raise ValueError("rows are missing or cut")
    except (OSError, ValueError, csv.Error) as error:
        raise BadRequest(f"{path}: cannot be read ({error}): put it back: a run is compared by it") from None
    return rows


def _report(run: "RunFolder", again: "RunFolder", result: dict[str, Any]) -> None:
    from videxp.runs.differences import Difference

    lines = [str(Difference(**difference)) for difference in result["differences"]]
    print()
    if result["identical"]:
        print(f"bit-identical: metrics and weights of {again.path} are those of {run.path}")
        print(f"weights {result['weights'][0]}")
        for line in lines:
            print(f"differs all the same: {line}")
        return
    first = result["first_difference_text"] or "no metric, only the final weights"
    print(f"not identical; first difference: {first}")
    before, after = ((text or "none")[:16] for text in result["weights"])
    print(f"weights {before} -> {after}")
    print("what could explain it:" if lines else "nothing that was recorded differs: the training is not deterministic")
    print("\n".join(f"  {line}" for line in lines))
