"""How samples come to the trainer: by how many workers, and in which order."""

from dataclasses import dataclass
from typing import Annotated, Literal

from videxp.core.limits import Ge
from videxp.core.processes import available_cores

MAX_WORKERS = 8  # per rank, for "auto"


@dataclass(frozen=True, kw_only=True)
class Loading:
    """By how many workers samples are read, and in which order training meets them: `dataset.loading`."""

    num_workers: Annotated[int, Ge(0)] | Literal["auto"] = "auto"
    """Worker processes of each device; auto goes by the cores."""
    prefetch_factor: Annotated[int, Ge(1)] = 2
    """Batches that each worker holds ready."""
    shuffle: Literal["shards", "class_balanced"] | None = None
    """None: all samples of an epoch are mixed, whatever the number of devices. shards: each process reads its own part
    of a cache's shards, a few at a time, for data that one machine cannot hold near. class_balanced: an epoch is as
    long, and meets each class equally often; see `sampler.balanced_order`."""

    def workers(self, *, processes: int, on_gpu: bool) -> int:
        """Worker processes of each of the `processes` that share this machine."""
        if self.num_workers != "auto":
            return self.num_workers
        cores = available_cores() // max(1, processes)
        # Where the network runs on the same cores, half of them are its own.
        return min(MAX_WORKERS, cores if on_gpu else cores // 2)
