"""Options of commands: a parser that answers in one line, and the values that options take."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from videxp.core.errors import BadRequest


class Options(Protocol):
    """A parser, or a group of one: to what options are added."""

    def add_argument(self, *names: str, **facts: Any) -> Any:
        """As argparse's."""


class OneLineParser(argparse.ArgumentParser):
    """Raises BadRequest for what it does not understand: one line says what is wrong. prog: `videxp COMMAND`."""

    def error(self, message: str) -> NoReturn:
        raise BadRequest(f"{self.prog.removeprefix('videxp ')}: {message}; {self.prog} --help")


def add_device(parser: Options) -> None:
    """`--device`, as `videxp.deploy.restore_files.usable_device` takes it."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1; default: a GPU if there is one")


VERIFY = "refuse a run or file that is not as this public key signed it"
"""What `--verify PUB.pem` does."""


def take_verify(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """(the value of `--verify`, the other words): it is asked before the rest can be read, which depends on the run.

    Raises BadRequest where it has no value, or several.
    """
    kept: list[str] = []
    keys: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name == "--verify":
            keys.append(value if equals else next(left, ""))
        else:
            kept.append(word)
    if len(keys) > 1 or "" in keys:
        raise BadRequest("--verify: takes one file, the public key: --verify PUB.pem")
    return (Path(keys[0]) if keys else None), kept


def positive(text: str) -> float:
    """An option's value. Raises ArgumentTypeError."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: a number above 0")
    return value


def not_negative(text: str) -> float:
    """An option's value. Raises ArgumentTypeError."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: a number of 0 or more")
    return value
