"""How fast a run trains, and for how much of the time it waits for clips.

On the CPU a wait is what the loop spends asking the loader for the next batch. On a GPU that would be no answer: the
host only queues work, runs ahead and then waits for clips while the GPU is still busy. There a wait is how long the GPU
stood still meanwhile, by two CUDA events around the request; they are read when metrics are logged, which waits for the
device anyway. Validation counts for nothing, nor does the first batch of an attempt, for which the workers start.

Under DDP each rank waits for the slowest, so the share and the memory that are logged are those of the rank with most.
"""

import time
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Protocol

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import FSDPStrategy
from torch import Tensor

from videxp.core.memory import peak_bytes
from videxp.core.private_lightning import around_each_fetch
from videxp.core.processes import available_cores
from videxp.core.timing import time_call
from videxp.data.loading.quarantine import is_empty
from videxp.data.module import VideoDataModule
from videxp.data.prepared import datamodule_of
from videxp.runs.reading import THROUGHPUT
from videxp.tasks import VideoTask
from videxp.training.utilization import share_of_clip

WORTH_SAYING = 0.1  # share of the time; below it, more clips would hardly make training faster
ENOUGH_BATCHES = 10
CHEAPER_CLIPS = "videxp prepare --cache"
GIB = 2**30
LATENCY_CALLS, LATENCY_SECONDS = 8, 2.0


class Wait(Protocol):
    """The time between `begin` and `end`, summed."""

    def begin(self) -> None: ...
    def end(self) -> None: ...
    def read(self) -> float:
        """Seconds since it was read last."""


class HostWait:
    """By the host's clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since = time.perf_counter()

    def begin(self) -> None:
        self.since = time.perf_counter()

    def end(self) -> None:
        self.seconds += time.perf_counter() - self.since

    def read(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds


class DeviceWait:
    """By the GPU's clock: from where it was done with all that had been queued, or from `begin`, if that is later."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []

    def begin(self) -> None:
        self.begun = self._now()

    def end(self) -> None:
        self.pairs.append((self.begun, self._now()))

    def read(self) -> float:
        passed = [pair for pair in self.pairs if pair[1].query()]  # the others next time: nothing waits for them
        self.pairs = self.pairs[len(passed) :]
        return sum(begun.elapsed_time(ended) for begun, ended in passed) / 1e3

    def _now(self) -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


@dataclass
class Total:
    """Of one attempt's training, as far as it was logged."""

    batches: int = 0
    clips: float = 0.0
    frames: float = 0.0
    seconds: float = 0.0
    waited_seconds: float = 0.0

    @property
    def waited(self) -> float:
        """Share of the time."""
        return self.waited_seconds / self.seconds


