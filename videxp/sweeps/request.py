"""A sweep as it is asked for, checked before anything is started, and as it is kept in its folder."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from omegaconf import OmegaConf

from videxp import config
from videxp.config.composing.overriding import key_of
from videxp.config.composing.sweeping import Axis, count_points, repeats, several, space_overrides, split_axes
from videxp.config.problems import NOTHING, Problem
from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.core.yaml_files import read_yaml
from videxp.runs.differences import outside_differences, summary
from videxp.runs.inputs import OF_A_MACHINE, record_inputs
from videxp.runs.reading import better
from videxp.sweeps.controller import Policy
from videxp.sweeps.launching import Launcher
from videxp.sweeps.planning import refuse_secrets
from videxp.sweeps.search import Objective, Plan, Trial

MAX_TRIED = 20
"""Values that are composed and checked beforehand."""
WAYS: dict[str, Literal["maximize", "minimize"]] = {"max": "maximize", "min": "minimize"}
AROUND = ("sweep.", "launcher.", "launcher=", "hydra.")
"""What belongs to no trial."""
CHANGEABLE = ("sweep.trials=", "sweep.retries=", "sweep.trial_minutes=", "launcher.", "launcher=")
"""What may change when a sweep is gone on with."""
FILE = "sweep.yaml"
SEARCH = ("sampler", "trials", "pruner", "max_epochs", "seed", "storage")


@dataclass(frozen=True)
class Sweep:
    """A recipe, what is the same for all trials, and what is searched."""

    recipe: str
    """As typed; a file by its absolute path."""
    overrides: list[str]
    """With one value each; `sweep.` and `launcher.` among them."""
    base: "config.Composed"
    """The first trial's config."""
    plan: Plan
    policy: Policy

    @property
    def axes(self) -> list[Axis]:
        return self.plan.axes

    def launcher(self) -> Launcher:
        launcher: Launcher = config.build(self.base.around.launcher)
        return launcher

    def compose(self, trial: Trial, *, folder: Path, share: dict[str, int]) -> "config.Composed":
        """A trial's config, checked. Its runs are one group, and have their share of the machine."""
        extra = {} if self.base.cfg.run.group is not None else {"run.group": folder.resolve().name}
        for key, value in share.items():
            name = key.removeprefix("hardware.")
            if self.base.cfg.hardware[name] in (None, "auto"):
                extra[key] = str(value)
        mine = [text for text in self.overrides if not text.startswith(AROUND)]
        chosen = [f"{key}={value}" for key, value in {**trial.values, **extra}.items()]
        composed = config.compose(self.recipe, [*mine, *chosen])
        config.refuse(config.check(composed))
        config.remember_addresses(composed.cfg)
        return composed


def read_sweep(recipe: str, overrides: list[str], *, check_values: bool = True) -> Sweep:
    """Read, compose and check the whole. Raises BadRequest with what is wrong in space, search or config."""
    given = [_launcher_key(text) for text in overrides]
    if any(text.startswith("hydra.run.dir") for text in given):
        raise BadRequest("hydra.run.dir: each trial has a folder of its own; hydra.sweep.dir is the sweep's")
    fixed, axes = split_axes(given)
    base = _compose_first(recipe, fixed, axes)
    config.refuse(config.check(base))
    typed = {axis.name for axis in axes} | {key_of(text) for text in fixed}
    space = cast(dict[str, Any], OmegaConf.to_container(base.around.sweep.space, resolve=True))
    of_recipe = [text for text in space_overrides(space) if key_of(text) not in typed]
    single, more = split_axes(of_recipe)
    if single:
        key, _, value = single[0].partition("=")
        raise BadRequest(
            f"sweep.space.{key}: one value only, {value}; write it in the recipe itself, or [{value}, VALUE]"
        )
    axes += more
    settings = base.around.sweep
    if not axes:
        raise BadRequest("nothing to sweep: give a key several values, optimizer.lr=1e-2,1e-3 (or sweep.space)")
    if more:
        base = config.compose(recipe, [*fixed, *_first(axes)])
        if check_values:
            config.refuse(config.check(base))
    _check_sampler(settings, axes)
    objectives = _objectives(settings, config.flat(base.cfg))
    if settings.pruner and len(objectives) > 1:
        raise BadRequest(f"sweep.pruner={settings.pruner}: prunes by one metric; sweep.pruner=null for several")
    refuse_secrets(base.cfg)
    if check_values:
        _check_values(recipe, fixed, axes)
    plan = Plan(
        axes=axes,
        objectives=objectives,
        sampler=settings.sampler,
        trials=settings.trials,
        pruner=settings.pruner,
        max_epochs=max(1, int(base.cfg.trainer.get("max_epochs") or 1)),
        seed=settings.seed,
        storage=settings.storage,
    )
    policy = Policy(retries=settings.retries, trial_minutes=settings.trial_minutes)
    return Sweep(_findable(recipe), fixed, base, plan, policy)


