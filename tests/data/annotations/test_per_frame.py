"""Each frame of a clip has its own value, whichever frames were chosen and in whatever order they stand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.annotations.layout import Stated
from tests.films import module
from videxp.core.errors import BadRequest
from videxp.data import VideoDataModule
from videxp.data.annotations.per_frame import PerFrame
from videxp.transforms import RestorationTrain, TrainTransform
from videxp.transforms.restoration import Degraded

OWN_NUMBER = [(t, t, float(t)) for t in range(12)]


class Same(torch.nn.Module):
    def forward(self, clip: torch.Tensor, rngs: list) -> Degraded:
        return Degraded(clip, clip)


@pytest.fixture
def make(place: Path) -> Callable[..., VideoDataModule]:
    def make(intervals: list[tuple[int, int, float]] = OWN_NUMBER, **changes: Any) -> VideoDataModule:
        layout = Stated(PerFrame("moment", missing=-1.0), {"": PerFrame.pack(intervals)})
        data = module(place, layout, **changes)
        data.prepare()
        return data

    return make


@pytest.mark.parametrize(
    "transform",
    [
        RestorationTrain(degradation=Same(), flip=0, rotate=False, reverse_time=0.5, mirror=True, seed=1),
        TrainTransform(size=24, flip=0, seed=1, crop="center", rand_augment={"num_ops": 1, "magnitude": 0}),
    ],
    ids=["reversed and mirrored", "RandAugment, which moves nothing in time"],
)
def test_values_stand_where_their_frames_do(make: Callable[..., VideoDataModule], transform: torch.nn.Module):
    data = make(train_transform=transform, clips_per_video=4)
    batch = data.transformed(data.read("train", [0, 1]), "train", device=torch.device("cpu"))
    shown_NT = batch["video"].float().mean((2, 3)).argmax(-1)  # the column of the bar; those of TrainTransform lose 4
    shift = (32 - batch["video"].shape[-1]) // 2
    inside = (shown_NT > 0) & (shown_NT < batch["video"].shape[-1] - 1)
    assert inside.sum() > 12
    assert torch.equal((shown_NT + shift)[inside], (2 * batch["moment"]).long()[inside])
    backwards = (batch["moment"].diff(dim=1) < 0).any()
    assert bool(backwards) == isinstance(transform, RestorationTrain)


def test_intervals_hold_for_their_frames_and_the_later_one_stands(make: Callable[..., VideoDataModule]):
    data = make([(0, 4, 0.5), (4, 5, 2.0), (9, 11, 3.0)], num_frames=12)
    assert data.read("val", [0])["moment"].tolist() == [[0.5] * 4 + [2.0] * 2 + [-1.0] * 3 + [3.0] * 3]


def test_preparing_finds_an_interval_that_ends_after_the_video(make: Callable[..., VideoDataModule]):
    with pytest.raises(BadRequest, match=r"9 of 9 files .*its moment is stated for frames 3 to 12, it has 12"):
        make([(3, 12, 1.0)])


def test_a_name_that_batches_have_already_is_refused(place: Path):
    with pytest.raises(BadRequest, match="annotations called label: batches have this key: rename it"):
        module(place, Stated(PerFrame("label"), {"": ""})).prepare()
