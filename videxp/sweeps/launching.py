"""Where runs are started: what every launcher does, and what all of them need."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from videxp.training.processes.supervision import PROGRAM

# What a launcher of distributed training, a Slurm allocation or a W&B agent left in the environment: a run that found
# it would take itself for a part of that.
OF_A_PARENT = re.compile(
    r"(LOCAL|GROUP|ROLE|NODE)_RANK|RANK|(LOCAL_|GROUP_|ROLE_)?WORLD_SIZE|MASTER_(ADDR|PORT)|(TORCHELASTIC|PL|SLURM|SRUN"
    r"|SBATCH|PMI|PMIX|OMPI)_.*|VIDEXP_(REPORT_FD|PARENT)|WANDB_(RUN|SWEEP)_ID|WANDB_(NAME|RUN_GROUP|RESUME|SERVICE)"
)

OUTPUT = "output.txt"
"""What a run prints, in its folder."""


class Launcher(Protocol):
    """Starts runs, and tells whether their processes are still there; how they ended stands in their folders.

    A handle is text by which another process finds the run's process again.
    """

    slots: int
    """Runs at a time."""
    poll_seconds: float
    """How often it is worth asking."""
    queues: bool
    """Whether what was started may have to wait for its turn."""
    outlived: bool
    """Whether what was started goes on when this process ends."""

    def share(self) -> dict[str, int]:
        """What a run gets of the machine, `{"hardware.num_threads": 4}`, where its config leaves that open."""

    def start(self, run: Path) -> str:
        """Begin or go on with the planned run in a fresh process; returns its handle."""

    def ended(self, handles: Sequence[str]) -> dict[str, str]:
        """Handle -> `was ended by SIGKILL`, of those that neither run nor wait in a queue."""

    def stop(self, handles: Sequence[str], *, at_once: bool = False) -> None:
        """Ask for a checkpoint and the end; at_once: just the end."""

    def place(self, handle: str) -> str:
        """Where it runs, for people: `pid 4711`, `job 12`."""

    def close(self) -> None: ...


@runtime_checkable
class StartsTogether(Protocol):
    """A launcher that can make one job of several runs."""

    def start_together(self, runs: Sequence[Path]) -> Iterator[tuple[Path, str]]: ...


def started(launcher: Launcher, runs: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Begin or go on with each: (run, handle) as soon as it is."""
    if isinstance(launcher, StartsTogether):
        yield from launcher.start_together(runs)
    else:
        for run in runs:
            yield run, launcher.start(run)


def resume_command(run: Path, *options: str) -> list[str]:
    """`videxp resume RUN` with this Python, whatever the current folder holds."""
    return [sys.executable, "-c", PROGRAM, "resume", *options, str(run)]


def clean_environment(environment: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment, or the given one, without what a distributed parent left in it."""
    given = dict(os.environ) if environment is None else environment
    return {name: value for name, value in given.items() if not OF_A_PARENT.fullmatch(name)}
