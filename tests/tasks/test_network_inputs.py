"""A task says in one place what its network is called with, and wherever a batch meets the network that is asked."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from videxp.core.errors import VidexpError
from videxp.deploy.restore import Restorer
from videxp.losses import L1
from videxp.models.summary import gmacs
from videxp.tasks import Classification, Restoration, VideoTask
from videxp.tasks.schedules import Constant
from videxp.training.callbacks.throughput import latency_ms


class Told(nn.Module):
    """A network that is told a strength beside the video: float [B,T,C,H,W], [B] -> the brightened video."""

    scale, radius = 1, 0

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 3)
        self.strengths: list[list[float]] = []

    def forward(self, video: Tensor, strength: Tensor) -> Tensor:
        if not strength.is_meta:
            self.strengths.append(strength.tolist())
        return self.mix(video.movedim(2, -1)).movedim(-1, 2) * strength.view(-1, 1, 1, 1, 1)


class Scores(Told):
    """The same, and of it logits [B,3]."""

    def forward(self, video: Tensor, strength: Tensor) -> Tensor:
        return super().forward(video, strength).mean((1, 3, 4))


def strengths(batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """The batch's, or 1 where there is only a video."""
    video = batch["video"]
    return video, batch.get("condition", video.new_ones(len(video)))


class ToldRestoration(Restoration):
    def network_inputs(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return strengths(batch)


class ToldClassification(Classification):
    def network_inputs(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return strengths(batch)


def restorer(kind: type[Restoration]) -> Restoration:
    return kind(network=Told(), losses={"l1": L1()}, border=0, channel="rgb", **PARTS)


def classifier(kind: type[Classification]) -> Classification:
    return kind(network=Scores(), classes=["a", "b", "c"], monitor="val/accuracy", **PARTS)


PARTS: dict[str, Any] = {"optimizer": partial(torch.optim.SGD, lr=0.1), "scheduler": Constant()}
VIDEO = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
BATCH = {
    "video": VIDEO,
    "target": VIDEO,
    "label": torch.tensor([0, 2]),
    "condition": torch.tensor([2.0, 3.0]),
    "index": torch.arange(2),
    "epoch": torch.zeros(2),
}


@pytest.mark.parametrize("task", [restorer(ToldRestoration), classifier(ToldClassification)], ids=["restore", "label"])
def test_training_evaluation_a_try_and_the_clock_call_the_network_alike(task: VideoTask):
    told = task.network.strengths
    task.training_step(BATCH, 0)
    for split in ("val", "test"):
        task.on_test_epoch_start()
        task.evaluation_step(BATCH, split)
    task.answer(BATCH)
    assert told == [[2.0, 3.0]] * 4
    latency_ms(task, BATCH)
    assert set(map(tuple, told[4:])) == {(2.0,)}


def test_the_count_of_operations_and_files_have_the_video_alone():
    task = restorer(ToldRestoration)
    assert task.work_of_one_clip(num_frames=3, size=16) == 3 * 16 * 16 * 9 / 1e9
    Restorer(task)(VIDEO)
    assert task.network.strengths == [[1.0, 1.0]]


def test_without_it_the_network_lacks_what_it_is_told():
    task = restorer(Restoration)
    with pytest.raises(TypeError, match="strength"):
        gmacs(task.network, num_frames=3, size=16)
    with pytest.raises(VidexpError, match="strength"):
        task.training_step(BATCH, 0)
