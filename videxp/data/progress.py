"""Progress of work on many files: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Yields a function to be called after each of `total` pieces of work. Everything goes to stderr."""
    bar = _bar(description, total) if sys.stderr.isatty() else _lines(description, total)
    with bar as advance:
        yield advance


@contextmanager
def _bar(description: str, total: int) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def _lines(description: str, total: int) -> Iterator[Callable[[], None]]:
    start = last = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if done == total or now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(f"{description}: {done}/{total} in {now - start:.0f} s", file=sys.stderr, flush=True)

    yield advance
