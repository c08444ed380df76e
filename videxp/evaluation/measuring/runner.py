"""A trained task as the test runs it, as callables to be timed."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor

from videxp.data import VideoDataModule
from videxp.tasks import VideoTask

E2E_SAMPLES = 8  # files that take turns


@dataclass(frozen=True)
class Runner:
    """A task in evaluation mode on its device."""

    task: VideoTask
    device: torch.device
    in_precision: Callable[[], AbstractContextManager[Any]]
    """What the recipe's precision computes in."""

    @classmethod
    def of(cls, task: VideoTask, trainer: Trainer, device: torch.device) -> "Runner":
        plugin = trainer.precision_plugin
        return cls(plugin.convert_module(task).to(device).eval(), device, plugin.test_step_context)

    @torch.no_grad()
    def answer(self, batch: Mapping[str, Tensor]) -> Any:
        """The network alone."""
        with self.in_precision():
            return self.task.answer(batch)

    @torch.no_grad()
    def answer_file(self, datamodule: VideoDataModule, index: int) -> Any:
        """From a sample's file to its answer: open, decode, transform, answer."""
        batch = datamodule.transformed(datamodule.read("test", [index]), "test", device=self.device)
        with self.in_precision():
            return self.task.answer_whole(batch)

    @property
    def finish(self) -> Callable[[], None] | None:
        """Waits for the device; None where nothing is queued."""
        return partial(torch.cuda.synchronize, self.device) if self.device.type == "cuda" else None


class FilesInTurn:
    """Answers one file after another when called: the first ones of the split that can be read, again and again, so
    that they lie in the system's cache."""

    def __init__(self, runner: Runner, datamodule: VideoDataModule) -> None:
        dataset = datamodule.dataset("test")
        indices = datamodule.readable("test", count=E2E_SAMPLES)
        self.count = len(indices)
        numbers = [dataset.frames(index, rng=np.random.default_rng(0)).size for index in indices]
        seconds = [number / dataset.clip_fps(index) for index, number in zip(indices, numbers)]
        self.frames, self.seconds = sum(numbers) / self.count, sum(seconds) / self.count  # of a file, in the mean
        self._answer, self._indices = partial(runner.answer_file, datamodule), cycle(indices)

    def __call__(self) -> Any:
        return self._answer(next(self._indices))


def clips_alike(one: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """A batch of `count` clips, each the one."""
    return {name: value.repeat(count, *[1] * (value.ndim - 1)) for name, value in one.items()}
