"""Options of commands: a parser that answers in one line, and the values that options take."""

import argparse
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