def repeated_values(sweep: Sweep, overrides: list[str]) -> list[str]:
    """As `repeats`, of a sweep's command line and of its recipe's `sweep.space`."""
    typed = {key_of(text) for text in overrides}
    space = cast(dict[str, Any], OmegaConf.to_container(sweep.base.around.sweep.space, resolve=True))
    lists = {key: values for key, values in space.items() if key not in typed and values[1:]}
    return repeats([*overrides, *space_overrides(lists)])


def _launcher_key(text: str) -> str:
    """`sweep.launcher=slurm` is another way to choose from conf/launcher/."""
    return text.removeprefix("sweep.") if text.startswith("sweep.launcher=") else text


def _first(axes: list[Axis]) -> list[str]:
    return [f"{axis.key}={axis.extremes[0]}" for axis in axes]


def _compose_first(recipe: str, fixed: list[str], axes: list[Axis]) -> "config.Composed":
    """With the first value of each axis. Raises BadRequest, whose remedies are of the whole axis."""
    try:
        return config.compose(recipe, [*fixed, *_first(axes)])
    except BadRequest as error:
        said = str(error)
        for axis in axes:
            said = said.replace(f"write +{axis.name}={axis.extremes[0]} ", f"write +{axis.name}={_axis_text(axis)} ")
        raise BadRequest(said) from error


def _findable(recipe: str) -> str:
    return os.path.abspath(recipe) if recipe.endswith(".yaml") else recipe


