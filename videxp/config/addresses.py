"""Addresses in a config (`dataset.cache=https://...`), which may come from anyone.

An address takes nothing from the environment, for whoever answers there would learn it. And a config that is read back
from a run folder has no server asked that the user never named in a recipe or on a command line.
"""

import os
import re
import shlex
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from videxp.config.environment import environment_watched
from videxp.config.nodes import interpolations, raw_value
from videxp.config.problems import Problem
from videxp.core.errors import BadRequest
from videxp.core.files import expand_home

KNOWN = "~/.config/videxp/known_addresses"  # a line each, as ssh keeps known hosts
ON_THIS_MACHINE = {"file", "local", "memory"}
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<place>[^/?#\s]*)", re.I)


def mixed_addresses(cfg: DictConfig) -> Iterator[Problem]:
    """Addresses of which a part is a variable of the environment. All of one may be."""
    with environment_watched() as touched:
        for node, key, full in interpolations(cfg):
            touched.clear()
            try:
                value = node[key]
            except OmegaConfBaseException:
                continue  # said by others
            given = {os.environ[name] for name in touched if os.environ.get(name)}
            if given and isinstance(value, str) and _ADDRESS.search(value) and value not in given:
                remedy = f"an address takes nothing from the environment; write it out: {full}=ADDRESS"
                yield Problem(full, raw_value(node, key), remedy)


def refuse_unknown_addresses(cfg: DictConfig, *, typed: list[str]) -> None:
    """Raise BadRequest where a config from a run folder would have a server asked that the user never named.

    typed: the overrides that were typed with it.
    """
    known = _known() | {origin for text in typed for origin in _origins(text)}
    for key, value in _strings(cfg):
        for origin in _origins(value):
            if origin not in known:
                path = expand_home(KNOWN)
                folder, file = (shlex.quote(str(place)) for place in (path.parent, path))
                raise BadRequest(
                    f"{key}={value}: no recipe and no command of yours named {origin} before, so it is not asked\n"
                    f"To trust it: mkdir -p {folder} && echo {shlex.quote(origin)} >> {file}"
                )


def remember_addresses(cfg: DictConfig) -> None:
    """Remember the servers of a config that the user composed from a recipe and a command line: they may be asked."""
    new = {origin for _, value in _strings(cfg) for origin in _origins(value)} - _known()
    if not new:
        return
    try:
        path = expand_home(KNOWN)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as lines:
            lines.writelines(f"{origin}\n" for origin in sorted(new))
    except (OSError, BadRequest):
        pass  # no home to write to: then an evaluation asks


def _known() -> set[str]:
    try:
        return set(expand_home(KNOWN).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError, BadRequest):
        return set()


def _origins(value: str) -> list[str]:
    """`https://me:word@host:80/a` -> ["https://host:80"]; none of what lies on this machine."""
    found = [match for match in _ADDRESS.finditer(value) if match["scheme"].lower() not in ON_THIS_MACHINE]
    return [f"{match['scheme'].lower()}://{match['place'].rpartition('@')[2]}" for match in found]


def _strings(cfg: DictConfig) -> Iterator[tuple[str, str]]:
    """(full key, text) of all texts, those that cannot be resolved aside."""
    stack = [("", OmegaConf.to_container(cfg, resolve=False, throw_on_missing=False))]
    while stack:
        key, value = stack.pop()
        if isinstance(value, str):
            resolved = OmegaConf.select(cfg, key, throw_on_missing=False, throw_on_resolution_failure=False)
            yield key, resolved if isinstance(resolved, str) else value
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        stack += [(".".join(filter(None, [key, str(name)])), child) for name, child in inner]
