"""videxp train: compose, check, prepare the data, train, test, and say what to do next."""

import json
import shlex
import time
from pathlib import Path

from videxp import config
from videxp.core.errors import BadRequest
from videxp.training.course import be_a_rank, carry_out
from videxp.training.request import RunRequest

SUMMARY = "RECIPE [overrides]        train and test; the run folder holds everything"
USAGE = """usage: videxp train RECIPE [key=value ...] [--cfg job] [--info] [...]

RECIPE is a name from `videxp list recipes` or the path of a YAML file. Overrides and flags are Hydra's:
  videxp train classification/moving_digits optimizer.lr=1e-3 hardware=ddp_cpu
  videxp train classification/moving_digits --cfg job        print the composed config, run nothing
  videxp train classification/moving_digits hydra.run.dir=runs/mine
  videxp train classification/moving_digits launcher=slurm launcher.partition=gpu        as a job of its own
  videxp train -m classification/moving_digits optimizer.lr=1e-2,1e-3                   many runs: videxp sweep"""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--rank":  # how the supervisor of a DDP run starts each of them
        return be_a_rank(RunRequest(**json.loads(arguments[1])))
    if arguments[0] in ("-m", "--multirun"):
        arguments = [*arguments[1:], arguments[0]]
    recipe, *rest = arguments
    if recipe.startswith("-"):
        raise BadRequest(f"the recipe comes first, got {recipe}: videxp train RECIPE {recipe} ...")
    if "-m" in rest or "--multirun" in rest:
        from videxp.cli.commands.sweep import begin

        return begin(recipe, [text for text in rest if text not in ("-m", "--multirun")])
    _refuse_sweep(rest)
    if any(argument.startswith("-") for argument in rest):
        return config.run_hydra_flag(recipe, rest)
    composed = config.compose(recipe, rest)
    config.refuse(config.check(composed))
    config.remember_addresses(composed.cfg)
    return _train(composed) if composed.choices["launcher"] == "local" else _hand_over(composed)


def _hand_over(composed: "config.Composed") -> int:
    """Write the run down, give it to a launcher, and say where it will be."""
    from videxp.sweeps.launching import OUTPUT, Launcher
    from videxp.sweeps.planning import plan

    launcher: Launcher = config.build(composed.around.launcher)
    if not launcher.outlived:
        name = composed.choices["launcher"]
        raise BadRequest(f"launcher={name}: what it starts would end with this command; launcher.address=HOST:PORT")
    hardware = composed.cfg.hardware
    share = {key: value for key, value in launcher.share().items() if hardware[key.split(".")[1]] in (None, "auto")}
    words = [*composed.overrides, *(f"{key}={value}" for key, value in share.items())]
    run = plan(config.compose(composed.recipe, words), Path(composed.run_dir))
    try:
        handle = launcher.start(run.path)
    except BaseException:
        run.discard()
        raise
    print(f"run    {run.path}  ({launcher.place(handle)})")
    print(f"output {run.path / OUTPUT}")
    print(f"next   videxp resume {run.path}   goes on here, should the job be lost")
    return 0


def _refuse_sweep(overrides: list[str]) -> None:
    """What says how many runs are made is nothing to one run."""
    if asked := [text for text in overrides if text.lstrip("+").startswith("sweep.")]:
        raise BadRequest(f"{asked[0]}: is about many runs; videxp sweep RECIPE {asked[0]} ...")


def run_again(composed: "config.Composed", *, command: str) -> int:
    """Train a config that is resolved already; `command` is what was typed, for the records."""
    return _train(composed, command=command)


def _train(composed: "config.Composed", *, command: str = "") -> int:
    from videxp.runs.folder import RunFolder

    if not command:
        command = shlex.join(["videxp", "train", composed.recipe, *config.redacted_overrides(composed.overrides)])
    request = RunRequest(composed.run_dir, composed.recipe, command, started=time.time())
    run = RunFolder(Path(composed.run_dir))
    if composed.cfg.run.resume == "auto" and run.config.exists():
        from videxp.cli.commands.resume import resume

        return resume(run, wanted=composed.cfg)
    return carry_out(composed.cfg, request, overrides=composed.overrides)
