"""What the terminal shows while a run goes on, and at its end."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tests.films import Put, module
from tests.runs.small_tasks import Mean, trainer
from videxp.commands.train import report_result
from videxp.data import FolderPerClass
from videxp.runs.folder import RunFolder
from videxp.runs.progress import ProgressBar


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


def test_the_heading_of_narrow_figures_stands_in_a_line(tmp_path: Path):
    loop = SimpleNamespace(loggers=[], callbacks=[], world_size=1, num_nodes=1)
    whole = SimpleNamespace(causes={}, unreadable={})
    data = SimpleNamespace(coverage=lambda split: (3, 3), quarantine=whole, manifest=whole)
    task = SimpleNamespace(evaluation_protocol="", predict_example="VIDEO.mp4")
    experiment: Any = SimpleNamespace(trainer=loop, datamodule=data, task=task)
    printed = io.StringIO()
    report_result(RunFolder(tmp_path), experiment, {"a/b": 0.5}, Console(file=printed, width=40), seconds=101.4)
    assert printed.getvalue().splitlines()[1] == "test (101 s in all)"
