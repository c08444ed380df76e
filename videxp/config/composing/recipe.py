"""Recipe + overrides -> one resolved config, through Hydra's public API; its errors become one line each."""

import os
import shlex
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from videxp.config.checking.check import check, check_config
from videxp.config.composing.composed import RUN_ID, Composed
from videxp.config.composing.growth import growth_problems
from videxp.config.composing.hydra_errors import NO_SUCH_ITEM, judge
from videxp.config.composing.hydra_keys import PLACES, VERSION_BASE, node_problems, place_problem
from videxp.config.composing.overriding import check_overrides, is_blank, key_of, quote, value_of
from videxp.config.composing.recipe_text import recipe_problems
from videxp.config.composing.sources import forget_hydra, mount, recipe_file
from videxp.config.composing.testing import settle_protocol
from videxp.config.composing.words import answer
from videxp.config.environment import resolve_except_environment
from videxp.config.nodes import interpolations, keys_of, raw_value
from videxp.config.places import COLLECTIONS, folders, group_options, groups, own_folder, recipes, replaced
from videxp.config.problems import NOTHING, Problem, listing, nearest, refuse, suggestion
from videxp.core.errors import BadRequest
from videxp.core.files import expand_home

AROUND = ("sweep", "launcher")
MAX_NAMED = 3  # files of one's own, each in a line
# Where people put a recipe so that its name alone does not find it.
WRONG_PLACES = (".", "conf", "conf/experiments", "conf/experiment", "experiment", "configs", "recipes")


def compose(recipe: str, overrides: list[str]) -> Composed:
    """Compose a recipe: a name under experiments/, or a path to a YAML file.

    Raises BadRequest naming every override that does not compose and, since the rest composes without them, all
    that `check` finds in the rest.
    """
    name = mount_recipe(recipe)
    refuse(recipe_problems(name))
    problems, usable = check_overrides(overrides)
    # Tried all the same, to tell which keys are unknown.
    blank = [text for text in overrides if is_blank(text) and text.lstrip("+").split("=")[0] not in groups()]
    composed: Composed | None = None
    forced: list[str] = []
    while composed is None:
        try:
            chosen = [choice_of(name), *usable, *(_force(text) for text in [*forced, *blank])]
            composed = _compose_once(chosen, resolution_problems=problems, recipe=recipe_file(name))
        except Exception as error:  # Hydra raises about ten kinds; `judge` raises again what is not about a config
            verdict = judge(error, recipe=recipe, overrides=[*usable, *forced, *blank])
            problems += verdict.problems
            blank = [text for text in blank if text not in verdict.dropped]
            if not verdict.dropped and not set(verdict.forced) - set(forced):
                refuse(problems or [Problem(recipe, NOTHING, str(error).splitlines()[0])])
            forced = [text for text in [*forced, *verdict.forced] if text not in verdict.dropped]
            usable = [text for text in usable if text not in verdict.dropped and text not in verdict.forced]
    if problems or forced:
        problems = [_with_length(problem, composed.cfg) for problem in problems]
        known = {problem.key for problem in problems}  # below them stands what the recipe has instead
        found = [problem for problem in check(composed) if not any(_covers(key, problem.key) for key in known)]
        problems += [not_there(text) for text in forced if not any(_covers(p.key, key_of(text)) for p in found)]
        if blank:
            problems, found = _without_blank(problems, found)
        mine = [Problem(name, NOTHING, "takes the place of videxp's own file of that name") for name in replaced()]
        if len(mine) > MAX_NAMED:
            first = f"{mine[0].key} and {len(mine) - 1} more"
            mine = [Problem(first, NOTHING, "take the place of videxp's own files of these names")]
        refuse(problems + found + mine)
    composed.recipe, composed.overrides = name, list(overrides)
    return composed


