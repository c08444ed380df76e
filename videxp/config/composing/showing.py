"""Hydra's own flags, which show a config and run nothing: `--cfg job`, `--info`, `--hydra-help`, `-sc ...`."""

import logging
import sys

import hydra
from omegaconf import DictConfig

from videxp.config.composing.hydra_errors import judge
from videxp.config.composing.hydra_keys import VERSION_BASE, node_problems
from videxp.config.composing.overriding import check_overrides
from videxp.config.composing.recipe import choice_of, compose_by_hydra, mount_recipe, not_there
from videxp.config.composing.recipe_text import recipe_problems
from videxp.config.composing.sources import forget_hydra
from videxp.config.composing.words import answer_flag
from videxp.config.places import own_folder
from videxp.config.problems import refuse
from videxp.core.errors import BadRequest

FLAGS_WITH_A_VALUE = {"--cfg", "-c", "--package", "-p", "--info", "-i"}
COMPLETION_FLAGS = {"--shell-completion", "-sc"}
# Without one of these, or with one of those, hydra.main would run a job, and with it a recipe's hydra.callbacks and
# hydra.job_logging: code that no gate has seen.
SHOWING_FLAGS = {"--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help", *COMPLETION_FLAGS}
RUNNING_FLAGS = {"--run", "-r", "--multirun", "-m"}
KNOWN_FLAGS = {*SHOWING_FLAGS, *RUNNING_FLAGS, "--package", "-p", "--resolve", "--version"}


def run_hydra_flag(recipe: str, argv: list[str]) -> int:
    """Hand `--cfg job`, `--info`, `--hydra-help`, `-sc ...` to `hydra.main` itself. Nothing is ever run.

    Raises BadRequest for a recipe that sets up Hydra itself, whose logging may call anything, before Hydra does so.
    """
    name = mount_recipe(recipe)

    def nothing(cfg: DictConfig) -> None:
        del cfg

    before, handlers, level = sys.argv, list(logging.root.handlers), logging.root.level
    overrides, flags = _flags_apart(argv)
    chosen = [choice_of(name), *overrides]
    if unknown := [flag for flag in flags if flag.startswith("-") and flag.partition("=")[0] not in KNOWN_FLAGS]:
        meant = answer_flag(unknown[0])
        remedy = (
            f"write {meant}" if meant else "values are given as key=value, and flags are Hydra's: --cfg job, --info"
        )
        raise BadRequest(f"{unknown[0]}: unknown flag; {remedy}")
    running = [flag for flag in flags if flag in RUNNING_FLAGS]
    if running or not SHOWING_FLAGS & {flag.partition("=")[0] for flag in flags}:
        raise BadRequest(
            f"{(running or flags)[0]}: shows nothing; of Hydra's flags, {', '.join(sorted(SHOWING_FLAGS))} do"
        )
    if "--hydra-help" in flags:
        chosen = []  # it is about Hydra alone, and composes nothing
    elif not COMPLETION_FLAGS & set(flags):
        _refuse_before_hydra(name, overrides)
    sys.argv = [before[0], *chosen, *flags]
    try:
        hydra.main(version_base=VERSION_BASE, config_path=str(own_folder("conf")), config_name="config")(nothing)()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv, logging.root.handlers[:] = before, handlers  # --info leaves a handler behind
        logging.root.setLevel(level)
        forget_hydra()
    return 0


def _refuse_before_hydra(name: str, overrides: list[str]) -> None:
    """Hydra sets up its logging by the composed config, and says what does not compose in paragraphs."""
    refuse(recipe_problems(name))
    problems, usable = check_overrides(overrides)
    refuse(problems)
    try:
        node = compose_by_hydra([choice_of(name), *usable]).hydra
    except Exception as error:
        verdict = judge(error, recipe=name, overrides=usable)
        refuse([*verdict.problems, *map(not_there, verdict.forced)])
        raise
    refuse(node_problems(node))


def _flags_apart(argv: list[str]) -> tuple[list[str], list[str]]:
    """Hydra's parser takes overrides in one piece only: `a=1 --cfg job b=2` -> (["a=1", "b=2"], ["--cfg", "job"])."""
    flags: list[str] = []
    overrides: list[str] = []
    for argument in argv:
        is_value = bool(flags) and flags[-1] in FLAGS_WITH_A_VALUE and "=" not in argument
        (flags if argument.startswith("-") or is_value else overrides).append(argument)
    return overrides, flags
