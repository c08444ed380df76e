"""Which of a run's processes this is, told without torch."""

import os


def rank() -> int | None:
    """Of this process, as its launcher counts; None without a launcher."""
    return next((int(os.environ[name]) for name in ("RANK", "SLURM_PROCID") if name in os.environ), None)


def is_rank_zero() -> bool:
    """Whether this process is the first of the run; so is the one that a person started."""
    if (number := rank()) is not None:
        return number == 0
    return all(int(os.environ.get(name, "0")) == 0 for name in ("NODE_RANK", "LOCAL_RANK"))
