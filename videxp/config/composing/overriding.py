"""Command-line overrides: what is wrong with each by itself, and how one is applied to a config that is read back."""

import re
import shlex
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from videxp.config.composing.hydra_keys import PLACES, is_hydras, key_problem, place_problem
from videxp.config.places import COLLECTIONS, group_options, groups
from videxp.config.problems import NOTHING, Problem, listing, suggestion


def parse(text: str) -> Override:
    """Raises HydraException if it is no override. A config is text, so a folder's name in it has to be UTF-8."""
    if not _is_utf8(text):
        raise HydraException("not UTF-8")
    return OverridesParser.create().parse_override(text)


def _is_utf8(text: str) -> bool:
    return text == text.encode("utf-8", "ignore").decode()


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
        except HydraException as error:
            problems.append(Problem(text, NOTHING, _function_remedy(error) or _syntax_remedy(text)))
            continue
        once = (key, override.type == OverrideType.DEL)
        if wrong := _override_problem(override, text):
            problems.append(wrong)
        elif once in first:
            message = f"given twice ({first[once]} before); keep one of them"
            problems.append(Problem(key, value_of(text), message))
        else:
            first[once] = text
            usable.append(text)
    return problems, usable


def _override_problem(override: Override, text: str) -> Problem | None:
    key, deletes = key_of(text), override.type == OverrideType.DEL
    if not key:
        return Problem(text, NOTHING, _syntax_remedy(text))
    if is_hydras(key) and (wrong := _hydras_problem(override, text)):
        return wrong
    if key == "experiments":
        return Problem(key, value_of(text), "the recipe is the command's first argument")
    if "@" in key:
        message = f"packages are chosen in files alone; write {key.partition('@')[0]}=NAME"
        return Problem(key, value_of(text), message)
    if override.is_sweep_override():
        message = f"several values; write {key}=[...] for a list, or videxp sweep for one run of each"
        return Problem(key, value_of(text), message)
    if deletes:
        least = "[checkpoint]" if key == "callbacks" else "[]"
        message = f"is a choice of several; write {key}={least}"
        return Problem(f"~{key}", NOTHING, message) if key in COLLECTIONS else None
    return _value_problem(key, override.value(), text)


def is_blank(text: str) -> bool:
    """`run.name=`, an override of a value without one, which Hydra takes for an empty text."""
    key, equals, value = text.partition("=")
    return bool(equals and not value.strip()) and re.fullmatch(r"\+{0,2}\w+(\.\w+)*", key) is not None


def _value_problem(key: str, value: Any, text: str) -> Problem | None:
    if text.rstrip().endswith("=") and value == "":
        return Problem(f"{key}=", NOTHING, f"no value; write {key}=VALUE")
    if key not in groups():
        is_pythons = value_of(text).strip() == "None"  # as Python and W&B's agent write it
        return Problem(key, "None", f"a word, not nothing; write {key}=null") if is_pythons else None
    message = _choice_problem(key, value)
    return Problem(key, value_of(text), message) if message else None


def _hydras_problem(override: Override, text: str) -> Problem | None:
    key, deletes, adds = key_of(text), override.type == OverrideType.DEL, override.type == OverrideType.ADD
    wrong = key_problem(key, value_of(text), deletes=deletes, adds=adds)
    return wrong or (
        place_problem(key, override.value()) if key in PLACES and not override.is_sweep_override() else None
    )


def _choice_problem(group: str, value: Any) -> str:
    """What is wrong with what is chosen from a group; "" if nothing is. A mapping gives values, and chooses nothing."""
    if group in COLLECTIONS and isinstance(value, list) and len(set(map(str, value))) < len(value):
        return "names one of them twice"
    if group in COLLECTIONS or not isinstance(value, list):
        return "" if isinstance(value, str | list | dict) else f"choose one by its name ({listing(group)})"
    return f"takes one; write {group}={value[0]}" if value else f"choose one by its name ({listing(group)})"


def _function_remedy(error: HydraException) -> str:
    """Of a function of Hydra's grammar that was called with what it does not take; "" where there is none."""
    said = str(error).splitlines()[0]
    return f"cannot be read: {said[said.index('while evaluating') :]}"[:160] if "while evaluating" in said else ""


def _syntax_remedy(text: str) -> str:
    if "=" not in text and not text.startswith("~"):
        return "is no override; write KEY=VALUE"
    if not _is_utf8(text):
        return "is not UTF-8, which a config has to be; link to it by another name: ln -s"
    key, _, value = text.partition("=")
    quoted = f"{key}={quote(value)}"
    try:
        parse(quoted)
    except HydraException:
        return "cannot be read as KEY=VALUE; a key is words and numbers between points, optimizer.lr"
    typed = shlex.quote(quoted) if set(quoted) & set('$`"!\\') else f'"{quoted}"'
    brackets = any(value.count(opening) != value.count(closing) for opening, closing in ("()", "[]", "{}"))
    other = ", or close its brackets" if brackets else ", or name a value at its comma" if "," in value else ""
    return f"cannot be read as KEY=VALUE; quote a value that is no plain word: {typed}{other}"


def quote(text: str) -> str:
    """A text as Hydra's grammar takes it, whatever its characters: `it's` -> `'it\\'s'`."""
    halved = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)
    return f"'{halved}'"


def apply_overrides(cfg: DictConfig, overrides: list[str]) -> list[Problem]:
    """Change values of a resolved config in place; of the groups, only `hardware`, which changes no result."""
    problems, usable = check_overrides(overrides)
    for text in sorted(usable, key=lambda text: key_of(text) != "hardware"):  # the choice first, then its values
        override, key = parse(text), key_of(text)
        before = _value_at(cfg, key)
        if override.type == OverrideType.DEL:
            parent, _, last = key.rpartition(".")
            with open_dict(cfg):
                (OmegaConf.select(cfg, parent) if parent else cfg).pop(last, None)
        elif key == "hardware":
            problems += _choose_hardware(cfg, override.value())
        elif isinstance(before, DictConfig) and isinstance(override.value(), str):
            problems.append(Problem(key, override.value(), f"a run's parts are fixed; change values, {key}.NAME=VALUE"))
        elif override.type == OverrideType.ADD and before is not NOTHING:
            problems.append(Problem(key, value_of(text), "exists already; write it without the +"))
        else:
            try:
                # A key that is not there is set all the same: the check of the whole says what is near it.
                OmegaConf.update(cfg, key, override.value(), merge=True, force_add=True)
            except OmegaConfBaseException as error:
                problems.append(Problem(key, value_of(text), str(error).splitlines()[0]))
    return problems


def _value_at(cfg: DictConfig, key: str) -> Any:
    """NOTHING where the key is not there; None for what reads a variable that is not set."""
    try:
        return OmegaConf.select(cfg, key, default=NOTHING, throw_on_missing=False)
    except OmegaConfBaseException:
        return None


def _choose_hardware(cfg: DictConfig, name: Any) -> list[Problem]:
    files = {choice.name: choice.path for choice in group_options("hardware")}
    if name not in files:
        return [Problem("hardware", name, f"unknown; {suggestion(str(name), files)}")]
    cfg.hardware = OmegaConf.load(files[name])
    return []
