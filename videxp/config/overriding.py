"""Command-line overrides: what is wrong with each by itself, and how one is applied to a config that is read back."""

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from videxp.config.places import group_options, groups
from videxp.config.problems import NOTHING, Problem, listing, suggestion


def parse(text: str) -> Override:
    """Raises HydraException if it is no override."""
    return OverridesParser.create().parse_override(text)


def key_of(text: str) -> str:
    """`+optimizer.lr=1` -> `optimizer.lr`; `dataset@val=x` -> `dataset@val`."""
    return parse(text).get_key_element().lstrip("+~")


def value_of(text: str) -> Any:
    """The value as typed; NOTHING if there is none, as in `~optimizer`."""
    _, equals, value = text.partition("=")
    return value if equals else NOTHING


def check_overrides(overrides: list[str]) -> tuple[list[Problem], list[str]]:
    """What is wrong with the overrides by themselves, and those that are worth applying."""
    problems: list[Problem] = []
    usable: list[str] = []
    first: dict[tuple[str, bool], str] = {}
    for text in overrides:
        try:
            override, key = parse(text), key_of(text)
        except HydraException:
            problems.append(Problem(text, NOTHING, _syntax_remedy(text)))
            continue
        deletes = override.type == OverrideType.DEL
        if not key:
            problems.append(Problem(text, NOTHING, _syntax_remedy(text)))
        elif key == "experiments":
            problems.append(Problem(key, value_of(text), "the recipe is the command's first argument"))
        elif override.is_sweep_override():
            message = f"several values; write {key}=[...] for a list, or videxp sweep for one run of each"
            problems.append(Problem(key, value_of(text), message))
        elif not deletes and text.rstrip().endswith("=") and override.value() == "":
            problems.append(Problem(f"{key}=", NOTHING, f"no value; write {key}=VALUE, {key}=null or {key}=''"))
        elif (
            not deletes and key not in groups() and value_of(text).strip() == "None"
        ):  # as Python and W&B's agent write it
            problems.append(Problem(key, "None", f"a word, not nothing; write {key}=null"))
        elif not deletes and key in groups() and not isinstance(override.value(), str | list | dict):
            message = f"choose one by its name ({listing(key)})"
            problems.append(Problem(key, value_of(text), message))
        elif (key, deletes) in first:
            message = f"given twice ({first[key, deletes]} before); keep one of them"
            problems.append(Problem(key, value_of(text), message))
        else:
            first[key, deletes] = text
            usable.append(text)
    return problems, usable


def _syntax_remedy(text: str) -> str:
    if "=" not in text and not text.startswith("~"):
        return "is no override; write KEY=VALUE"
    return "cannot be read as KEY=VALUE; quote a value that holds , = { [ ( or blanks: \"KEY='VALUE'\""


def apply_overrides(cfg: DictConfig, overrides: list[str]) -> list[Problem]:
    """Change values of a resolved config in place; of the groups, only `hardware`, which changes no result."""
    problems, usable = check_overrides(overrides)
    for text in sorted(usable, key=lambda text: key_of(text) != "hardware"):  # the choice first, then its values
        override, key = parse(text), key_of(text)
        there = OmegaConf.select(cfg, key, default=NOTHING, throw_on_missing=False) is not NOTHING
        if override.type == OverrideType.DEL:
            parent, _, last = key.rpartition(".")
            with open_dict(cfg):
                (OmegaConf.select(cfg, parent) if parent else cfg).pop(last, None)
        elif key == "hardware":
            problems += _choose_hardware(cfg, override.value())
        elif isinstance(OmegaConf.select(cfg, key, default=None), DictConfig) and isinstance(override.value(), str):
            problems.append(Problem(key, override.value(), f"a run's parts are fixed; change values, {key}.NAME=VALUE"))
        elif override.type == OverrideType.ADD and there:
            problems.append(Problem(key, value_of(text), "exists already; write it without the +"))
        else:
            try:
                # A key that is not there is set all the same: the check of the whole says what is near it.
                OmegaConf.update(cfg, key, override.value(), merge=True, force_add=True)
            except OmegaConfBaseException as error:
                problems.append(Problem(key, value_of(text), str(error).splitlines()[0]))
    return problems


def _choose_hardware(cfg: DictConfig, name: Any) -> list[Problem]:
    files = {choice.name: choice.path for choice in group_options("hardware")}
    if name not in files:
        return [Problem("hardware", name, f"unknown; {suggestion(str(name), files)}")]
    cfg.hardware = OmegaConf.load(files[name])
    return []
