"""How fast clips can be had, for a benchmark: sample by sample, as a worker reads them, and by the loader alone."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import torch

import videxp.video
from videxp.data.loading.dataset import collate as collate_samples
from videxp.data.loading.sampler import EpochBatches
from videxp.data.module import VideoDataModule

PART_SECONDS = 20.0  # after which reading and loading are cut short
PROFILED_SAMPLES = 8


@dataclass(frozen=True)
class Spread:
    """Of some numbers."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: list[float]) -> "Spread":
        return cls(median(numbers), min(numbers), max(numbers))


@dataclass(frozen=True)
class Reading:
    """Milliseconds per clip, on one core."""

    clips: int
    """Of a batch."""

    read: Spread
    decoding: float
    """Share of `read` that passes in videxp.video: opening and decoding."""
    collate: Spread


@dataclass(frozen=True)
class LoadingSpeed:
    """The loader alone."""

    clips_per_second: Spread
    """Of the whole time; the range is over its fifths."""
    receive_ms: float
    """CPU time of the main process per clip: what its workers' transport costs it (without workers: everything)."""


def measure_reading(datamodule: VideoDataModule, *, batches: int) -> Reading:
    """Samples of the first batches, each read by one thread, as in a worker."""
    dataset = datamodule.dataset("train")
    epochs = EpochBatches(len(dataset), batch_size=datamodule.batch_size, seed=datamodule.seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        read, collate = [], []
        keys: list[Any] = []
        clips = 1
        ends = time.perf_counter() + PART_SECONDS
        for keys in islice(repeated(epochs), batches):
            start = time.perf_counter()
            samples = dataset.__getitems__(keys)
            middle = time.perf_counter()
            batch = collate_samples(samples, annotations=datamodule.annotations)
            end = time.perf_counter()
            clips = number_of_clips(batch)
            read.append((middle - start) * 1e3 / clips)
            collate.append((end - middle) * 1e3 / clips)
            if end > ends:
                break
        decoding = share_within(Path(videxp.video.__path__[0]), lambda: dataset.__getitems__(keys[:PROFILED_SAMPLES]))
    finally:
        torch.set_num_threads(threads)
    return Reading(clips, Spread.of(read), decoding, Spread.of(collate))


def measure_loading(datamodule: VideoDataModule, *, batches: int) -> LoadingSpeed:
    """Timed over ten times what workers hold ready, or what was prefetched would count as fast; from when the first
    batches are there, or the start of the workers would count as slow."""
    loader = datamodule.train_dataloader()
    held = loader.num_workers * (loader.prefetch_factor or 0)
    batches = max(batches, 10 * held)
    iterator = repeated(loader)
    for _ in range(max(1, loader.num_workers)):
        next(iterator)
    times, clips = [time.perf_counter()], [0]
    own = time.thread_time()
    for batch in islice(iterator, batches):
        times.append(time.perf_counter())
        clips.append(clips[-1] + number_of_clips(batch))
        if times[-1] - times[0] > PART_SECONDS and len(times) > 5:
            break
    own = time.thread_time() - own
    last = len(times) - 1
    bounds = [last * i // 5 for i in range(6)]
    rates = [(clips[b] - clips[a]) / (times[b] - times[a]) for a, b in pairwise(bounds) if b > a]
    whole = clips[-1] / (times[-1] - times[0])
    return LoadingSpeed(Spread(whole, min(rates), max(rates)), own * 1e3 / clips[-1])


def number_of_clips(batch: dict[str, Any]) -> int:
    """1 of a batch that has lost all its samples, so that it can be divided by."""
    return len(batch["clip"]) if "clip" in batch else 1


def repeated(batches: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from batches


def share_within(package: Path, call: Callable[[], Any]) -> float:
    """The share of a call's time that passes in functions of files beneath `package`, and in what these call."""
    beneath = f"{package}{os.sep}"
    depth, inside, entered = 0, 0.0, 0.0

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal depth, inside, entered
        if event not in ("call", "return") or not frame.f_code.co_filename.startswith(beneath):
            return
        if event == "call":
            entered = time.perf_counter() if depth == 0 else entered
            depth += 1
        else:
            depth -= 1
            inside += time.perf_counter() - entered if depth == 0 else 0.0

    start = time.perf_counter()
    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
    return inside / (time.perf_counter() - start)
