"""A request to predict many files, as parts that can be predicted on machines of their own.

A predictor whose inputs are independent of one another has `parts(options) -> list[InputPart]`, called with
what `check` let through; where the outputs of the parts are to become one, also `join(options, parts, failed)`.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest


@dataclass(frozen=True)
class InputPart:
    """One input of a request."""

    source: Path
    settings: dict[str, Any]
    """What is another in its options: `{"output": "out/a.mp4"}`, as JSON holds it."""
    files: list[Path]
    """What is there when it is done."""


def jobs_folder(options: argparse.Namespace) -> Path:
    """Where the state of a request's jobs is kept: beside its output, OUT.jobs. Raises BadRequest without an output."""
    outputs = [getattr(options, "output", None), getattr(options, "split", None), *getattr(options, "outputs", [])]
    output = next((Path(one) for one in outputs if one is not None), None)
    if output is None:
        raise BadRequest("launcher: jobs write to files: add -o OUT")
    return output.with_name(f"{output.name}.jobs")


def part_options(options: argparse.Namespace, source: Path, settings: dict[str, Any]) -> argparse.Namespace:
    """The options of one part. What it writes to was looked at when it was planned, so it may be replaced."""
    own = argparse.Namespace(**vars(options))
    own.inputs, own.overwrite = [str(source)], True
    for name, value in settings.items():
        setattr(own, name, Path(value) if isinstance(getattr(options, name), Path) else value)
    return own
