"""YAML that may come from anyone, read in bounded time and memory.

A few hundred bytes can stand for gigabytes (aliases of aliases), for a stack without end (brackets in brackets), or for
a number that takes hours to read. The events of a parser show it before anything is built.
"""

from pathlib import Path
from typing import Any

import yaml

MAX_CHARACTERS = 4 << 20
MAX_NODES = 200_000  # with aliases written out; the config of a recipe has some 400
MAX_DEPTH = 64
MAX_NUMBER_CHARACTERS = 300  # more digits are more than a float can be
# libyaml's parser is ten times as quick, where PyYAML was built with it.
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Growth(yaml.YAMLError):
    """What would be built of a text is beyond bounds."""


def read_yaml_text(path: Path | str) -> str:
    """The text of a YAML file that is safe to be built.

    Raises OSError, UnicodeDecodeError (it must be UTF-8), YAMLError where it is no YAML, Growth where it would grow.
    """
    with Path(path).open(encoding="utf-8-sig") as file:
        text = file.read(MAX_CHARACTERS + 1)
    refuse_growth(text)
    return text


def read_yaml(path: Path | str) -> Any:
    """Dicts, lists, strings and numbers. Raises as `read_yaml_text` does."""
    text = read_yaml_text(path)
    try:
        return yaml.load(text, SAFE_LOADER)
    except ValueError as error:  # a date that is none
        raise yaml.YAMLError(str(error)) from error


def refuse_growth(text: str) -> None:
    """Raises YAMLError where a text is no YAML, Growth where what is built of it would be beyond bounds."""
    if len(text) > MAX_CHARACTERS:
        raise Growth(f"it has more than {MAX_CHARACTERS:,} characters")
    anchored: dict[str, int] = {}  # anchor -> nodes that it stands for
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]  # (anchor, nodes so far) of what is being read
    for event in yaml.parse(text, SAFE_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > MAX_DEPTH:
                raise Growth(f"line {event.start_mark.line + 1}: it is nested more than {MAX_DEPTH} deep")
            continue
        nodes = 0
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, nodes = open_nodes.pop()
            if anchor is not None:
                anchored[anchor] = nodes
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchored:
                raise Growth(f"line {event.start_mark.line + 1}: *{event.anchor} stands for nothing before it")
            nodes = anchored[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            nodes = 1
            if event.anchor is not None:
                anchored[event.anchor] = 1
            if event.implicit[0] and len(event.value) > MAX_NUMBER_CHARACTERS and event.value[0] in "+-.0123456789":
                raise Growth(f"line {event.start_mark.line + 1}: a number of {len(event.value)} characters")
        outer, count = open_nodes[-1]
        open_nodes[-1] = outer, count + nodes
        if count + nodes > MAX_NODES:
            line = event.start_mark.line + 1
            raise Growth(f"line {line}: its aliases, written out, are more than {MAX_NODES:,} values")
