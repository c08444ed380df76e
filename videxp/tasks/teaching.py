"""Distillation: a network that learns from the answers of another run's network, its teacher's, too."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.data.module import VideoDataModule
from videxp.data.prepared import datamodule_of
from videxp.tasks.base import VideoTask


class Taught(VideoTask):
    """A task that may have a teacher: its loss is then (1 - teacher_weight) * its own + teacher_weight * `distance`.

    The teacher is read when training begins, frozen, and no part of this module: no optimizer, no checkpoint and no DDP
    knows of it.
    """

    def learn_from(self, teacher: str | None, *, weight: float, load_teacher: Callable[..., nn.Module] | None) -> None:
        """teacher: a run folder, whose network answers the same clips; None: there is none.

        load_teacher: gives its network, called with (run, student=, data=).
        """
        self.teacher, self.teacher_weight, self.load_teacher = teacher, weight, load_teacher

    def refusal_of_teacher(self, teacher: VideoTask) -> str:
        """Why a run's task cannot teach this one; "" if it can."""
        raise NotImplementedError

    def distance(self, answer: Any, taught: Any) -> Tensor:
        """Between the network's answer and its teacher's, a scalar; 0 where they are the same."""
        raise NotImplementedError

    def blank_batch(self, data: VideoDataModule) -> dict[str, Tensor]:
        """What a training batch of one clip is like, zeros."""
        return {"video": torch.zeros(1, data.num_frames, 3, data.size, data.size)}

    def on_fit_start(self) -> None:
        if self.teacher is None:
            return
        if self.load_teacher is None:
            raise BadRequest(f"task.teacher={self.teacher}: give the task a load_teacher")
        with torch.random.fork_rng(devices=[]):  # a network that is made draws its first weights
            network = self.load_teacher(self.teacher, student=self, data=datamodule_of(self.trainer))
        network.eval().requires_grad_(False).to(self.trainer.strategy.root_device)
        self.__dict__["_teaching"] = network

    def with_teacher(self, loss: Tensor, answer: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a training batch, and what is logged beside it."""
        if self.teacher is None:
            return loss, {}
        with torch.no_grad():
            taught = self.__dict__["_teaching"](*self.network_inputs(batch))
        distance = self.distance(answer, taught)
        loss = (1 - self.teacher_weight) * loss + self.teacher_weight * distance
        return loss, {"train/distillation": distance.detach()}