def _check_values(recipe: str, fixed: list[str], axes: list[Axis]) -> None:
    """Every value but the first, which is checked already, beside the first of the others; of long lists, some from
    both ends."""
    room = max(2, MAX_TRIED // len(axes))
    for axis in axes:
        others = _first([other for other in axes if other is not axis])
        values = axis.extremes
        for value in values[1:] if len(values) <= room else [*values[1 : room // 2], *values[-room // 2 :]]:
            config.refuse(config.check(config.compose(recipe, [*fixed, *others, f"{axis.key}={value}"])))


def _check_sampler(settings: Any, axes: list[Axis]) -> None:
    intervals = [axis.name for axis in axes if axis.is_interval]
    lists = [axis.name for axis in axes if not axis.is_interval]
    if settings.sampler == "grid":
        if intervals:
            remedy = "choose sweep.sampler=random, tpe, cmaes or quasirandom, and sweep.trials=N"
            raise BadRequest(f"{intervals[0]} is an interval, of which a grid cannot try all values: {remedy}")
        if settings.trials is not None:
            message = "a grid has as many trials as it has points; sweep.sampler=random draws some of them"
            raise BadRequest(str(Problem("sweep.trials", settings.trials, message)))
    elif settings.trials is None:
        raise BadRequest(f"sweep.trials: missing; sweep.sampler={settings.sampler} needs to know how many")
    elif (points := count_points(axes)) is not None and settings.trials > points:
        message = f"there are {points} points, each of which is trained once; write sweep.trials={points}"
        raise BadRequest(str(Problem("sweep.trials", settings.trials, message)))
    if settings.sampler == "cmaes" and (lists or len(axes) < 2):
        what = f"{lists[0]} is a list" if lists else "there is one key only"
        raise BadRequest(f"sweep.sampler=cmaes: searches intervals of at least two keys, and {what}; tpe takes all")


def _objectives(settings: Any, flat: dict[str, Any]) -> list[Objective]:
    metrics = _as_list(settings.metric) or [str(flat["task.monitor"])]
    ways = _as_list(settings.direction) or [None] * len(metrics)
    return [_objective(metric, way, flat) for metric, way in zip(metrics, ways)]


def _objective(metric: str, way: Any, flat: dict[str, Any]) -> Objective:
    way = way or WAYS.get(better(flat, metric) or "")
    if way is None:
        raise BadRequest(f"sweep.direction: missing; is {metric} better when it is higher (maximize) or minimize?")
    return Objective(metric, way)


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


# ---- in its folder ---------------------------------------------------------------------------------------------------


def save_sweep(sweep: Sweep, folder: Path) -> None:
    """Write sweep.yaml (what was asked for) and base.yaml (the first trial's config, to notice a changed recipe)."""
    folder.mkdir(parents=True, exist_ok=True)
    config.save_resolved(sweep.base.cfg, folder / "base.yaml")
    asked = {
        "recipe": sweep.recipe,
        "overrides": config.redacted_overrides(sweep.overrides),
        "space": {axis.key: _axis_text(axis) for axis in sweep.axes},
        "metrics": {objective.metric: objective.direction for objective in sweep.plan.objectives},
        "search": {name: getattr(sweep.plan, name) for name in SEARCH},
        "inputs": _from_outside(sweep),
    }
    write_text(folder / FILE, yaml.safe_dump(asked, sort_keys=False, allow_unicode=True))


def _from_outside(sweep: Sweep) -> dict[str, Any]:
    """Variables and files that all trials depend on, by their hashes."""
    cfg = sweep.base.cfg
    inputs = record_inputs(config.flat(cfg), config.environment_values(cfg, leave_out=OF_A_MACHINE))
    return {name: inputs[name] for name in ("variables", "files")}


def load_sweep(folder: Path, changes: list[str]) -> Sweep:
    """Read a sweep back; `changes` may say how it goes on (`sweep.`, `launcher.`), not what it searches.

    Raises BadRequest where there is none, and where recipe or space are no longer what they were.
    """
    asked = read_file(folder)
    changes = [_launcher_key(text) for text in changes]
    if fixed := [text for text in changes if not text.startswith(CHANGEABLE)]:
        may = "sweep.trials, sweep.retries, sweep.trial_minutes and launcher.*"
        raise BadRequest(f"{fixed[0]}: cannot change in a sweep that has begun; {may} can")
    changed = {key_of(text) for text in changes}
    kept = [text for text in asked["overrides"] if key_of(text) not in changed]
    axes = [f"{key}={text}" for key, text in asked["space"].items()]
    sweep = read_sweep(asked["recipe"], [*kept, *changes, *axes], check_values=False)
    metrics = {objective.metric: objective.direction for objective in sweep.plan.objectives}
    if metrics != asked["metrics"]:
        raise BadRequest(f"sweep.metric: was {asked['metrics']} when the sweep began; it cannot change within one")
    if other := outside_differences(asked["inputs"], _from_outside(sweep)):
        remedy = "A sweep goes on as it began: put back what was there, or start another sweep"
        raise BadRequest(f"{folder}: not as it began: {summary(other)}\n{remedy}")
    before = config.flat(config.load_resolved(folder / "base.yaml"))
    now = config.flat(sweep.base.cfg)
    if different := [key for key in {**before, **now} if before.get(key, NOTHING) != now.get(key, NOTHING)]:
        key = different[0]
        what = f"{key} was {before.get(key)} when the sweep began, and is {now.get(key)} now"
        raise BadRequest(f"{asked['recipe']} has changed: {what}. Change it back, or start another sweep")
    return sweep


def read_plan(folder: Path) -> Plan:
    """What a sweep searches, from its folder alone: its recipe need not be there. Raises BadRequest for no sweep."""
    asked = read_file(folder)
    axes = split_axes([f"{key}={text}" for key, text in asked["space"].items()])[1]
    objectives = [Objective(metric, way) for metric, way in asked["metrics"].items()]
    return Plan(axes=axes, objectives=objectives, **{name: asked["search"][name] for name in SEARCH})


def read_file(folder: Path) -> dict[str, Any]:
    """sweep.yaml as it stands. Raises BadRequest where there is none."""
    try:
        asked = read_yaml(folder / FILE)
        return {key: asked[key] for key in ("recipe", "overrides", "space", "metrics", "search", "inputs")}
    except FileNotFoundError as error:
        raise BadRequest(f"{folder} is no sweep: it has no {FILE} (sweeps are made by videxp sweep)") from error
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise BadRequest(f"{folder / FILE}: cannot be read: {' '.join(str(error).split())}") from error


def _axis_text(axis: Axis) -> str:
    """What `split_axes` reads as this axis."""
    if not axis.is_interval:
        return several(axis.values)
    inner = f"interval({axis.low},{axis.high})"
    inner = f"int({inner})" if axis.is_int else inner
    return f"tag(log,{inner})" if axis.is_log else inner
