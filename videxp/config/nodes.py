"""Nodes of a config as they are written, with nothing resolved, by OmegaConf's public API."""

from collections.abc import Iterator
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf


def keys_of(node: Container) -> list[Any]:
    """Keys of a mapping, places of a list."""
    return list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))  # type: ignore[arg-type]  # a ListConfig


def raw_value(node: Container, key: Any) -> Any:
    """The value as it is written: `${oc.env:NAME}`, `???`, 0.1; a Container for a mapping or a list."""
    if OmegaConf.is_interpolation(node, key):
        plain: Any = OmegaConf.to_container(node, resolve=False)
        return plain[key]
    return "???" if OmegaConf.is_missing(node, key) else node[key]


def interpolations(node: Container, *, above: str = "") -> Iterator[tuple[Any, Any, str]]:
    """(parent, key, full key) of each interpolation: `(cfg.optimizer, "lr", "optimizer.lr")`, `(mean, 0, "mean[0]")`.

    above: the full key of `node`.
    """
    for key in keys_of(node):
        full_key = f"{above}[{key}]" if not isinstance(node, DictConfig) else f"{above}.{key}" if above else str(key)
        if OmegaConf.is_interpolation(node, key):
            yield node, key, full_key
        elif isinstance(child := raw_value(node, key), Container):
            yield from interpolations(child, above=full_key)