def compose_dataset(name: str, overrides: list[str], *, shared: dict[str, Any] | None = None) -> DictConfig:
    """One data set without a recipe, checked: `dataset`, `hardware` and `seed` are what the result is good for.

    `shared` takes the place of the defaults of `hardware` and `seed`. Raises BadRequest with all that is wrong.
    """
    _register_resolvers()
    mount(None)
    problems, usable = check_overrides(overrides)
    known = [choice.name for choice in group_options("dataset")]
    if name not in known:
        hint = suggestion(name, known)
        if os.path.isdir(name):
            hint = f"for a folder of videos: folder_per_class dataset.root={shlex.quote(name)}, or another layout"
        raise BadRequest(f"dataset={name}: unknown dataset; {hint} ({listing('dataset')})")
    # What a recipe would choose, and what refers to it, is left out.
    parts = ("model", "task", "optimizer", "scheduler", "trainer", "launcher", "sweep", "experiments")
    others = [f"~{group}" for group in parts]
    chosen = [f"dataset={name}", *others, "callbacks=[]", "logger=[]", "hydra.run.dir=."]
    composed = None
    unknown: list[str] = []
    while composed is None:
        try:
            composed = _compose_once([*chosen, *usable], resolution_problems=problems, shared=shared or {})
        except Exception as error:
            verdict = judge(error, recipe=name, overrides=usable)
            problems += verdict.problems
            unknown += verdict.forced
            fewer = [text for text in usable if text not in verdict.dropped + verdict.forced]
            if len(fewer) == len(usable):
                break
            usable = fewer
    if composed is not None:
        mine = ("dataset", "hardware", "seed")
        problems += [_unknown(text, keys=_keys(composed.cfg)) for text in unknown]
        problems += [p for p in check_config(composed.cfg) if p.key.split(".")[0] in mine]
    refuse(problems)
    assert composed is not None
    return composed.cfg


def choice_of(recipe: str) -> str:
    """The override that chooses a recipe, whatever its file is called."""
    return f"experiments={quote(recipe)}"


def _force(text: str) -> str:
    return "++" + text.lstrip("+")


def _covers(outer: str, key: str) -> bool:
    return key == outer or key.startswith(outer + ".")


def _without_blank(problems: list[Problem], found: list[Problem]) -> tuple[list[Problem], list[Problem]]:
    """Of an override without a value, one problem: that its key is unknown, or else that the value is missing."""
    unknown = [problem.key for problem in found if problem.message.startswith("unknown key")]
    known = [p for p in problems if not (is_blank(p.key) and any(_covers(key, p.key[:-1]) for key in unknown))]
    missing = {problem.key[:-1] for problem in known if is_blank(problem.key)}
    return known, [problem for problem in found if problem.key not in missing]


def not_there(text: str) -> Problem:
    """An override of something right that the config does not spell out."""
    return Problem(key_of(text), value_of(text), f"not in the config yet; write +{text} to add it")


def _with_length(problem: Problem, cfg: DictConfig) -> Problem:
    """Which items a list has, where one was asked for that it has not: `mean.7` of three."""
    parent = problem.key.rpartition(".")[0]
    if problem.message != NO_SUCH_ITEM or not isinstance(found := OmegaConf.select(cfg, parent), ListConfig):
        return problem
    return Problem(problem.key, problem.value, f"the list has {len(found)}, {parent}.0 to {parent}.{len(found) - 1}")


def _unknown(text: str, *, keys: list[str]) -> Problem:
    """An override of what the config does not have: `root=/data` where dataset.root was meant."""
    key = key_of(text)
    if meant := answer(key, keys):
        return Problem(key, value_of(text), f"no such key; {meant}")
    near = [known for known in keys if known.endswith(f".{key}")] or nearest(key, keys)
    return Problem(key, value_of(text), "no such key" + (f"; did you mean {near[0]}?" if near else ""))


def _keys(cfg: DictConfig, prefix: str = "") -> list[str]:
    """Every full key: `dataset`, `dataset.root`, ..."""
    found = []
    for key in map(str, cfg):
        found.append(prefix + key)
        if isinstance(child := raw_value(cfg, key), DictConfig):
            found += _keys(child, f"{prefix}{key}.")
    return found


def _expand_home(node: DictConfig | ListConfig) -> None:
    """`~/clips` in a recipe, in place. The cache folder stays as it is written: the same on every machine."""
    for key in keys_of(node):
        value = raw_value(node, key)
        if isinstance(value, DictConfig | ListConfig):
            _expand_home(value)
        elif str(value).startswith("~/") and key != "cache_dir":
            node[key] = str(expand_home(value))


