"""The throughput meter, by a clock turned by hand: what counts as waiting, as time, as clips, and what is said."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from tests.films import Put, module
from tests.training.small_tasks import Mean, trainer
from videxp.core.memory import peak_bytes
from videxp.data import FolderPerClass
from videxp.runs.differences import first_difference
from videxp.training.callbacks.step_metrics import StepMetrics
from videxp.training.callbacks.throughput import GIB, DeviceWait, HostWait, Throughput, Total, latency_ms, summary


@dataclass
class Clock:
    """A host that queues work, and a GPU that takes its time over it."""

    host: float = 0.0
    gpu_busy_until: float = 0.0

    def perf_counter(self) -> float:
        return self.host

    thread_time = process_time = perf_counter

    def work(self, seconds: float) -> None:
        self.host += seconds

    def queue(self, gpu_seconds: float) -> None:
        self.gpu_busy_until = max(self.host, self.gpu_busy_until) + gpu_seconds

    def event(self, **_: Any) -> SimpleNamespace:
        event = SimpleNamespace()

        def record() -> None:
            event.time = max(self.host, self.gpu_busy_until)

        event.record = record
        event.query = lambda: event.time <= self.host
        event.elapsed_time = lambda other: 1e3 * (other.time - event.time)
        return event


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for name in ("videxp.training.callbacks.throughput", "videxp.core.timing"):
        monkeypatch.setattr(f"{name}.time", clock)
    monkeypatch.setattr(torch.cuda, "Event", clock.event)
    return clock


@dataclass
class Clips:
    """A loader that takes `seconds` for each batch of two clips of three frames."""

    clock: Clock
    seconds: float
    batches: int

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for i in range(self.batches):
            self.clock.work(self.seconds)
            index = torch.tensor([2 * i, 2 * i + 1])
            yield {"video": torch.rand(2, 3, 3, 4, 4), "label": torch.zeros(2), "index": index, "epoch": index * 0}


class Timed(Mean):
    """Takes a second for a step, and a hundred for a validation."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.rows: list[dict[str, float]] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        self.clock.work(1)
        return super().training_step(batch, batch_idx)

    def evaluation_step(self, batch: dict[str, Tensor], split: Any) -> None:
        self.clock.work(100)

    def log_row(self, values: dict[str, float]) -> None:
        self.rows.append(values)


def fitted(clock: Clock, folder: Path, *, data_seconds: float, **options: Any) -> tuple[Total, list[dict[str, float]]]:
    meter = Throughput()
    task = Timed(clock)
    options = {"log_every_n_steps": 2, "limit_val_batches": 0, **options}
    loaders = {"train_dataloaders": Clips(clock, data_seconds, 6), "val_dataloaders": Clips(clock, 0, 1)}
    trainer(folder, meter, StepMetrics(meter), **options).fit(task, **loaders)
    return meter.total, [row for row in task.rows if "throughput/data_wait_share" in row]


pytestmark = pytest.mark.filterwarnings("ignore:.*litlogger.*", "ignore:.*LeafSpec.*", "ignore:.*logging interval.*")


def test_the_share_is_of_the_time_in_which_clips_were_asked_for(clock: Clock, tmp_path: Path) -> None:
    total, rows = fitted(clock, tmp_path, data_seconds=3)
    # The first batch is start-up: then the first row has a wait and two steps (3 of 5 s), the others two of each.
    assert [row["throughput/data_wait_share"] for row in rows] == [0.6, 0.75, 0.75]
    assert [row["throughput/clips_per_second"] for row in rows] == [0.8, 0.5, 0.5]
    assert rows[1]["throughput/frames_per_second"] == 1.5
    assert (total.batches, total.clips, total.frames) == (6, 12, 36)
    assert (total.seconds, total.waited_seconds) == (21, pytest.approx(15))


def test_without_a_wait_the_share_is_zero(clock: Clock, tmp_path: Path) -> None:
    total, rows = fitted(clock, tmp_path, data_seconds=0)
    assert [row["throughput/data_wait_share"] for row in rows] == [0, 0, 0]
    assert total.waited == 0
    assert all(row["throughput/clips_per_second"] == 2 for row in rows)


@pytest.mark.parametrize("options", [{"val_check_interval": 3}, {"val_check_interval": 6}, {"epochs": 3}])
def test_validation_is_no_time_of_training(clock: Clock, tmp_path: Path, options: dict[str, Any]) -> None:
    total, _ = fitted(clock, tmp_path, data_seconds=1, limit_val_batches=1, **options)
    assert clock.host > 100
    assert total.seconds == 12 * options.get("epochs", 1) - 1


def waits(clock: Clock, *, gpu_seconds: float) -> tuple[float, float]:
    """What host and device waited in ten steps: (seconds by the host's clock, by the GPU's)."""
    host, device = HostWait(), DeviceWait()
    for _ in range(10):
        host.begin()
        device.begin()
        clock.work(5)
        host.end()
        device.end()
        clock.queue(gpu_seconds)
    clock.host = clock.gpu_busy_until  # metrics are logged
    return host.read(), device.read()


def test_on_a_gpu_the_host_waits_for_clips_while_the_gpu_is_busy(clock: Clock) -> None:
    """Clips every 5 s, steps of 10: the network is the limit, though the host asks for clips half of the time."""
    host, device = waits(clock, gpu_seconds=10)
    assert host == 50
    assert device == 5  # for the first batch, when the GPU had nothing to do


