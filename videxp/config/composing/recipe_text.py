"""A recipe's file by itself, before Hydra composes it: its text, its package line, its defaults list.

What is wrong with these Hydra answers with a page, with another cause, or by composing something else. Nothing is
constructed: YAML is read as nodes, which know their lines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from videxp.config.composing.hydra_keys import is_hydras, refusal
from videxp.config.composing.sources import recipe_file
from videxp.config.places import COLLECTIONS, folders, groups, recipes
from videxp.config.problems import NOTHING, Problem, nearest, suggestion
from videxp.core.yaml_files import Growth, read_yaml_text

PACKAGE_LINE = "# @package _global_"
WORDS = {"override", "optional"}
"""What may stand before a group in a defaults list."""


def recipe_problems(name: str, *, above: tuple[str, ...] = ()) -> list[Problem]:
    """What is wrong with the file of a recipe that is mounted, and with those of the recipes that it builds upon."""
    path = recipe_file(name)
    if path is None:
        return []  # Hydra says so, and in which file it stands
    shown = show_path(path)
    if name in above:
        circle = " -> ".join([*above[above.index(name) :], name])
        return [Problem(shown, NOTHING, f"builds upon itself ({circle}); take it out of defaults")]
    text, node, problem = read_nodes(path)
    if problem is not None:
        return [problem]
    if not isinstance(node, yaml.MappingNode):
        begin = f"a recipe is `{PACKAGE_LINE}`, then KEY: VALUE lines"
        return [Problem(shown, NOTHING, f"{_kind(node)}; {begin}")]
    problems = list(_package_problems(text, shown=shown))
    entries = _defaults(node)
    if not isinstance(entries, list):
        where = f"{shown}:{_line(entries)}"
        return [*problems, Problem(where, NOTHING, "defaults is no list; write each as `  - override /GROUP: NAME`")]
    own_keys = [key.value for key, _ in node.value if key.value != "defaults"]
    problems += _entry_problems(entries, shown=shown, has_own_keys=bool(own_keys))
    for parent in _parents(entries, name=name):
        problems += recipe_problems(parent, above=(*above, name))
    return problems


def show_path(path: Path) -> str:
    """As one would type it from the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# ---- text ------------------------------------------------------------------------------------------------------------


