"""What a config takes from the environment: `${oc.env:NAME}`, by itself or inside other interpolations."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from videxp.config.nodes import interpolations, raw_value
from videxp.config.problems import Problem
from videxp.core.errors import BadRequest
from videxp.core.secrets import remember_if_secret


def resolve_except_environment(cfg: DictConfig) -> list[Problem]:
    """Resolve every interpolation in place but those that read `${oc.env:...}`, directly or through others."""
    problems: list[Problem] = []
    with environment_watched() as touched:
        for parent, key, full_key in list(interpolations(cfg)):
            text = raw_value(parent, key)
            touched.clear()
            try:
                value = parent[key]
            except OmegaConfBaseException as error:
                message = why_unresolved(error)
                if not isinstance(error, InterpolationToMissingValueError):  # the missing value itself is reported
                    problems.append(Problem(full_key, text, message))
                parent[key] = "???"
                continue
            if not touched:
                parent[key] = value
    return problems


def environment_values(cfg: DictConfig, *, leave_out: tuple[str, ...] = ()) -> dict[str, tuple[list[str], Any]]:
    """Full key -> (variables that it reads, its value now), of a config whose other interpolations are resolved.

    leave_out: beginnings of keys, `("logger.", "run.")`. Raises BadRequest where a variable that is read is not set, or
    what it holds cannot be read as the config wants.
    """
    found: dict[str, tuple[list[str], Any]] = {}
    with environment_watched() as touched:
        for parent, key, full_key in interpolations(cfg):
            if full_key.startswith(leave_out):
                continue
            touched.clear()
            try:
                value = parent[key]
            except OmegaConfBaseException as error:
                raise BadRequest(f"{full_key}={raw_value(parent, key)}: {why_unresolved(error)}") from error
            plain = OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value
            if touched:
                found[full_key] = list(dict.fromkeys(touched)), plain
    return found


def named_by_environment(cfg: DictConfig) -> Iterator[Problem]:
    """A data set's name that reads the environment: it stands in names of files, in records and on the terminal."""
    dataset = raw_value(cfg, "dataset") if "dataset" in cfg else None
    if isinstance(dataset, DictConfig) and OmegaConf.is_interpolation(dataset, "name"):
        text = raw_value(dataset, "name")
        yield Problem("dataset.name", text, "takes nothing from the environment; write it out: dataset.name=NAME")


def why_unresolved(error: OmegaConfBaseException) -> str:
    """Why an interpolation cannot be resolved, and the remedy, in one line."""
    cause = str(error).splitlines()[0]
    if named := re.search(r"Environment variable '([^']*)' not found", cause):
        return f"{named[1]} is not set in the environment: {named[1]}=VALUE before the command sets it"
    return f"cannot be resolved: {cause}"


@contextmanager
def environment_watched() -> Iterator[list[str]]:
    """Names of environment variables that interpolations read meanwhile."""
    from omegaconf.resolvers import oc

    touched: list[str] = []

    def watching(key: str, *default: Any) -> Any:
        touched.append(key)
        value = oc.env(key, *default)
        remember_if_secret(key, value)  # it will be built with it, and may be logged by what is built
        return value

    OmegaConf.register_new_resolver("oc.env", watching, replace=True)
    try:
        yield touched
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
