"""A file in the place of a run's network."""

from typing import Any, TypeGuard

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from videxp.config import parse_resolved
from videxp.deploy.exporting.opening import Exported
from videxp.deploy.exporting.steps import take_step
from videxp.models.layers.streaming import Streaming, begin
from videxp.tasks import VideoTask
from videxp.tasks.building import build_task
from videxp.tasks.deployable import Deployable, at_least_2d, require_streaming


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


class FileStepNetwork(FileNetwork):
    """A `Streaming` network whose step is the file's."""

    def initial_state(
        self, batch: int, size: tuple[int, int], *, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        network = require_streaming(self._deployable[0].network)
        return tuple(map(at_least_2d, network.initial_state(batch, size, device=device, dtype=dtype)))

    @torch.no_grad()
    def step(self, video: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        (deployable,) = self._deployable
        named = {one.input: tensor for one, tensor in zip(self.exported.package.state, state, strict=True)}
        answers = []
        for frame in video.split(1, dim=1):
            outputs, named = take_step(self.exported, deployable.taken(frame), named)
            answers.append(deployable.given(outputs))
        return torch.cat(answers, dim=1), tuple(named.values())

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Frames of each frame, logits [B,K] after the last one."""
        (video,) = inputs
        answers, _ = self.step(video, begin(self, video))
        return answers if answers.ndim == video.ndim else answers[:, -1]


def takes_frames(network: nn.Module) -> TypeGuard[Streaming]:
    """Whether it goes frame by frame; a file of whole clips does not, whatever its network could do."""
    is_whole = isinstance(network, FileNetwork) and not isinstance(network, FileStepNetwork)
    return isinstance(network, Streaming) and not is_whole


def config_of(exported: Exported) -> DictConfig:
    """The run's config that a file holds, through the same gate as a run folder's."""
    return parse_resolved(exported.package.config, path=exported.path)


def task_of(exported: Exported, cfg: DictConfig, transform: nn.Module) -> VideoTask:
    """The run's task, answering by the file. transform: that of the data's test."""
    task = build_task(cfg, classes=list(exported.package.classes), fresh=False).eval()
    for name, value in exported.package.chosen.items():
        task.get_buffer(name).fill_(value)
    in_place = FileStepNetwork if exported.package.state else FileNetwork
    task.answer_by(in_place(exported, task.deployable(transform)))
    return task.eval()