def test_a_gpu_that_stands_still_is_one_that_waits(clock: Clock) -> None:
    """Clips every 5 s, steps of 2: the host waits all the time, the GPU 3 of each 5 s."""
    host, device = waits(clock, gpu_seconds=2)
    assert host == 50
    assert device == 5 + 9 * 3


def test_events_that_the_gpu_has_not_come_to_are_read_later(clock: Clock) -> None:
    device = DeviceWait()
    device.begin()
    clock.work(2)
    device.end()
    device.begin()
    clock.queue(10)
    device.end()
    assert device.read() == 2
    clock.work(10)
    assert device.read() == 10
    assert device.read() == 0


def test_clips_and_frames_are_those_that_the_network_gets(clock: Clock, tmp_path: Path) -> None:
    """Three clips of each of a batch's two samples; of the last batches nothing could be read."""
    meter, task = Throughput(), Timed(clock)
    one = trainer(tmp_path)
    for batch in ({"video": torch.zeros(6, 4, 3, 2, 2), "index": torch.arange(2)}, {"index": torch.arange(0)}):
        task.clips_seen += 6
        clock.work(1)
        row = meter.read(one, task, batch)
        assert (row["throughput/clips_per_second"], row["throughput/frames_per_second"]) == (6, 24)


def test_operations_are_counted_while_the_network_is_whole(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strategy may cut weights up, as FSDP does; then a clip no longer goes through the network."""
    for name in ("train/run/a", "val/run/b", "test/run/c"):
        put(f"{name}.mp4")
    seen: list[list[int]] = []

    class CutsUp(SingleDeviceStrategy):
        def setup(self, trainer: Trainer) -> None:
            super().setup(trainer)
            for parameter in task.parameters():
                parameter.data = parameter.data.flatten()

    def count(task: Mean, *_: Any, **shape: int) -> tuple[float, str]:
        assert shape == {"num_frames": 4, "size": 8}
        seen.append([parameter.ndim for parameter in task.parameters()])
        raise RuntimeError("seen")  # which is all that the training is for

    monkeypatch.setattr("videxp.training.callbacks.throughput.share_of_clip", count)
    task, data = Mean(), module(tmp_path, FolderPerClass(), num_frames=4, size=8)
    with pytest.raises(RuntimeError, match="seen"):
        trainer(tmp_path, Throughput(), strategy=CutsUp(device=torch.device("cpu"))).fit(task, data)
    assert seen == [[1, 1, 2, 1]]


def test_the_memory_of_this_process_is_some_hundred_mebibytes() -> None:
    before = peak_bytes(torch.device("cpu")) / GIB
    assert 0.05 < before < 64
    held = bytearray(2**26)
    assert held and peak_bytes(torch.device("cpu")) / GIB >= before


def test_one_line_says_what_set_the_pace_and_what_to_do() -> None:
    fast = Total(batches=100, clips=800, frames=6400, seconds=10, waited_seconds=0.3)
    slow = Total(batches=100, clips=800, frames=6400, seconds=10, waited_seconds=3.8)
    assert summary(fast, workers=2) == (
        "80 clips/s, 640 frames/s; the network sets the pace: 3 % of the time went by waiting for clips"
    )
    assert summary(slow, workers=2, cores=16).endswith(
        "38 % of the time went by waiting for clips: raise hardware.num_workers (now 2, on 16 cores), or "
        "videxp prepare --cache"
    )
    assert summary(slow, workers=2, cores=16, is_cached=True).endswith("(now 2, on 16 cores)")
    assert summary(slow, workers=2, ranks=2, cores=4).endswith("waiting for clips: videxp prepare --cache")
    assert summary(slow, workers=2, ranks=2, cores=4, is_cached=True).endswith("videxp bench shows what reading costs")
    assert summary(Total(batches=9, clips=9, seconds=1), workers=2) == ""


def test_two_runs_that_differ_in_their_speed_alone_are_the_same() -> None:
    row = {"step": "2", "epoch": "0", "train/loss": "0.1"}
    speeds = {"throughput/data_wait_share": "0.5", "throughput/device_memory_gib": "1"}
    assert first_difference([row], [{**row, **speeds}]) is None
    assert first_difference([row], [{**row, **speeds, "train/loss": "0.2"}]) is not None


@pytest.mark.parametrize(("seconds", "calls"), [(0.01, 8), (0.5, 2), (5, 1)])
def test_the_latency_is_of_one_clip_alone_and_costs_little(clock: Clock, seconds: float, calls: int) -> None:
    """The first call is the warm-up, unless there is no other; random numbers are where they were."""
    seen: list[int] = []

    class Slow(Timed):
        def answer(self, batch: dict[str, Tensor]) -> Tensor:
            seen.append(len(batch["video"]))
            clock.work(seconds + (1.0 if len(seen) == 1 and calls > 1 else 0))
            return torch.rand(3)

    task, batch = Slow(clock), {"video": torch.rand(4, 3, 3, 4, 4), "index": torch.arange(4)}
    before = torch.get_rng_state()
    assert latency_ms(task, batch) == pytest.approx(1000 * seconds)
    assert seen == [1] * calls
    assert torch.equal(before, torch.get_rng_state())
