"""A config as a file: written without secrets, read back through the gate."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from videxp.config.addresses import mixed_addresses
from videxp.config.checking.check import check_config, check_targets
from videxp.config.composing.overriding import apply_overrides
from videxp.config.composing.testing import settle_protocol
from videxp.config.problems import refuse
from videxp.config.reading import parse_config, read_config
from videxp.config.redaction import redacted, redacted_overrides
from videxp.core.files import write_text


def save_resolved(cfg: DictConfig, path: Path | str) -> None:
    """Write a run's config.yaml: whole or not at all, keys in the config's order.

    `${oc.env:NAME}` stays as text, and the values of keys such as `api_key` become `<redacted>`.
    """
    write_text(Path(path), resolved_text(cfg))


def resolved_text(cfg: DictConfig) -> str:
    """What `save_resolved` writes."""
    return OmegaConf.to_yaml(OmegaConf.create(plain(cfg)))


def parse_resolved(text: str, *, path: Path | str) -> DictConfig:
    """`resolved_text` undone, of a file that may come from anyone: each `_target_` goes through the gate."""
    cfg = parse_config(text, path=path)
    refuse(check_targets(cfg))
    refuse(list(mixed_addresses(cfg)))
    return cfg


def save_overrides(overrides: list[str], path: Path | str) -> None:
    """Write what was typed after the recipe, a YAML list, without secrets."""
    write_text(Path(path), OmegaConf.to_yaml(OmegaConf.create(redacted_overrides(overrides))))


def load_resolved(path: Path | str, *, overrides: list[str] | None = None) -> DictConfig:
    """Read a config.yaml back. It may come from anyone, so each `_target_` goes through the gate.

    With overrides the whole result is checked as a recipe's is. Raises BadRequest if the file is missing or is no
    YAML mapping, if a target may not be built, or with all that is wrong with the overrides.
    """
    cfg = read_config(path)
    refuse(check_targets(cfg))
    if overrides:
        problems = apply_overrides(cfg, overrides)
        problems += settle_protocol(cfg, overrides)
        refuse(problems + check_config(cfg))
    refuse(list(mixed_addresses(cfg)))
    return cfg


def with_secrets(cfg: DictConfig) -> str:
    """YAML for another process of the same run, through a pipe: what is blotted out in a file stands here."""
    return OmegaConf.to_yaml(cfg)


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The config as dicts and lists, to be handed to a logger: no secrets, nothing from the environment."""
    return cast(dict[str, Any], redacted(OmegaConf.to_container(cfg, resolve=False)))


def flat(cfg: DictConfig) -> dict[str, Any]:
    """`{"optimizer.lr": 0.001, ...}` of `plain`; lists stay whole."""
    return dict(_flat(plain(cfg), ""))


def _flat(node: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def config_hash(cfg: DictConfig) -> str:
    """16 hexadecimal digits of the SHA-256 of the config, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(plain(cfg), sort_keys=True).encode()).hexdigest()[:16]