def mount_recipe(recipe: str) -> str:
    """The recipe's name in Hydra's group `experiments`; a file from elsewhere has its folder mounted first."""
    _register_resolvers()
    known = [choice.name for choice in recipes()]
    mount(None)
    if recipe in known:
        return recipe
    path = Path(recipe)
    if path.suffix != ".yaml" or not path.is_file():
        raise BadRequest(f"{recipe}: unknown recipe; {_recipe_remedy(path, known)} (videxp list recipes)")
    for folder in folders("experiments"):
        if path.resolve().is_relative_to(folder.resolve()):
            return path.resolve().relative_to(folder.resolve()).with_suffix("").as_posix()
    mount(path.resolve().parent)
    return path.stem


def _recipe_remedy(path: Path, known: list[str]) -> str:
    """Where the recipe may be that was meant."""
    if path.is_file():
        return f"a recipe's file ends in .yaml: rename it to {path.with_suffix('.yaml')}"
    name = path.with_suffix("") if path.suffix in (".yaml", ".yml") else path
    if (plain := name.as_posix().removeprefix("experiments/")) in known:
        return f"write {plain}"
    files = [Path(place, f"{name}.{ending}") for place in WRONG_PLACES for ending in ("yaml", "yml")]
    if there := next((file for file in files if file.is_file()), None):
        return f"there is {there}: give that path, or move it into experiments/"
    return "no such file" if path.suffix == ".yaml" else suggestion(str(path), known)


def _register_resolvers() -> None:
    OmegaConf.register_new_resolver("run_id", lambda: RUN_ID, replace=True)
    OmegaConf.register_new_resolver("scaled", _scaled, replace=True)


def _scaled(size: Any, times: int, over: int) -> Any:
    """`${scaled:${dataset.size},8,7}`: 128 for 112; null where the size is no number, which the check tells."""
    return round(size * times / over) if isinstance(size, int) else None


def _compose_once(
    overrides: list[str],
    *,
    resolution_problems: list[Problem],
    shared: dict[str, Any] | None = None,
    recipe: Path | None = None,
) -> Composed:
    try:
        cfg = compose_by_hydra(overrides)
        HydraConfig.instance().set_config(cfg)
        refuse(growth_problems(cfg))
        resolution_problems += node_problems(cfg.hydra)
        run_dir, sweep_dir = (_place(cfg, key, problems=resolution_problems) for key in PLACES)
        choices = {group: str(option) for group, option in cfg.hydra.runtime.choices.items()}
        with flag_override(cfg, ["struct", "readonly"], False):
            own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
            own.update(shared or {})
            resolution_problems += settle_protocol(own, overrides, recipe=recipe)
            written = {full_key: str(raw_value(node, key)) for node, key, full_key in interpolations(own)}
            resolution_problems += resolve_except_environment(own)
            _expand_home(own)
            around = OmegaConf.create({key: own.pop(key) for key in AROUND if key in own})
            for key in COLLECTIONS:
                own.setdefault(key, {})  # `logger=[]` leaves nothing behind
    finally:
        forget_hydra()
    OmegaConf.set_struct(own, True)
    choices = {group: option for group, option in choices.items() if not group.startswith("hydra/")}
    return Composed(
        own,
        recipe="",
        overrides=overrides,
        run_dir=run_dir,
        choices=choices,
        interpolations=written,
        around=around,
        sweep_dir=sweep_dir,
    )


def compose_by_hydra(overrides: list[str]) -> DictConfig:
    """As Hydra composes it, its own node included; nothing is resolved."""
    try:
        with hydra.initialize_config_dir(str(own_folder("conf")), job_name="videxp", version_base=VERSION_BASE):
            return hydra.compose("config", overrides=overrides, return_hydra_config=True)
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError, RecursionError) as error:
        raise ConfigCompositionException(str(error)) from error  # what Hydra has no words for


def _place(cfg: DictConfig, key: str, *, problems: list[Problem]) -> str:
    """The folder that `hydra.run.dir` or `hydra.sweep.dir` names."""
    try:
        value = OmegaConf.select(cfg, key)
        problems += [wrong] if (wrong := place_problem(key, value)) else []
        return str(expand_home(str(value)))
    except OmegaConfBaseException as error:
        problems.append(Problem(key, NOTHING, f"cannot be resolved: {str(error).splitlines()[0]}"))
        return ""
