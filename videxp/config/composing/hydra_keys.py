"""Hydra's own keys: where a run's folder lies is the user's to say, all else of Hydra's has no effect in videxp.

Refused by the key on a command line, and by the composed values wherever else they come from: a logging configuration
or a callback of Hydra's is also code that a stranger's recipe could have run.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from videxp.config.composing.sources import without_own_files
from videxp.config.places import own_folder
from videxp.config.problems import NOTHING, Problem, nearest

VERSION_BASE = "1.3"
PLACES = ("hydra.run.dir", "hydra.sweep.dir")
INSTEAD = {
    "hydra.mode": "videxp sweep makes many runs",
    "hydra.sweep.subdir": "a sweep's runs are numbered; hydra.sweep.dir is the folder of all",
    "hydra.sweeper": "videxp sweep RECIPE KEY=a,b (or sweep.space in a recipe), and sweep.sampler says how",
    "hydra.launcher": "launcher=local, launcher=slurm or launcher=ray",
    "hydra.job.chdir": "paths are relative to the current folder",
    "hydra.job.name": "run.group and run.tags name a run, hydra.run.dir its folder",
    "hydra.job.env_set": "set environment variables before videxp: NAME=VALUE videxp ...",
    "hydra.job.env_copy": "a run has the environment of its command",
    "hydra.output_subdir": "the run folder's config.yaml and overrides.yaml are the record",
    "hydra.job_logging": "a run's log is log.txt in its folder",
    "hydra.hydra_logging": "a run's log is log.txt in its folder",
    "hydra.verbose": "a run's log is log.txt in its folder",
    "hydra.callbacks": "callbacks=[checkpoint,nonfinite,ema] chooses a run's (videxp list callbacks)",
    "hydra.searchpath": "conf/ and experiments/ of the current folder are found",
}
# What differs from one command to the next by itself.
COMMANDS_OWN = ("hydra.runtime", "hydra.overrides", "hydra.job.override_dirname", "hydra.job.config_name", *PLACES)


def is_hydras(key: str) -> bool:
    """`hydra.mode`, `hydra/launcher`, `hydra`."""
    return key.replace("/", ".").partition(".")[0] == "hydra"


def key_problem(key: str, value: Any, *, deletes: bool = False, adds: bool = False) -> Problem | None:
    """What is wrong with an override of one of Hydra's keys; None if it has an effect."""
    if key in PLACES and (deletes or adds):
        message = (
            f"every run has a folder; write {key}=FOLDER" if deletes else "is there already; write it without the +"
        )
        return Problem(f"{'~' if deletes else '+'}{key}", NOTHING, message)
    if key in PLACES:
        return None
    if key not in INSTEAD and (near := nearest(key, PLACES, cutoff=0.8)):
        return Problem(key, value, f"unknown key; did you mean {near[0]}?")
    return refusal(key)


def refusal(key: str) -> Problem:
    """That one of Hydra's keys has no effect, and what takes its place. Its value may be a secret (`env_set`)."""
    dotted = key.replace("/", ".")
    instead = next((text for of, text in INSTEAD.items() if f"{dotted}.".startswith(f"{of}.")), "")
    return Problem(key, NOTHING, f"has no effect; {instead or f'of Hydra, {PLACES[0]} and {PLACES[1]} are set'}")


def place_problem(key: str, value: Any) -> Problem | None:
    """What is wrong with the folder that `hydra.run.dir` or `hydra.sweep.dir` names; None if nothing is."""
    if isinstance(value, bool | list | dict) or value is None or not str(value).strip():
        return Problem(key, value, f"takes the path of a folder; write {key}=FOLDER")
    return None


def node_problems(node: DictConfig) -> list[Problem]:
    """Of a composed config's `hydra`, what a recipe or another file has changed; each key once."""
    found, default = _values(node), _default_values()
    changed = [key for key in {**default, **found} if found.get(key, NOTHING) != default.get(key, NOTHING)]
    return [refusal(key) for key in dict.fromkeys(_top(key) for key in changed)]


def _top(key: str) -> str:
    """The part of Hydra that a key belongs to: `hydra.job_logging.root.level` -> `hydra.job_logging`."""
    return next((part for part in INSTEAD if f"{key}.".startswith(f"{part}.")), key)


@cache
def _default_values() -> dict[str, Any]:
    """Those of Hydra itself and of videxp's own conf/config.yaml."""
    with without_own_files(), hydra.initialize_config_dir(str(own_folder("conf")), version_base=VERSION_BASE):
        node = hydra.compose(None, return_hydra_config=True).hydra
    own = OmegaConf.load(own_folder("conf") / "config.yaml")
    assert isinstance(own, DictConfig)
    return _values(node) | _values(own.hydra)


def _values(node: DictConfig) -> dict[str, Any]:
    """`{"hydra.job.chdir": False, ...}`, unresolved, without what each command has of its own."""
    found = _flat(OmegaConf.to_container(node, resolve=False), "hydra")
    return {key: value for key, value in found if not f"{key}.".startswith(tuple(f"{own}." for own in COMMANDS_OWN))}


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield key, value
        return
    for name, item in value.items():
        yield from _flat(item, f"{key}.{name}")
