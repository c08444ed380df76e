"""Interpolations that would grow without end: `a: ${b}${b}`, `b: ${c}${c}`, ... double with each line."""

import math
import re
from typing import Any

from omegaconf import Container, OmegaConf

from videxp.config.problems import NOTHING, Problem

MAX_SIZE = 10_000_000  # characters and nodes, all interpolations written out
_NAME = re.compile(r"(\.*)([A-Za-z_][\w-]*(?:(?:\.|\[)[\w-]+\]?)*)")


def growth_problems(cfg: Container) -> list[Problem]:
    """The first key whose interpolations, written out, are beyond bounds; none in an honest config."""
    nodes: dict[str, Any] = {}
    _collect(OmegaConf.to_container(cfg, resolve=False), "", nodes)
    sizes: dict[str, float] = {}
    for key in nodes:
        if _size(key, nodes, sizes, depth=0) > MAX_SIZE:
            return [Problem(key, NOTHING, f"its interpolations, written out, are more than {MAX_SIZE:,} characters")]
    return []


def _collect(value: Any, key: str, nodes: dict[str, Any]) -> None:
    nodes[key] = value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        _collect(child, f"{key}.{name}" if key else str(name), nodes)


def _size(key: str, nodes: dict[str, Any], sizes: dict[str, float], *, depth: int) -> float:
    """Characters and nodes of a key's value. A name in an interpolation counts as what stands under that key."""
    if key in sizes:
        return sizes[key]
    if depth > 100:
        return math.inf
    sizes[key] = 0.0  # OmegaConf says itself what refers to itself
    value = nodes[key]
    if isinstance(value, dict | list):
        names = value if isinstance(value, dict) else range(len(value))
        inner = [f"{key}.{name}" if key else str(name) for name in names]
    elif isinstance(value, str) and "${" in value:
        inner = [found for dots, name in _NAME.findall(value) if (found := _full(dots, name, key)) in nodes]
    else:
        inner = []
    own = len(value) if isinstance(value, str) else 1
    sizes[key] = own + sum(_size(name, nodes, sizes, depth=depth + 1) for name in inner)
    return sizes[key]


def _full(dots: str, name: str, key: str) -> str:
    """The full key of `name` in an interpolation under `key`; `.name` is its neighbor, `..name` one level up."""
    name = name.replace("[", ".").replace("]", "")
    if not dots:
        return name
    above = key.split(".")[: -len(dots)]
    return ".".join([*above, name])
