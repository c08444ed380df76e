"""Clips that workers cut while they decode: bit for bit what the device would have made of whole frames."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.films import Put, module
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, VideoDataModule
from videxp.data.loading.file_clips import read_clips
from videxp.transforms import EvalTransform, TrainTransform

TRAIN = {
    "resized": {"flip": 0.5},
    "random": {"resize": 20, "brightness": 0.4},
    "center": {"mixup_alpha": 0.4},
}


class Whole(torch.nn.Module):
    """A transform that does not say what it cuts: workers send whole frames."""

    def __init__(self, transform: torch.nn.Module) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        return self.transform(batch)


@pytest.fixture
def two(put: Put, tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for i in range(4):
            put(f"{split}/{('run', 'walk')[i % 2]}/{i}.mp4")
    return tmp_path


def batches(data: VideoDataModule) -> list[dict[str, Any]]:
    data.prepare()
    made = []
    for split, loader in (
        ("train", data.train_dataloader()),
        ("val", data.val_dataloader()),
        ("test", data.test_dataloader()),
    ):
        made += [data.transformed(batch, split, device=torch.device("cpu")) for batch in loader]
    return made


@pytest.mark.slow
@pytest.mark.parametrize("clips_per_video", [1, 2])
@pytest.mark.parametrize("crop", TRAIN)
def test_cut_in_the_worker_or_on_the_device_is_the_same(two: Path, crop: str, clips_per_video: int) -> None:
    train = TrainTransform(size=16, crop=crop, seed=3, **TRAIN[crop])
    evaluation, test = EvalTransform(size=16, resize=18), EvalTransform(size=16, resize=18, crops=3)
    common = {"size": 16, "test_clips": 2, "clips_per_video": clips_per_video, "batch_size": 2}
    ours = module(
        two, FolderPerClass(), train_transform=train, eval_transform=evaluation, test_transform=test, **common
    )
    whole = module(
        two,
        FolderPerClass(),
        train_transform=Whole(train),
        eval_transform=Whole(evaluation),
        test_transform=Whole(test),
        **common,
    )
    pairs = list(zip(batches(ours), batches(whole), strict=True))
    assert len(pairs) > 4
    for ours_batch, whole_batch in pairs:
        assert torch.equal(ours_batch["video"], whole_batch["video"])
        assert ours_batch["video"].shape[-2:] == (16, 16)
    first = ours.read("train", [0])["clip"]
    assert first.shape == (clips_per_video, 4, 16, 16, 3)


def test_files_of_several_sizes_form_batches_where_workers_cut(put: Put, tmp_path: Path) -> None:
    (
        put("train/run/a.mp4"),
        put("train/walk/b.mp4", of="wide.mp4"),
        put("val/run/a.mp4"),
        put("val/walk/b.mp4", of="wide.mp4"),
    )
    transforms = {"train_transform": TrainTransform(size=16, seed=0), "eval_transform": EvalTransform(size=16)}
    data = module(tmp_path, FolderPerClass(), size=16, batch_size=2, **transforms)
    assert [batch["video"].shape for batch in batches(data)] == [torch.Size([2, 4, 3, 16, 16])] * 3
    whole = {name: Whole(transform) for name, transform in transforms.items()}
    with pytest.raises(BadRequest, match=r"is 32x24, train/walk/b.mp4 is 64x24: set dataset.decoding.frame_size"):
        module(tmp_path, FolderPerClass(), size=16, batch_size=2, **whole).prepare()


def test_clips_of_one_video_differ_and_are_those_of_its_sample(two: Path) -> None:
    transform = TrainTransform(size=16, crop="center", flip=0, seed=0)
    data = module(two, FolderPerClass(), train_transform=transform, size=16, clips_per_video=3, batch_size=2)
    data.prepare()
    batch = next(iter(data.train_dataloader()))
    assert batch["clip"].shape == (6, 4, 16, 16, 3)
    assert batch["label"].shape == (2,)
    clips = batch["clip"].unflatten(0, (2, 3))
    assert not torch.equal(clips[0, 0], clips[0, 1])


def test_prediction_reads_a_file_as_a_test_does_and_keeps_no_whole_frames(two: Path) -> None:
    evaluation = EvalTransform(size=16, resize=18, crops=3)
    data = module(two, FolderPerClass(), eval_transform=evaluation, size=16, test_clips=2, test_frames=5)
    data.prepare()
    path = data.dataset("test").path(0)
    clips = read_clips(path, choice=data.choice_of("test"), cutter=data.cutter("test"))
    assert torch.equal(clips, data.read("test", [0])["clip"])
    assert clips.shape == (6, 5, 16, 16, 3)
    whole = read_clips(path, choice=data.choice_of("test"))
    assert torch.equal(evaluation({"clip": whole})["video"], evaluation.finish({"clip": clips})["video"])
