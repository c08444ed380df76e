"""Clips and their inputs in batches: cut alike, made alike with any number of workers, whole in tests."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.films import Put, module
from videxp.core.errors import BadRequest
from videxp.data import FrameSequences, VideoFolder
from videxp.data.annotations.companion_clip import CompanionClip
from videxp.data.loading.cropping import Box, random_box, whole_box
from videxp.tasks.restoration_inputs import degradation_name
from videxp.transforms import BicubicDown, RestorationEval, RestorationTrain


def pixel_addresses(height: int, width: int, t: int) -> np.ndarray:
    """uint8 [H,W,3]: each pixel says where and when it is: (y, x, t)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.full_like(x, t)], axis=-1).astype(np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pairs x4 whose input is every fourth pixel, of two sizes: GT/train/a, GT/test/a ... and LR/..."""
    sizes = {"train/a": (40, 56), "train/b": (40, 48), "val/a": (42, 47), "test/a": (42, 47), "test/b": (32, 48)}
    for number, (clip, (height, width)) in enumerate(sizes.items()):
        for folder in ("GT", "LR"):
            (tmp_path / "root" / folder / clip).mkdir(parents=True)
        for t in range(4 + number):
            frame = pixel_addresses(height, width, t)
            Image.fromarray(frame).save(tmp_path / "root/GT" / clip / f"{t:03d}.png")
            small = frame[: height // 4 * 4 : 4, : width // 4 * 4 : 4]
            Image.fromarray(small).save(tmp_path / "root/LR" / clip / f"{t:03d}.png")
    return tmp_path / "root"


def pairs(tmp_path: Path, **changes: object):
    defaults = {
        "size": None,
        "crop_size": 16,
        "scale": 4,
        "num_frames": 3,
        "batch_size": 2,
        "eval_batch_size": 1,
        "train_transform": RestorationTrain(seed=0),
        "eval_transform": RestorationEval(),
    }
    return module(tmp_path, FrameSequences(targets="GT", inputs="LR"), **(defaults | changes))


def test_the_crop_is_at_the_same_place_of_both_and_another_one_each_epoch(root: Path, tmp_path: Path) -> None:
    data = pairs(tmp_path, train_repeats=4)
    data.prepare()
    assert data.size == 4 and data.description == "no labels; 3 x 16 x 16, x4"
    corners = set()
    for epoch in range(4):
        for index in range(len(data.dataset("train"))):
            sample = data.dataset("train")[epoch, index]
            clip, given = sample["clip"][0], sample["degraded"][0]
            assert clip.shape == (3, 16, 16, 3) and given.shape == (3, 4, 4, 3)
            assert torch.equal(clip[:, ::4, ::4], given)  # the same frames, the same place
            corners.add(tuple(clip[0, 0, 0, :2].tolist()))
    assert len(corners) > 20 and all(y % 4 == 0 and x % 4 == 0 for y, x in corners)
    assert sample["label"] == -1


def test_an_epoch_meets_each_clip_as_often_as_it_should_at_other_places(root: Path, tmp_path: Path) -> None:
    data = pairs(tmp_path, train_repeats=3)
    data.prepare()
    dataset = data.dataset("train")
    assert len(dataset) == 6 and data.counts["train"] == 2
    assert [dataset.path(i).name for i in range(6)] == ["a", "b"] * 3
    assert not torch.equal(dataset[0, 0]["clip"], dataset[0, 2]["clip"])
    assert torch.equal(dataset[0, 2]["clip"], dataset[0, 2]["clip"])
    assert len(list(data.train_dataloader())) == 3
    assert len(data.dataset("val")) == 1


def test_tests_read_whole_sequences_of_several_sizes_cut_to_the_scale(root: Path, tmp_path: Path) -> None:
    data = pairs(tmp_path, test_frames="all", val_frames=2)
    data.prepare()
    batches = [data.on_after_batch_transfer(batch, 0) for batch in data.test_dataloader()]
    assert [list(batch["target"].shape) for batch in batches] == [[1, 7, 3, 40, 44], [1, 8, 3, 32, 48]]
    assert [list(batch["video"].shape) for batch in batches] == [[1, 7, 3, 10, 11], [1, 8, 3, 8, 12]]
    assert all(torch.equal(batch["target"][..., ::4, ::4], batch["video"]) for batch in batches)
    assert (batches[0]["target"][0, :, 2, 0, 0] * 255).round().tolist() == list(range(7))
    assert next(iter(data.val_dataloader()))["clip"].shape[1] == 2


def test_sizes_and_lengths_that_cannot_form_a_batch_are_said_before_training(root: Path, tmp_path: Path) -> None:
    for changes, message in (
        (
            {"eval_batch_size": 2},
            r"GT/test/a is 47x42, GT/test/b is 48x32: set dataset.decoding.frame_size.*eval_batch_size=1",
        ),
        ({"crop_size": None, "size": 8}, r"GT/train/a is 56x40, GT/train/b is 48x40"),
        ({"crop_size": [40, 52]}, r"GT/train/b is 48x40: too small for dataset.crop_size=\[40, 52\]"),
        ({"scale": 2}, r"its inputs, such as LR/.*, are x4, not x2: set dataset.scale=4"),
        ({"frame_size": [16, 16]}, r"frame_size=\[16, 16\]: pairs are not resized"),
    ):
        with pytest.raises(BadRequest, match=message):
            pairs(tmp_path, **changes).prepare()
    for changes, message in (
        ({"crop_size": 18}, r"crop_size=18: pixels, or \[height, width\], multiples of dataset.scale=4"),
        ({"scale": 2, "annotations": inverted()}, "dataset.annotations.degraded.scale=4 is not dataset.scale=2"),
        ({"crop_size": None}, "dataset.size=null: set it, or dataset.crop_size"),
        ({"test_frames": "all", "sampling": "segments"}, "whole videos are read by dataset.clips.sampling=clip"),
    ):
        with pytest.raises(BadRequest, match=message):
            pairs(tmp_path, **changes)


def test_whole_videos_of_several_lengths_come_one_at_a_time(put: Put, tmp_path: Path) -> None:
    for i in range(3):
        put(f"train/{i}.mp4")
        put(f"test/{i}.mp4", of="bar.mp4" if i else "bar.webm")
    put("val/a.mp4")
    layout = VideoFolder(extensions=[".mp4"])
    data = module(tmp_path, layout, test_frames="all", eval_batch_size=2, batch_size=2)
    data.prepare()  # all of 12 frames
    assert [batch["clip"].shape[1] for batch in data.test_dataloader()] == [12, 12]
    put("test/9.mp4", of="ntsc.mp4")
    with pytest.raises(
        BadRequest, match=r"test/0.mp4 has 12 frames, test/9.mp4 has 60 frames: set .*eval_batch_size=1"
    ):
        module(tmp_path, layout, test_frames="all", eval_batch_size=2, batch_size=2).prepare()


def test_a_whole_video_by_strides_and_by_seconds(put: Put, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        put(f"{split}/a.mp4")  # 12 frames at 10 fps
    for changes, expected in (({"stride_frames": 5}, [0, 5, 10]), ({"clip_fps": 4.0}, [0, 2, 5, 7, 10])):
        data = module(tmp_path, VideoFolder(), test_frames="all", batch_size=1, **changes)
        data.prepare()
        assert data.dataset("test").frames(0, rng=np.random.default_rng())[0].tolist() == expected


class Negative:
    """A degradation for the worker: a quarter of the size, inverted, plus a number that it draws."""

    scale = 4

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return 255 - clip[:, ::4, ::4] - rng.integers(0, 60, dtype=np.uint8)


def inverted() -> dict[str, CompanionClip]:
    return {"degraded": CompanionClip("degraded", scale=4, make=Negative())}


def test_a_degradation_of_another_scale_than_its_clip_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"degraded\.make\.scale=4: dataset\.annotations\.degraded\.scale is 2"):
        CompanionClip("degraded", scale=2, make=Negative())


class Black:
    """A degradation for the test: nothing is left."""

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.zeros_like(clip[:, ::4, ::4])


def test_validation_and_test_may_have_a_degradation_of_their_own(root: Path, tmp_path: Path) -> None:
    own = {"degraded": CompanionClip("degraded", scale=4, make=Negative(), test_make=Black())}
    layout, options = FrameSequences(targets="GT"), {"size": None, "crop_size": 16, "scale": 4, "num_frames": 3}
    data = module(tmp_path, layout, **options, batch_size=2, eval_batch_size=1, annotations=own)
    data.prepare()
    given = {split: data.dataset(split)[0, 0]["degraded"] for split in ("train", "val", "test")}
    assert [int(given[split].max()) > 0 for split in given] == [True, False, False]
    assert degradation_name(data) == "input: Black"
    with pytest.raises(BadRequest, match=r"degraded\.test_make\.scale=4: dataset\.annotations\.degraded\.scale is 2"):
        CompanionClip("degraded", scale=2, test_make=Negative())


@pytest.mark.slow
def test_a_degradation_in_the_worker_is_the_same_for_any_number_of_workers(root: Path, tmp_path: Path) -> None:
    seen = []
    for workers in (0, 1, 2):
        layout = FrameSequences(targets="GT")
        options = {"size": None, "crop_size": 16, "scale": 4, "num_frames": 3, "batch_size": 2, "eval_batch_size": 1}
        data = module(tmp_path, layout, **options, train_repeats=2, annotations=inverted(), num_workers=workers)
        data.prepare()
        loader = data.train_dataloader()
        batches = [batch for _ in range(2) for batch in loader]  # two epochs
        assert batches[0]["degraded"].shape == (2, 3, 4, 4, 3) and batches[0]["degraded"].dtype == torch.uint8
        seen.append(torch.stack([batch["degraded"] for batch in batches]))
    assert torch.equal(seen[0], seen[1]) and torch.equal(seen[0], seen[2])
    assert len({float(clip.float().mean()) for clip in seen[0].flatten(0, 1)}) > 5


def test_without_files_the_device_makes_the_input_from_the_same_crop(root: Path, tmp_path: Path) -> None:
    data = module(
        tmp_path,
        FrameSequences(targets="GT"),
        **{"size": None, "crop_size": [16, 24], "scale": 4, "num_frames": 3, "batch_size": 2, "eval_batch_size": 1},
        train_transform=RestorationTrain(degradation=BicubicDown(scale=4), seed=0),
        eval_transform=RestorationEval(degradation=BicubicDown(scale=4)),
    )
    data.prepare()
    batch = data.train_transform(next(iter(data.train_dataloader())))
    assert batch["target"].shape == (2, 3, 3, 16, 24) and batch["video"].shape == (2, 3, 3, 4, 6)
    assert data.size == 4 and data.description == "no labels; 3 x 16 x 24, x4"


def test_a_set_for_tests_alone_is_not_trained_on(root: Path, tmp_path: Path) -> None:
    data = pairs(tmp_path)
    data.layout.splits = "test"
    data.prepare()
    assert len(list(data.test_dataloader())) == 5
    with pytest.raises(BadRequest, match="Data set mini has no training samples: it is for evaluation alone"):
        data.train_dataloader()


def test_a_changed_input_is_an_error_that_names_it(put: Put, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(f"GT/{name}.mp4")
        put(f"LR/{name}.mp4")
    layout = VideoFolder(targets="GT", inputs="LR", splits="test")
    data = module(tmp_path, layout, size=None, crop_size=8, eval_batch_size=1)
    data.prepare()
    sample = data.dataset("test")[0, 0]
    assert torch.equal(sample["degraded"], sample["clip"])  # x1
    (tmp_path / "root/LR/a.mp4").write_bytes(b"other")
    with pytest.raises(Exception, match=r"LR/a.mp4: cannot decode frames .*\nthe file has changed"):
        data.dataset("test")[0, 0]


def test_boxes() -> None:
    assert whole_box((42, 47), multiple=4) == Box(0, 0, 40, 44)
    assert Box(8, 16, 32, 32).over(4) == Box(2, 4, 8, 8)
    boxes = {random_box((40, 48), (32, 32), multiple=8, rng=np.random.default_rng(i)) for i in range(50)}
    assert {(box.top, box.left) for box in boxes} == {(y, x) for y in (0, 8) for x in (0, 8, 16)}
    with pytest.raises(ValueError, match="does not fit"):
        random_box((30, 48), (32, 32), multiple=4, rng=np.random.default_rng())
