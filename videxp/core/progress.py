"""Progress of work on many files: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from videxp.core.lines import show_error

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(description: str, total: int, *, unit: str = "") -> Iterator[Callable[[], None]]:
    """Yields a function to be called after each of `total` pieces of work. Everything goes to stderr.

    `unit` ("frames"): what a piece is, where their speed is of interest.
    """
    bar = _bar if sys.stderr.isatty() else _lines
    with bar(description, total, unit) as advance:
        yield advance


@contextmanager
def _bar(description: str, total: int, unit: str) -> Iterator[Callable[[], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from videxp.core.console import Console

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task(description, total=total, speed="")

        def advance() -> None:
            done = bar.tasks[task].completed + 1
            bar.update(task, advance=1, speed=speed(done, time.monotonic() - start, unit))

        yield advance


@contextmanager
def _lines(description: str, total: int, unit: str) -> Iterator[Callable[[], None]]:
    start = last = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if done == total or now - last >= SECONDS_BETWEEN_LINES:
            last = now
            seconds = now - start
            left = f", {seconds / done * (total - done):.0f} s left" if unit and done < total else ""
            pace = f" ({speed(done, seconds, unit)}{left})" if unit else ""
            show_error(f"{description}: {done}/{total} in {seconds:.0f} s{pace}")

    yield advance


def speed(done: float, seconds: float, unit: str) -> str:
    """(30, 2.0, "frames") -> "15.0 frames/s"; "" without a unit."""
    return f"{done / max(seconds, 1e-9):.1f} {unit}/s" if unit else ""
