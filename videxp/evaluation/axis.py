"""An axis of evaluation: one module in `videxp/evaluation/`, with the same few names in each.

The accuracy axis fills the top level of evaluation.json; each other one, a section of it under its own name.
"""

import argparse
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from videxp.core.contract import Contract
from videxp.core.errors import BadRequest
from videxp.core.options import Options

if TYPE_CHECKING:
    from videxp.evaluation.subject import Subject

ACCURACY = "accuracy"
AXES = (ACCURACY, "speed", "robustness", "explanation")


class AxisModule(Protocol):
    """What an axis's module offers. It imports torch only when it measures: options are read before."""

    BETTER: Mapping[str, Literal["max", "min"]]
    """Which way its scalars are better: `{"robustness/mpc": "max"}`; of those that are left out, neither."""

    def add_arguments(self, parser: Options) -> None:
        """Add what `videxp evaluate` takes for this axis."""

    def require_options(self, options: argparse.Namespace, subject: "Subject") -> None:
        """Raises BadRequest for what is asked in vain: of all axes, before anything is measured."""

    def measure(self, subject: "Subject", options: argparse.Namespace) -> dict[str, Any]:
        """The section of evaluation.json; `{"does_not_apply": why}` where the task has no such thing. Clips, which it
        does not hold, are written here, into `subject.pictures`."""

    def lines(self, section: Mapping[str, Any], contract: Contract) -> list[str]:
        """The section on a terminal of 80 columns."""

    def scalars(self, section: Mapping[str, Any]) -> dict[str, float]:
        """What W&B gets, and what the compare page has columns for: `{"robustness/mpc": 0.41}`."""

    def save_pictures(self, section: Mapping[str, Any], folder: Path) -> list[Path]:
        """Write plots of the section into the run's `samples/`; returns their paths, and those of clips that `measure`
        wrote there."""


def axis(name: str) -> AxisModule:
    """The module of an axis other than accuracy."""
    return cast(AxisModule, import_module(f"videxp.evaluation.{name}"))


def parse_axes(text: str) -> list[str]:
    """`speed,robustness` or `all` as names, in the order of `AXES`. Raises BadRequest for another word."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    chosen = AXES if names == ["all"] else names
    if strange := [name for name in chosen if name not in AXES]:
        raise BadRequest(f"--on {strange[0]}: no such axis; write {', '.join(AXES)} or all")
    if not chosen:
        raise BadRequest(f"--on: which axis? Write {', '.join(AXES)} or all")
    return [name for name in AXES if name in chosen]


def add_axis_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of all axes, in a group for each."""
    for name in AXES[1:]:
        axis(name).add_arguments(parser.add_argument_group(f"--on {name}"))


def refuse_options_without_axis(options: argparse.Namespace, chosen: list[str]) -> None:
    """Raises BadRequest for an option of an axis that is not measured: it would have no effect."""
    for name in AXES[1:]:
        if name in chosen:
            continue
        parser = argparse.ArgumentParser(add_help=False)
        axis(name).add_arguments(parser.add_argument_group())
        defaults = vars(parser.parse_args([]))
        if given := [key for key, default in defaults.items() if getattr(options, key) != default]:
            option = f"--{given[0].replace('_', '-')}"
            raise BadRequest(f"{option} has no effect without --on {name}: add that, or leave {option} out")
