"""The same function on many inputs, on all cores, with progress."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TypeVar

import videxp
from videxp.core.errors import VidexpError
from videxp.core.parent import die_with_parent
from videxp.core.progress import progress

T = TypeVar("T")
R = TypeVar("R")

# Fork, where it exists: a worker is there in milliseconds and needs no importable __main__ (notebooks, plain scripts).
# It is safe for what runs in our workers: readers and encoders opened in the worker, no CUDA, no pool of threads of
# the parent. Python 3.14 changes the default, so the choice is written down.
START_METHOD = "fork" if sys.platform.startswith("linux") else "spawn"


def program(statements: str) -> str:
    """`python -c PROGRAM ARGUMENTS` runs statements that import videxp. Not `-m videxp...`, which would put the current
    folder first on the path: there, a json.py would hide Python's."""
    home = str(Path(videxp.__file__).parents[1])
    return f"import sys\nsys.path[0] or sys.path.pop(0)\nsys.path.append({home!r})\n{statements}"


def available_cores() -> int:
    """Cores that this process may use: a container's or a Slurm job's share, not the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    function: Callable[[T], R], inputs: Sequence[T], *, description: str, processes: int | None = None
) -> Iterator[tuple[T, R]]:
    """(input, result) in the order of completion. `function` must be importable and its results picklable.

    Raises what the function raises. A process that dies (a crash in a native library) is an error that names the
    inputs under way.
    """
    processes = min(processes or available_cores(), len(inputs))
    if processes < 2:
        with progress(description, len(inputs)) as advance:
            for item in inputs:
                yield item, function(item)
                advance()
        return
    waiting = iter(inputs)
    with _pool(processes) as pool:
        # All processes start at the first submit, before the bar's thread exists: forking a threaded parent is unsafe.
        # Few inputs are under way at a time: half a million futures would take half a gigabyte.
        running: dict[Future[R], T] = {pool.submit(function, item): item for item in islice(waiting, 4 * processes)}
        try:
            with progress(description, len(inputs)) as advance:
                while running:
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        item = running.pop(future)
                        running.update({pool.submit(function, new): new for new in islice(waiting, 1)})
                        yield item, result
                        advance()
        except BrokenProcessPool:
            suspects = ", ".join(str(item) for item in running.values())
            raise VidexpError(f"{description}: a process died; it was at one of: {suspects}") from None


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """After an error, finish what is under way, so that nothing stays half-written; Ctrl-C kills that: it may hang."""
    before = {child.pid for child in active_children()}
    pool = ProcessPoolExecutor(processes, mp_context=get_context(START_METHOD), initializer=_begin)
    try:
        try:
            yield pool
        except Exception:
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()
    except Exception:
        raise
    except BaseException:
        for worker in active_children():  # one that was being started is not yet known to the pool
            if worker.pid not in before:
                worker.kill()
        pool.shutdown(cancel_futures=True)
        raise


def _begin() -> None:
    """Ctrl-C reaches every process of the terminal; the parent alone answers it, and its end is the workers' end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
