"""The loop's short ways change what a step costs, and nothing else."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.profilers import SimpleProfiler

from tests.films import Put, module
from tests.training.small_tasks import Mean, trainer
from videxp.data import FolderPerClass, VideoDataModule
from videxp.training.loops import STEP_HOOKS, take_short_ways

pytestmark = pytest.mark.usefixtures("quiet_lightning")


class Diary(Callback):
    """Writes down each hook of a step, with the arguments that tell steps apart."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []


def _note(name: str) -> Any:
    def hook(self: Diary, trainer: Any, task: Mean, *_: Any, **__: Any) -> None:
        self.lines.append((name, task.batches_seen))

    return hook


for _name in STEP_HOOKS:
    setattr(Diary, _name, _note(_name))


class Idle(Callback):
    """Has none of them."""


@pytest.fixture(autouse=True)
def _nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # as Lightning leaves it, and as it is left for others
    with warnings.catch_warnings():
        for text in ("does not have many workers", "smaller than the logging interval", "litlogger", "LeafSpec"):
            warnings.filterwarnings("ignore", message=f".*{text}.*")


@pytest.fixture
def data(put: Put, tmp_path: Path) -> VideoDataModule:
    for i in range(8):
        put(f"train/{('run', 'walk')[i % 2]}/{i}.mp4")
    put("val/run/0.mp4")
    return module(tmp_path, FolderPerClass(), batch_size=2)


def trained(data: VideoDataModule, folder: Path, *, short: bool, accumulate: int) -> tuple[Diary, Mean]:
    task, diary = Mean(), Diary()
    loop = trainer(folder, diary, Idle(), epochs=2, accumulate_grad_batches=accumulate)
    if short:
        take_short_ways(loop)
    loop.fit(task, data)
    return diary, task


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 3])
def test_hooks_and_weights_are_the_same(accumulate: int, data: VideoDataModule, tmp_path: Path) -> None:
    (diary, task), (before, expected) = (
        trained(data, tmp_path, short=short, accumulate=accumulate) for short in (True, False)
    )
    assert diary.lines == before.lines
    assert {name for name, _ in diary.lines} == set(STEP_HOOKS)
    for name, value in expected.network.state_dict().items():
        assert torch.equal(task.network.state_dict()[name], value), name


def test_a_profiler_that_was_asked_for_stays(tmp_path: Path) -> None:
    loop = trainer(tmp_path, profiler="simple")
    take_short_ways(loop)
    assert isinstance(loop.profiler, SimpleProfiler)