def read_nodes(path: Path) -> tuple[str, yaml.Node | None, Problem | None]:
    """(text, YAML nodes, what is wrong with these) of a file; no nodes: it is empty."""
    shown = show_path(path)
    try:
        text = read_yaml_text(path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except Growth as error:
        return "", None, Problem(shown, NOTHING, f"cannot be read: {error}")
    except UnicodeDecodeError:
        is_wide = path.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff")
        encoding = "UTF-16" if is_wide else "no UTF-8 (Latin-1, perhaps)"
        return "", None, Problem(shown, NOTHING, f"cannot be read: its text is {encoding}; save it as UTF-8")
    except OSError as error:
        return "", None, Problem(shown, NOTHING, f"cannot be read: {error.strerror}")
    except yaml.YAMLError as error:
        return "", None, _syntax_problem(shown, error, path.read_text(encoding="utf-8-sig"))
    twice = next(_repeated_keys(node, seen=set()), None) if node is not None else None
    if twice is not None:
        message = f"the key {twice.value} is there twice; keep one of them"
        return text, node, Problem(f"{shown}:{_line(twice)}", NOTHING, message)
    return text, node, None


def _syntax_problem(shown: str, error: yaml.YAMLError, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = next(iter(text.splitlines()[mark.line :]), "") if mark is not None else ""
    where = shown if mark is None else f"{shown}:{mark.line + 1}"
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem(where, NOTHING, "cannot be read: a tab; YAML is indented by blanks")
    return Problem(where, NOTHING, f"cannot be read as YAML: {said}")


def _repeated_keys(node: yaml.Node, *, seen: set[int]) -> Iterator[yaml.ScalarNode]:
    """Each key that stands in its mapping already; an alias is looked at once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, seen=seen)
    elif isinstance(node, yaml.MappingNode):
        known: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in known:
                yield key
            known.add(str(key.value))
            yield from _repeated_keys(value, seen=seen)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _kind(node: yaml.Node | None) -> str:
    return "is empty" if node is None else "is a list" if isinstance(node, yaml.SequenceNode) else "is a word"


def _package_problems(text: str, *, shown: str) -> Iterator[Problem]:
    """Without the line, all that the recipe says lands beneath a key `experiments`, where nobody reads it."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if " ".join(first.split()) not in (PACKAGE_LINE, PACKAGE_LINE.replace("# ", "#")):
        yield Problem(shown, NOTHING, f"a recipe's first line must be `{PACKAGE_LINE}`, and is `{first[:60]}`")


# ---- the defaults list -----------------------------------------------------------------------------------------------


def _defaults(node: yaml.MappingNode) -> "list[yaml.Node] | yaml.Node":
    value = next((value for key, value in node.value if key.value == "defaults"), None)
    if value is None:
        return []
    return list(value.value) if isinstance(value, yaml.SequenceNode) else value


def _entry_problems(entries: list[yaml.Node], *, shown: str, has_own_keys: bool) -> Iterator[Problem]:
    """Each entry by itself, then their order: recipes, then this file's own keys, over which nothing goes."""
    before = ""  # an entry that a recipe may not follow
    for entry in entries:
        where = f"{shown}:{_line(entry)}"
        key, value = _entry(entry)
        if message := _entry_problem(key, value):
            yield Problem(where, NOTHING, f"`- {_written(entry)}` {message}")
            continue
        name, words = _group_of(key)
        if key == "_self_" and has_own_keys:
            before = "_self_"
        elif "override" in words:
            before = before or f"override /{name}"
        elif before and "@" not in key:
            why = "goes over this file's own keys" if before == "_self_" else "must stand before all overrides"
            yield Problem(where, NOTHING, f"`- {_written(entry)}` {why}; move it above `{before}`")


def _entry(entry: yaml.Node) -> tuple[str, Any]:
    """`- override /model: c3d` -> ("override /model", "c3d"); `- mine/base` -> ("mine/base", None)."""
    if isinstance(entry, yaml.ScalarNode):
        return (entry.value, None) if entry.tag.endswith(":str") else ("", None)
    if isinstance(entry, yaml.MappingNode) and len(entry.value) == 1:
        key, value = entry.value[0]
        if isinstance(value, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in value.value):
            return key.value, [item.value for item in value.value]
        if isinstance(value, yaml.ScalarNode):
            return key.value, value.value
    return "", None


def _entry_problem(key: str, value: Any) -> str:
    """What is wrong with an entry, and how it must read; "" if nothing is, or if only Hydra can tell."""
    if not key:
        return "is no entry of defaults; write `- override /GROUP: NAME`, or a recipe's name"
    name, words = _group_of(key)
    if value is None or "@" in key:
        return ""
    if is_hydras(name):
        return refusal(name).message
    chosen = f"[{', '.join(value)}]" if isinstance(value, list) else value
    if name == "experiments":
        return f"must read `- /experiments/{chosen}`"
    if name in _chosen_by_videxp():
        if "override" not in words or not key.rsplit(maxsplit=1)[-1].startswith("/"):
            return f"must read `- override /{name}: {chosen}`"
        if isinstance(value, list) and name not in COLLECTIONS:
            return f"takes one; write `- override /{name}: {value[0] if value else 'NAME'}`"
        return ""
    if name not in groups() and not _is_folder_of_recipes(name):
        near = nearest(name, groups())
        right = f"write `- override /{near[0]}: {chosen}`" if near else suggestion(name, groups(), limit=12)
        return f"names no part of a recipe; {right}"
    return ""


def _group_of(key: str) -> tuple[str, set[str]]:
    """`override /model` -> ("model", {"override"})."""
    *words, group = key.split() or [""]
    return group.partition("@")[0].lstrip("/"), set(words) & WORDS


def _chosen_by_videxp() -> set[str]:
    """The groups of which conf/config.yaml chooses one already: a recipe overrides the choice."""
    return {folder.name for folder in (folders("conf")[-1]).iterdir() if folder.is_dir()}


def _is_folder_of_recipes(name: str) -> bool:
    return any((folder / name.removeprefix("experiments/")).is_dir() for folder in folders("experiments"))


def _written(entry: yaml.Node) -> str:
    key, value = _entry(entry)
    if not key:
        return str(entry.value) if isinstance(entry, yaml.ScalarNode) else "{...}"
    return key if value is None else f"{key}: {'[' + ', '.join(value) + ']' if isinstance(value, list) else value}"


def _parents(entries: list[yaml.Node], *, name: str) -> Iterator[str]:
    """The recipes that are built upon, `/experiments/a/b` or relative to this one's folder."""
    known = {choice.name for choice in recipes()} | {name}
    beside = name.rpartition("/")[0]
    for entry in entries:
        key, value = _entry(entry)
        if value is None and key and key != "_self_":
            text = key.split()[-1].partition("@")[0].removesuffix(".yaml")
            text = text.removeprefix("/experiments/") if text.startswith("/") else f"{beside}/{text}".lstrip("/")
            if text in known:
                yield text
