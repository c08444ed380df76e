"""Lines that videxp says: the one place where anything but a command prints."""

import sys


def show(line: str) -> None:
    """What was asked for, on stdout."""
    print(line, flush=True)


def show_error(line: str) -> None:
    """What is not part of the answer, on stderr."""
    print(line, file=sys.stderr, flush=True)


def note(line: str) -> None:
    """An event in a run, among its lines of progress: `videxp: batch 7: loss is NaN: left out`."""
    show(f"videxp: {line}")


def warn(line: str) -> None:
    """What a user should know, on stderr: `videxp: RUN is damaged`."""
    show_error(f"videxp: {line}")
