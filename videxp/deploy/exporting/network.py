"""A file in the place of a run's network."""

from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from videxp.config import parse_resolved
from videxp.deploy.exporting.opening import Exported
from videxp.tasks import VideoTask
from videxp.tasks.building import build_task
from videxp.tasks.deployable import Deployable


class FileNetwork(nn.Module):
    """Called as the network that the file was made of, which is asked for everything but its answer: its weights are
    gone, so that nothing is computed by it unseen."""

    def __init__(self, exported: Exported, deployable: Deployable) -> None:
        super().__init__()
        self.exported = exported
        deployable.network.to("meta")
        self._deployable = [deployable]  # no module of this one

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._deployable[0].network, name)

    @torch.no_grad()
    def forward(self, *inputs: Any, **options: Any) -> Any:
        (deployable,) = self._deployable
        return deployable.given(self.exported(**deployable.taken(*inputs, **options)))


def config_of(exported: Exported) -> DictConfig:
    """The run's config that a file holds, through the same gate as a run folder's."""
    return parse_resolved(exported.package.config, path=exported.path)


def task_of(exported: Exported, cfg: DictConfig, transform: nn.Module) -> VideoTask:
    """The run's task, answering by the file. transform: that of the data's test."""
    task = build_task(cfg, classes=list(exported.package.classes), fresh=False).eval()
    for name, value in exported.package.chosen.items():
        task.get_buffer(name).fill_(value)
    task.answer_by(FileNetwork(exported, task.deployable(transform)))
    return task.eval()
