"""The batch size at which a network answers most clips in a second."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videxp.core.energy import Counters, Energy, measure_energy
from videxp.core.memory import MEMINFO, read_bytes
from videxp.core.timing import Timing, time_in_turn
from videxp.evaluation.measuring.runner import clips_alike

GROWS_BY = 1.02  # a larger batch is better if it gives so many times the clips
NO_MEMORY = re.compile(r"DefaultCPUAllocator|out of memory", re.IGNORECASE)


@dataclass(frozen=True)
class Measured:
    """Of one batch size."""

    batch: int
    timing: Timing
    energy: Energy
    """Over all calls."""

    @property
    def clips_per_second(self) -> float:
        return self.batch / self.timing.mean

    @property
    def joules_per_clip(self) -> float | None:
        calls = len(self.timing.calls) + len(self.timing.warmup)
        return None if self.energy.total is None else self.energy.total / (calls * self.batch)


@dataclass(frozen=True)
class BatchSearch:
    """Powers of two, tried in order."""

    tried: list[Measured]
    stopped: str
    """Why no larger one was tried."""

    @property
    def best(self) -> Measured:
        return max(self.tried, key=lambda one: one.clips_per_second)


def measure_batch(
    answer: Callable[[Mapping[str, Tensor]], Any],
    one: Mapping[str, Tensor],
    batch: int,
    *,
    seconds: float,
    finish: Callable[[], None] | None,
    counters: Counters,
) -> Measured:
    """one: a clip as the network gets it, a batch of 1."""
    call = partial(answer, clips_alike(one, batch))
    call()  # of a new size the first call makes what later ones find
    timing, energy = measure_energy(partial(time_in_turn, {"": call}, seconds=seconds, finish=finish), counters)
    return Measured(batch, timing[""], energy)


def search_batches(
    measure: Callable[[int], Measured], first: Measured, *, seconds: float, clip_bytes: int, room: int | None
) -> BatchSearch:
    """Double the batch until the clips in a second grow no more, or time or memory would not do.

    measure: of a batch size. seconds: that one size may take. clip_bytes: that one clip more needs; room: bytes that
    are free, None if unknown.
    """
    tried = [first]
    while True:
        batch = 2 * tried[-1].batch
        if 2 * 2 * tried[-1].timing.mean > seconds:  # two calls
            return BatchSearch(tried, f"{batch} clips would take longer than the time given")
        if room is not None and batch * clip_bytes > room / 2:
            return BatchSearch(tried, f"{batch} clips would take more than half of the free memory")
        best = max(one.clips_per_second for one in tried)
        try:
            tried.append(measure(batch))
        except (RuntimeError, MemoryError) as error:
            if not (isinstance(error, MemoryError) or NO_MEMORY.search(str(error))):
                raise
            return BatchSearch(tried, f"{batch} clips do not fit in memory")
        if tried[-1].clips_per_second < GROWS_BY * best:
            return BatchSearch(tried, "a larger batch gives no more")


def free_bytes(device: torch.device, meminfo: Path = MEMINFO) -> int | None:
    """Of main memory, for a network on the CPU; None if unknown, and on a GPU, which refuses by itself."""
    return read_bytes(meminfo, "MemAvailable") if device.type == "cpu" else None
