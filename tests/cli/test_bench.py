"""`videxp bench`: what it measures adds up, what it says follows from that, and it leaves nothing behind."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import Run, videxp
from tests.shrink import tiny
from tests.training.small_tasks import Mean, trainer
from videxp.cli import main
from videxp.data.speed import LoadingSpeed, Reading, Spread, share_within
from videxp.training.benchmark import Effort, Result, Training, summed_up, verdict
from videxp.training.callbacks.step_metrics import StepMetrics
from videxp.training.callbacks.throughput import Throughput
from videxp.training.phases import PHASES, StepPhases

EFFORT = Effort(watts=None, energy=["CPU: no counter"], mfu=None, no_mfu="no peak is known of a CPU")


def bench(*overrides: str, cwd: Path, recipe: str = "classification/moving_digits", flags: tuple[str, ...] = ()) -> Run:
    return videxp("bench", recipe, *tiny(*overrides, recipe=recipe, cwd=cwd), "--steps", "3", *flags, cwd=cwd)


# ---- as a user runs it -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_phases_add_up_to_the_step_and_nothing_is_left_behind(
    workplace: Path, listing: Callable[[Path], set[str]]
) -> None:
    videxp("prepare", "moving_digits", *[one for one in tiny() if one.startswith("dataset.layout")], cwd=workplace)
    before = listing(workplace)
    done = bench("hardware.num_workers=1", cwd=workplace, flags=("--json",))
    assert done.returncode == 0, done.stderr
    assert {path for path in listing(workplace) - before if not path.startswith(("cache", ".cache"))} == set()
    found = json.loads(done.stdout)
    assert (found["steps"], found["workers"], found["reading"]["clips"]) == (3, 1, 8)
    training = found["training"]
    assert sum(training["shares"].values()) == pytest.approx(1)
    assert all(training["phases"][phase]["low"] > 0 for phase in PHASES)
    assert sum(spread["low"] for spread in training["phases"].values()) <= training["step"]["high"]
    assert 0.1 < found["reading"]["decoding"] < 1
    assert found["data_clips_per_second"] > 0
    assert found["effort"]["no_mfu"] == "no peak is known of a CPU"
    assert found["effort"]["energy"]  # the counters, or why there are none
    assert "clips/s" in found["verdict"]


@pytest.mark.slow
def test_of_two_devices_one_is_measured_with_its_share_and_the_table_has_all_parts(workplace: Path) -> None:
    done = bench("hardware=ddp_cpu", "hardware.num_workers=0", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "batches of 4 clips (10 classes; 4 x 40 x 40)" in done.stdout
    parts = ("0 workers; 3 steps", "waiting for clips", "forward", "backward", "optimizer", "open, decode", "clips/s")
    for text in parts:
        assert text in done.stdout


@pytest.mark.slow
def test_a_task_with_two_optimizers_is_measured_too(tmp_path: Path) -> None:
    done = bench(cwd=tmp_path, recipe="generation/moving_digits", flags=("--json",))
    assert done.returncode == 0, done.stderr
    phases = json.loads(done.stdout)["training"]["phases"]
    assert all(phases[phase]["low"] > 0 for phase in ("forward", "backward", "optimizer"))


@pytest.mark.slow
def test_a_recipe_that_trains_nothing_is_refused(tmp_path: Path) -> None:
    done = bench(cwd=tmp_path, recipe="super_resolution/bicubic")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("Making", "Reading"))]
    assert lines == ["videxp: super_resolution/bicubic: Bicubic has no weights to train"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "RECIPE"),
        (["classification/moving_digit"], "did you mean"),
        (["classification/moving_digits", "--steps", "0"], "at least 1"),
        (["classification/moving_digits", "--steps", "many"], "invalid int value: 'many'"),
        (["classification/moving_digits", "--step=3", "--yaml"], "unrecognized arguments: --yaml"),
        (["classification/moving_digits", "optimizer.lrr=1"], "did you mean optimizer.lr?"),
    ],
)
def test_a_bad_request_is_one_line_and_status_2(arguments: list[str], message: str, capsys: Any) -> None:
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


# ---- what is measured ------------------------------------------------------------------------------------------------


class Timed(Mean):
    """A step of 2 s forward, 4 s backward and 8 s of the optimizer."""

    def __init__(self, clock: SimpleNamespace) -> None:
        super().__init__(optimizer=lambda groups: Slow(groups, clock))
        self.clock = clock

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        self.clock.now += 2
        return super().training_step(batch, batch_idx)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        self.clock.now += 4
        super().backward(loss, *args, **kwargs)


class Slow(torch.optim.SGD):
    def __init__(self, groups: Any, clock: SimpleNamespace) -> None:
        super().__init__(groups, lr=0.1)
        self.clock = clock

    def step(self, closure: Any) -> Any:
        loss = closure()
        self.clock.now += 8
        super().step()  # whose hooks run here, too, once anything has used SGD
        return loss


class Clips:
    """Five batches, each after a second."""

    def __init__(self, clock: SimpleNamespace) -> None:
        self.clock = clock

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(5):
            self.clock.now += 1
            index = torch.arange(2)
            yield {"video": torch.rand(2, 3, 3, 4, 4), "label": torch.zeros(2), "index": index, "epoch": index * 0}


@pytest.mark.filterwarnings("ignore:.*litlogger.*", "ignore:.*LeafSpec.*", "ignore:.*val_dataloader.*")
def test_each_phase_has_its_time_and_the_training_ends_after_the_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = SimpleNamespace(now=0.0)
    for name in ("phases", "callbacks.throughput"):
        monkeypatch.setattr(f"videxp.training.{name}.time", SimpleNamespace(perf_counter=lambda: clock.now))
    phases, meter, task = StepPhases(steps=6, warmup=2), Throughput(), Timed(clock)
    trainer(tmp_path, phases, meter, StepMetrics(meter), epochs=9).fit(task, Clips(clock))
    assert task.batches_seen == 2 + 6 + 1
    step = {"wait": 1, "transform": 0, "forward": 2, "backward": 4, "optimizer": 8, "rest": 0}
    assert phases.seconds == [step] * 6
    assert meter.total.waited == pytest.approx(4 / 74)  # it is told of the same waits; an epoch's rows, less the first
    found = summed_up(phases.seconds)
    assert (found.step.median, found.without_wait, found.shares["optimizer"]) == (15e3, 14e3, 8 / 15)


def test_the_share_of_a_package_is_the_time_between_its_first_call_and_the_return(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("videxp.data.speed.time", SimpleNamespace(perf_counter=lambda: clock.now))

    def wait(seconds: float) -> None:
        clock.now += seconds

    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/reader.py").write_text("def read(wait):\n    return [wait(0.03) for _ in range(2)]\n")
    source = tmp_path / "inside/reader.py"
    scope: dict[str, Any] = {}
    exec(compile(source.read_text(), str(source), "exec"), scope)

    def sample() -> None:
        scope["read"](wait)
        wait(0.02)

    assert share_within(tmp_path / "inside", sample) == pytest.approx(0.75)
    assert share_within(tmp_path / "elsewhere", sample) == 0


# ---- what is said ----------------------------------------------------------------------------------------------------


def result(*, wait: float, data: float, step: float = 100.0, workers: int = 1) -> Result:
    """Batches of 10 clips, of which `wait` of `step` ms is waiting; a loader of `data` clips/s."""
    some = Spread(1, 1, 1)
    training = Training(
        dict.fromkeys(PHASES, some), {**dict.fromkeys(PHASES, 0.0), "wait": wait / step}, some, step - wait
    )
    loading = LoadingSpeed(Spread(data, data, data), 0.1)
    return Result("r", "n", "CPU", "", False, workers, 20, Reading(10, some, 0.5, some), loading, training, EFFORT)


def test_the_verdict_follows_from_the_share_of_waiting() -> None:
    assert verdict(result(wait=5, data=300), cores=8) == (
        "the network limits: 1 worker reads 300 clips/s when left alone, the network takes 105; "
        "5 % of a step goes by waiting for clips"
    )
    assert verdict(result(wait=50, data=100, workers=2), cores=8) == (
        "the data limits: 2 workers read 100 clips/s when left alone, the network takes 200; "
        "50 % of a step goes by waiting for clips: hardware.num_workers=4 would be enough"
    )
    assert verdict(result(wait=50, data=100, workers=2), cores=2).endswith(
        "but there are 2 cores: videxp prepare --cache"
    )
    assert "read between the steps: 50 %" in verdict(result(wait=50, data=100, workers=0), cores=8)
    assert verdict(result(wait=20, data=500), cores=2).startswith("the 2 cores limit, which workers and network share")
