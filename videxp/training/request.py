"""One run as it was asked for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunRequest:
    """What was asked for, as it is told on the terminal and in the records, and where the run begins."""

    run_dir: str
    recipe: str
    command: str
    started: float
    """Seconds since the epoch."""
    resuming: bool = False
    checkpoint: str | None = None
    """Where it goes on; None: from the beginning."""
    step: int = 0
    """Batches that are done there."""
