"""videxp resume: go on with a run that was stopped, from its newest whole checkpoint."""

import argparse
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.options import OneLineParser

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.runs.folder import RunFolder

SUMMARY = "RUN                       go on with a run that was stopped, where it stopped"


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp resume", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--ends-with", metavar="PID", type=int, help=argparse.SUPPRESS)  # the sweep that started it
    options, others = parser.parse_known_args(arguments)
    if any("=" in text for text in others):
        raise BadRequest(
            f"resume takes no {' '.join(others)}: a run goes on as it began; what may change (hardware.*, "
            f"trainer.max_epochs) is changed in {Path(options.run, 'config.yaml')}"
        )
    options = parser.parse_args(arguments)

    from videxp.runs.folder import open_run
    from videxp.training.processes.signals import end_with

    if options.ends_with is not None:
        end_with(options.ends_with)
    if ((folder := Path(options.run)) / "shard.json").is_file():  # a job of `videxp predict ... launcher=NAME`
        from videxp.cli.commands.predict import carry_out_shard_in

        return carry_out_shard_in(folder)
    return resume(open_run(options.run))


def resume(run: "RunFolder", *, wanted: "DictConfig | None" = None) -> int:
    """Go on with `run`; from its beginning if it has no whole checkpoint. Exit status as of `videxp train`.

    Raises BadRequest if the run's config is not `wanted`, or if a process is training there.
    """
    from videxp.training.changed_inputs import refuse_changed_inputs
    from videxp.training.course import carry_out
    from videxp.training.request import RunRequest

    cfg = config.load_resolved(run.config)
    if wanted is not None:
        _refuse_another_config(run, old=config.flat(cfg), new=config.flat(wanted))
    if run.require_state() == "finished":
        print(f"{run.path} is finished already: videxp evaluate {run.path}")
        return 0
    refuse_changed_inputs(run, cfg)
    command = shlex.join(["videxp", "resume", str(run.path)])
    if run.is_planned:
        command = str(run.known_provenance().get("command", ""))
    return carry_out(cfg, RunRequest(str(run.path), run.recipe, command, started=time.time(), resuming=True))


def _refuse_another_config(run: "RunFolder", *, old: dict[str, Any], new: dict[str, Any]) -> None:
    """What `run.*` says changes no result."""
    keys = [key for key in {**old, **new} if not key.startswith("run.") and old.get(key) != new.get(key)]
    if keys:
        shown = ", ".join(f"{key} was {old.get(key)}, now {new.get(key)}" for key in keys[:3])
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        raise BadRequest(f"{run.path} holds a run of another config ({shown}{more}): give another hydra.run.dir")
