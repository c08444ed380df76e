"""What the terminal shows while a run goes on, and at its end."""

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning import Callback
from rich.console import Console

from tests.films import Put, module
from tests.training.small_tasks import Mean, trainer
from videxp.core.contract import Contract
from videxp.data import FolderPerClass
from videxp.runs.folder import RunFolder
from videxp.training.callbacks.progress import ProgressBar, Stage, fit_metrics, progress_line
from videxp.training.terminal import report_result


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_lightning")
@pytest.mark.filterwarnings("ignore:.*(does not have many workers|smaller than the logging|litlogger|LeafSpec)")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ["epoch 1/3", "epoch 2/3", "epoch 3/3"]),
        ({"max_steps": 3}, ["epoch 1/2", "epoch 2/2"]),  # of two steps an epoch
        ({"max_steps": 2, "accumulate_grad_batches": 2}, ["epoch 1/2", "epoch 2/2"]),  # of one
        ({"max_steps": 99}, ["epoch 1/3", "epoch 2/3", "epoch 3/3"]),
    ],
    ids=str,
)
def test_as_many_epochs_are_announced_as_follow(options: dict[str, Any], said: list[str], put: Put, tmp_path: Path):
    for i in range(4):
        put(f"train/{('run', 'walk')[i % 2]}/{i}.mp4")
    put("val/run/0.mp4")
    printed = io.StringIO()
    bar = ProgressBar(Console(file=printed, width=100))
    trainer(tmp_path, bar, epochs=3, **options).fit(Mean(), module(tmp_path, FolderPerClass(), batch_size=2))
    assert [line[:9] for line in printed.getvalue().splitlines()] == said


class Watch(Callback):
    """What a terminal shows after each batch."""

    def __init__(self, bar: ProgressBar) -> None:
        self.bar, self.lines = bar, []

    def look(self, *_: Any) -> None:
        assert self.bar.live is not None
        self.lines.append(self.bar.live.get_renderable().plain)

    on_train_batch_end = on_validation_batch_end = look


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_lightning")
@pytest.mark.parametrize("width", [80, 60])
def test_a_line_says_batches_pace_and_time_left_of_epoch_and_run(width: int, put: Put, tmp_path: Path):
    for i in range(6):
        put(f"train/{('run', 'walk')[i % 2]}/{i}.mp4")
        put(f"val/{('run', 'walk')[i % 2]}/{i}.mp4")
    painted = io.StringIO()
    bar = ProgressBar(Console(file=painted, width=width, force_terminal=True, color_system=None))
    watch = Watch(bar)
    fitting = trainer(tmp_path, bar, watch, epochs=2, val_check_interval=2)
    fitting.fit(Mean(), module(tmp_path, FolderPerClass(), batch_size=2))
    training = r"epoch [12]/2  [━╸ ]+  [123]/3  left \d:\d\d, run \d:\d\d  [\d.e+]+/s.*"
    validation = r"validation  [━╸ ]+  [123]/3  left \d:\d\d(, run \d:\d\d)?  [\d.e+]+/s.*"
    assert all(re.fullmatch(f"{training}|{validation}", line) for line in watch.lines), watch.lines
    assert max(map(len, watch.lines)) < width
    assert [line.split()[0] for line in watch.lines] == 2 * ["epoch", "epoch", *3 * ["validation"], "epoch"]
    assert bar.live is None
    kept = [line for line in painted.getvalue().splitlines() if re.search(r"epoch \d/2 +\d+\.\d s  val/", line)]
    assert len(kept) == 2


def test_as_much_is_shown_as_there_is_room_for():
    stage = Stage("epoch 12/100", 5678, 0, started=0.0, done=1234)
    metrics = ["train/loss 0.3125", "val/accuracy 0.9127"]

    def line(width: int) -> str:
        return progress_line(stage, width=width, rate=12.34, left=360.4, run_left=100000, metrics=metrics)

    assert line(120) == (
        "epoch 12/100  ━━╸           1234/5678  left 6:00, run 1 d 03 h  12.3/s  train/loss 0.3125  val/accuracy 0.9127"
    )
    assert line(79) == "epoch 12/100  ━━╸           1234/5678  left 6:00, run 1 d 03 h  12.3/s"
    assert line(59) == "epoch 12/100  1234/5678  left 6:00, run 1 d 03 h  12.3/s"
    assert line(27) == "epoch 12/100  1234/5678"
    assert line(8) == "epoch 12"


def test_an_epochs_line_keeps_the_deciding_metric_then_those_of_validation():
    names = ["train/generator_loss", "train/discriminator_loss", "train/r1", "val/fvd", "val/distance", "val/diversity"]
    metrics = {name: f"{name} 0.1234" for name in names}
    assert list(fit_metrics(metrics, deciding="val/distance", width=200)) == names
    assert list(fit_metrics(metrics, deciding="val/distance", width=78)) == ["train/r1", *names[3:]]
    assert list(fit_metrics(metrics, deciding="val/distance", width=40)) == ["val/fvd", "val/distance"]
    assert list(fit_metrics(metrics, deciding="val/distance", width=1)) == ["val/distance"]


def test_validation_is_no_part_of_the_pace_of_training_and_the_time_of_the_run_holds_it():
    bar = ProgressBar(Console(file=io.StringIO(), force_terminal=True))
    bar.stage, bar.epochs_left = Stage("epoch 1/3", 100, 50, started=0.0, done=60), 2.0
    assert bar.stage.seconds_left(now=5.0) == 20  # begun at batch 50: 2 in a second
    assert bar._run_left(20.0, now=5.0) == 20 + 2 * 50
    bar.epoch_seconds, bar.started = 70.0, 0.0
    assert bar._run_left(20.0, now=5.0) == 65 + 2 * 70


def test_the_heading_of_narrow_figures_stands_in_a_line(tmp_path: Path):
    loop = SimpleNamespace(loggers=[], callbacks=[], world_size=1, num_nodes=1)
    counts = {"seen": {"test": (2, 3)}, "coverage": lambda split: (2, 3)}
    data = SimpleNamespace(name="films[1]", missing={"[/]a[red].mp4": "damaged"}, **counts)
    task = SimpleNamespace(evaluation_protocol="", contract=Contract())
    experiment: Any = SimpleNamespace(trainer=loop, datamodule=data, task=task)
    printed = io.StringIO()
    run = RunFolder(tmp_path)
    run.set_state("finished")
    report_result(run, experiment, {"a/b": 0.5}, Console(file=printed, width=40), seconds=101.4)
    assert printed.getvalue().splitlines()[1] == "test (101 s in all): films[1], 2 of 3 videos"
    assert "     [/]a[red].mp4: damaged\n" in printed.getvalue()  # no markup
