"""Hydra's composition errors, five lines of prose each, as one `Problem` each; and what to compose without them."""

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from videxp.config.composing.hydra_keys import refusal
from videxp.config.composing.overriding import key_of, value_of
from videxp.config.composing.recipe_text import read_nodes, show_path
from videxp.config.composing.sources import recipe_file
from videxp.config.places import folders, group_options, groups, recipes
from videxp.config.problems import NOTHING, Problem, listing, suggestion
from videxp.core.yaml_files import read_yaml, read_yaml_text


@dataclass
class Diagnosis:
    """What to do about one error."""

    problems: list[Problem] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Overrides to go on without."""
    forced: list[str] = field(default_factory=list)
    """Overrides of keys that are not there: set them all the same, so that the check says what is near them."""


def judge(error: Exception, *, recipe: str, overrides: list[str]) -> Diagnosis:
    """Find the override at fault; `recipe` is as it was typed, a name or a file.

    No dropped and no forced one: the recipe or the files are at fault.

    Raises `error` again if it is not about a config.
    """
    chain = list(_chain(error))
    if not any(isinstance(link, HydraException | OmegaConfBaseException | YAMLError) for link in chain):
        raise error
    text = "\n".join(str(link) for link in chain if str(link))
    if match := re.search(r"Could not (?:find|load) '([^']+)'", text):
        return _missing_file(match[1], text, recipe=recipe, overrides=overrides)
    if match := re.search(r"You must specify '([^']+)'", text):
        group = match[1]
        return Diagnosis([Problem(group, NOTHING, _why_missing(group, recipe=recipe))])
    for pattern, message in _OVERRIDE_ERRORS:
        if match := re.search(pattern, text):
            key = match[1].lstrip("+~")
            guilty = [override for override in overrides if key_of(override) == key]
            if guilty and not message:
                return Diagnosis(forced=guilty)
            if guilty:
                return Diagnosis([Problem(key, value_of(guilty[0]), message)], dropped=guilty)
            reason = message or f"no such part; {suggestion(key, groups(), limit=12)}"
            return Diagnosis([Problem(key, NOTHING, f"{reason} (in {_recipe_file(recipe)})")])
    if broken := _unreadable_file(recipe):
        return Diagnosis([broken])
    key = match[1] if (match := re.search(r"full_key: (\S+)", text)) else ""
    guilty = [override for override in overrides if key_of(override) == key]
    lines = [line.strip() for line in str(chain[-1]).splitlines()]  # the innermost knows most
    reason = next((line for line in lines if line and not re.search(_FRAME, line)), text.splitlines()[0])
    if "Cannot merge" in reason:
        reason = "a list stands where videxp has a mapping, or a mapping where it has a list"
    if guilty:
        return Diagnosis([Problem(key, value_of(guilty[0]), reason)], dropped=guilty)
    return Diagnosis([Problem(_recipe_file(recipe), NOTHING, f"{key}: {reason}" if key else reason)])


def _why_missing(group: str, *, recipe: str) -> str:
    file = Path(recipe) if recipe.endswith(".yaml") else recipe_file(recipe)
    own = read_yaml(file) if file is not None else None
    node = own.get(group) if isinstance(own, dict) else None
    if not isinstance(node, dict) or "_target_" not in node:
        return f"missing; the recipe chooses none: {group}=NAME ({suggestion('', _names(group))})"
    return (
        f"a recipe gives values to a {group} that it chooses, and {_recipe_file(recipe)} gives a whole one: "
        f"move what is below `{group}:` into conf/{group}/NAME.yaml and choose it, - override /{group}: NAME"
    )


NO_SUCH_ITEM = "there is no such item in the list"
# Lines of Hydra's and OmegaConf's messages that say where, and not what.
_FRAME = r"raised while composing|^(full_key|object_type|reference_type)"

# What Hydra says of one override -> what we say; "" means that the check of the composed config knows better.
_OVERRIDE_ERRORS = [
    (r"Could not append to config\. An item is already at '([^']+)'", "exists already; write it without the +"),
    (r"Could not delete[^']*'([^'=]+)", "nothing to delete there"),
    (r"Error merging override \+{0,2}([^=\s]+)=.*\n.*list index out of range", NO_SUCH_ITEM),
    (r"Error merging override \+{0,2}([^=\s]+)", "does not fit what is there: it cannot be both a value and a mapping"),
    (r"Could not override '([^']+)'", ""),
    (r"Key '[^']+' is not in struct\s+full_key: (\S+)", ""),
]


def _missing_file(path: str, text: str, *, recipe: str, overrides: list[str]) -> Diagnosis:
    group, _, name = path.partition("/")
    if group == "hydra":
        return Diagnosis([refusal(path.rpartition("/")[0])])
    guilty = [override for override in overrides if key_of(override).split("@")[0] == group]
    names, kind = _names(group), "recipe" if group == "experiments" else group
    message = f"unknown {kind}; {suggestion(name, names)} ({listing(group)})"
    if group == "dataset" and os.path.isdir(name):
        message = f"is a folder, no dataset's name; {for_folder(name)} ({listing(group)})"
    if not guilty:
        inside = re.search(r"In '(?!config')([^']+)'", text)
        message += f" (in {_file_of(inside[1]) if inside else _recipe_file(recipe)})"
    # Keys of an unknown model cannot be judged against the model that the recipe has instead.
    depending = [override for override in overrides if guilty and key_of(override).startswith(f"{group}.")]
    return Diagnosis([Problem(group, name or path, message)], dropped=guilty + depending)


def for_folder(folder: str) -> str:
    """How a command reads a folder of one's own videos."""
    root = shlex.quote(f"dataset.root={folder}")
    return f"dataset=folder_per_class {root}, or without classes dataset=video_folder or generation_folder {root}"


def _unreadable_file(recipe: str) -> Problem | None:
    """The first YAML file that does not load; Hydra does not say which."""
    paths = [Path(_recipe_file(recipe))] if recipe.endswith(".yaml") else []
    paths += [choice.path for choice in recipes() if choice.name == recipe]
    paths += [path for folder in folders("conf") for path in sorted(Path(folder).rglob("*.yaml"))]
    for path in paths:
        if (problem := read_nodes(path)[2]) is not None:
            return problem
        try:
            OmegaConf.create(read_yaml_text(path))
        except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
            key = getattr(error, "full_key", None)
            at = f" at {key}" if key else ""
            return Problem(str(path), NOTHING, f"cannot be read{at}: {str(error).split('full_key')[0]}")
    return None


def _chain(error: BaseException | None) -> "list[BaseException]":
    return [] if error is None else [error, *_chain(error.__cause__)]


def _names(group: str) -> list[str]:
    return [choice.name for choice in (recipes() if group == "experiments" else group_options(group))]


def _file_of(config: str) -> str:
    """The file of one of Hydra's configs: `model/tiny` -> `conf/model/tiny.yaml`; a recipe's may lie anywhere."""
    path = recipe_file(config.removeprefix("experiments/")) if config.startswith("experiments/") else None
    return show_path(path) if path is not None else f"conf/{config}.yaml"


def _recipe_file(recipe: str) -> str:
    return recipe if recipe.endswith(".yaml") else f"experiments/{recipe}.yaml"