class Throughput(Callback):
    """What `StepMetrics` logs as `throughput/...`. A step costs some microseconds, and waits for nothing."""

    def __init__(self) -> None:
        self.wait: Wait = HostWait()
        self.total = Total()
        self.frames_per_clip = 0
        self.has_begun = False
        self.share_of_clip: float | None = None
        self._begin(clips=0)

    def _begin(self, *, clips: int) -> None:
        self.since = time.perf_counter()
        self.clips, self.batches = clips, 0
        self.wait.read()

    def setup(self, trainer: Trainer, pl_module: VideoTask, stage: str) -> None:
        """Before the strategy has the network: of one that FSDP has cut up no operations can be counted."""
        device, data = trainer.strategy.root_device, datamodule_of(trainer)
        if stage == "fit" and isinstance(data, VideoDataModule):
            shape = {"num_frames": data.num_frames, "size": data.size}
            self.share_of_clip, _ = share_of_clip(pl_module, device, str(trainer.precision), **shape)

    def on_train_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.wait = DeviceWait() if trainer.strategy.root_device.type == "cuda" else HostWait()
        self.total, self.has_begun = Total(), False
        self._begin(clips=pl_module.clips_seen)
        around_each_fetch(trainer, before=self.wait.begin, after=self._fetched)

    def _fetched(self) -> None:
        if self.has_begun:
            self.wait.end()
        else:
            self.since, self.has_begun = time.perf_counter(), True
        self.batches += 1

    def on_train_epoch_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._begin(clips=pl_module.clips_seen)  # what passes between epochs is no training

    def on_validation_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.since += time.perf_counter() - self.paused

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: VideoTask, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        # Not where the network's parts lie on other ranks, which would have to take part.
        is_whole = not isinstance(trainer.strategy, FSDPStrategy)
        if batch_idx == 0 and trainer.is_global_zero and is_whole and not is_empty(batch):
            pl_module.log_row({f"{THROUGHPUT}latency_ms": latency_ms(pl_module, batch)})

    def read(self, trainer: Trainer, task: VideoTask, batch: dict[str, Tensor]) -> dict[str, float]:
        """The row's figures since the last row; called on all ranks, after something that waited for the device."""
        now = time.perf_counter()
        seconds, clips = now - self.since, task.clips_seen - self.clips
        if "video" in batch:  # [N,T,C,H,W]; not where it has lost all its samples
            self.frames_per_clip = batch["video"].shape[1]
        device = trainer.strategy.root_device
        share, memory = min(1.0, self.wait.read() / seconds), peak_bytes(device) / GIB
        if trainer.world_size > 1:
            most = torch.tensor([share, memory], dtype=torch.float64, device=device)
            share, memory = trainer.strategy.reduce(most, reduce_op="max").tolist()
        frames = clips * self.frames_per_clip
        self._add(clips=clips, frames=frames, seconds=seconds, share=share)
        self.since, self.clips, self.batches = now, task.clips_seen, 0
        values = {
            "clips_per_second": round(clips / seconds, 2),
            "frames_per_second": round(frames / seconds, 1),
            "data_wait_share": round(share, 4),
            "device_memory_gib": round(memory, 3),
        }
        if self.share_of_clip is not None:  # of a GPU whose peak is known
            values["mfu"] = round(clips / seconds / trainer.world_size * self.share_of_clip, 4)
        return {f"{THROUGHPUT}{name}": value for name, value in values.items()}

    def _add(self, *, clips: float, frames: float, seconds: float, share: float) -> None:
        self.total.batches += self.batches
        self.total.clips += clips
        self.total.frames += frames
        self.total.seconds += seconds
        self.total.waited_seconds += share * seconds


def latency_ms(task: VideoTask, batch: dict[str, Tensor]) -> float:
    """Milliseconds that the first clip of a batch takes alone, the median of some calls; one call if that is slow.

    A glance in passing: `videxp evaluate --on speed` measures it well.
    """
    one = task.one_clip(batch)
    device = batch["index"].device if "video" not in batch else batch["video"].device
    seconds: list[float] = []
    gpus = [device] if device.type == "cuda" else []
    finish = partial(torch.cuda.synchronize, device) if gpus else None
    with torch.no_grad(), torch.random.fork_rng(devices=gpus):
        while len(seconds) < LATENCY_CALLS and sum(seconds) < LATENCY_SECONDS:
            seconds.append(time_call(partial(task.answer, one), finish=finish).wall)
    return round(1000 * median(seconds[1:] or seconds), 3)  # the first call is the warm-up


# ---- in words --------------------------------------------------------------------------------------------------------


def summary(total: Total, *, workers: int, ranks: int = 1, is_cached: bool = False, cores: int | None = None) -> str:
    """One line on how fast it was, what set the pace, and what to do; "" where too little was seen.

    workers: of each of the `ranks` processes of this machine; cores: of the machine.
    """
    if total.batches < ENOUGH_BATCHES:
        return ""
    speed = f"{total.clips / total.seconds:,.3g} clips/s, {total.frames / total.seconds:,.4g} frames/s"
    percent = f"{100 * total.waited:.0f} %"
    if total.waited < WORTH_SAYING:
        return f"{speed}; the network sets the pace: {percent} of the time went by waiting for clips"
    cores = available_cores() if cores is None else cores
    remedies = [f"raise hardware.num_workers (now {workers}, on {cores} cores)"] if workers * ranks < cores else []
    remedies += [] if is_cached else [CHEAPER_CLIPS]
    advice = f": {', or '.join(remedies)}" if remedies else "; videxp bench shows what reading costs"
    return f"{speed}; {percent} of the time went by waiting for clips{advice}"
