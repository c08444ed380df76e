"""Boxes lie on what they lay on in the file, whatever is cut, resized, flipped, turned or reversed on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.annotations.layout import Stated
from tests.films import module
from videxp.core.errors import BadRequest
from videxp.data import VideoDataModule
from videxp.data.annotations.boxes import Boxes, BoxOnFrame, cut_boxes
from videxp.data.annotations.ragged import Ragged
from videxp.data.loading.dataset import collate
from videxp.data.preparing.cache import make_cache
from videxp.data.preparing.shards import Making
from videxp.transforms import EvalTransform, RestorationTrain, TrainTransform
from videxp.transforms.restoration import Degraded

BOXES = Boxes("boxes", classes=["bar", "shade"])
EVERY = [BoxOnFrame(t, 2 * t, 0, 2 * t + 1, 24, "bar", track=7) for t in range(12)]
BLACK_AND_WHITE = {"mean": (0, 0, 0), "std": (1, 1, 1)}


class Same(torch.nn.Module):
    def forward(self, clip: torch.Tensor, rngs: list) -> Degraded:
        return Degraded(clip, clip)


TURNED = RestorationTrain(degradation=Same(), reverse_time=0.5, mirror=True, seed=2)


@pytest.fixture
def make(place: Path) -> Callable[..., VideoDataModule]:
    def make(boxes: list[BoxOnFrame] = EVERY, **changes: Any) -> VideoDataModule:
        data = module(place, Stated(BOXES, {"": BOXES.pack(boxes)}), **{"num_frames": 5, **changes})
        data.prepare()
        return data

    return make


def lies_on_the_bar(video_NTCHW: torch.Tensor, boxes: Ragged) -> int:
    """How many boxes, all of which hold the brightest column, or row, of their frame and next to nothing else."""
    rows = boxes.rows
    for i, clip in enumerate(boxes.owner.tolist()):
        frame = video_NTCHW[clip, rows["frame"][i]].float().mean(0)
        x0, y0, x1, y1 = rows["xyxy"][i].tolist()
        upright = y1 - y0 > x1 - x0
        profile, low, high = (frame.mean(0), x0, x1) if upright else (frame.mean(1), y0, y1)
        assert low - 0.75 <= int(profile.argmax()) + 0.5 <= high + 0.75, (clip, low, high, profile)
    return len(boxes.owner)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"crop_size": [16, 20]},
        {"frame_size": [48, 48]},
        {"frame_size": [48, 48], "frame_fit": "pad"},
        {"frame_size": [20, 60], "frame_fit": "stretch"},
        {"train_transform": TrainTransform(size=32, scale=(0.3, 1), flip=0.5, seed=1, **BLACK_AND_WHITE)},
        {"train_transform": TrainTransform(size=24, crop="random", resize=36, seed=1, **BLACK_AND_WHITE)},
        {"train_transform": TrainTransform(size=24, crop="random", resize=(30, 60), seed=1, **BLACK_AND_WHITE)},
        {
            "train_transform": RestorationTrain(degradation=Same(), reverse_time=0.5, mirror=True, seed=2),
            "crop_size": [24, 24],
        },
        {"train_transform": EvalTransform(size=24, resize=30, crops=3, **BLACK_AND_WHITE)},
    ],
    ids=lambda changes: " ".join(f"{type(value).__name__}" for value in changes.values()) or "whole",
)
def test_boxes_follow_what_happens_to_the_clips(make: Callable[..., VideoDataModule], changes: dict[str, Any]):
    data = make(clips_per_video=4, **changes)
    seen = 0
    for epoch in range(3):
        samples = data.dataset("train").__getitems__([(epoch, 0), (epoch, 1)])
        batch = data.transformed(collate(samples, annotations=data.annotations), "train", device=torch.device("cpu"))
        assert batch["boxes"].count == len(batch["video"])
        seen += lies_on_the_bar(batch["video"], batch["boxes"])
    assert seen > 30


def test_each_clip_shows_the_boxes_of_its_frames_with_class_and_track(make: Callable[..., VideoDataModule]):
    two = [*EVERY, BoxOnFrame(3, 10, 5, 20, 15, "shade", track=8), BoxOnFrame(3, 12.5, 0, 13, 4, "shade")]
    data = make(two, num_frames=4, stride_frames=2)
    batch = data.read("val", [0])  # frames 2, 4, 6, 8 or, had it begun there, 3, 5, 7, 9
    first = int(batch["clip"][0, 0].float().mean((0, 2)).argmax()) // 2
    rows = batch["boxes"].of_clip(0)
    shown = [box for box in two if box.frame in range(first, first + 8, 2)]
    expected = {((box.frame - first) // 2, BOXES.classes.index(box.label), box.track, box.x0, box.y1) for box in shown}
    columns = rows["frame"], rows["label"], rows["track"], rows["xyxy"][:, 0], rows["xyxy"][:, 3]
    assert set(zip(*(column.tolist() for column in columns))) == expected and len(rows["frame"]) == len(shown)
    assert rows["visible"].tolist() == [1.0] * len(shown)


def test_a_box_is_cut_to_the_clip_and_left_out_where_it_is_not_to_be_seen(make: Callable[..., VideoDataModule]):
    wide = [BoxOnFrame(t, 0, 0, 32, 24, "shade") for t in range(12)]
    corner = [BoxOnFrame(t, 0, 0, 4, 4, "bar") for t in range(12)]
    data = make(wide + corner, eval_transform=EvalTransform(size=12, resize=24))  # of 32 x 24 the middle 12 x 12
    rows = data.read("val", [0])["boxes"].of_clip(0)
    assert rows["label"].tolist() == [1] * 5
    assert rows["xyxy"].tolist() == [[0, 0, 12, 12]] * 5
    assert rows["visible"].tolist() == pytest.approx([12 * 12 / (32 * 24)] * 5)


def test_boxes_are_where_a_smaller_copy_has_them(make: Callable[..., VideoDataModule], tmp_path: Path):
    make_cache(make().manifest, tmp_path / "copies", making=Making("raw", 18, 1, 21.0))
    batch = make(cache=str(tmp_path / "copies"), clips_per_video=4).read("train", [0, 1])
    assert batch["clip"].shape[2:4] == (18, 24)
    assert lies_on_the_bar(batch["clip"].permute(0, 1, 4, 2, 3), batch["boxes"]) == 2 * 4 * 5


def test_shares_of_boxes():
    boxes = torch.tensor([[-2.0, 0, 2, 4], [1, 1, 3, 3], [9, 9, 12, 12]])
    cut, visible = cut_boxes(boxes, size=(8, 8))
    assert cut[:2].tolist() == [[0, 0, 2, 4], [1, 1, 3, 3]] and visible.tolist() == [0.5, 1.0, 0.0]


@pytest.mark.parametrize(
    ("box", "cause"),
    [
        (BoxOnFrame(12, 0, 0, 4, 4, "bar"), "its boxes of frame 12, 0 0 4 4, is outside of its 12 frames"),
        (BoxOnFrame(0, 0, 0, 33, 4, "bar"), "its boxes of frame 0, 0 0 33 4, is no box within its 32x24 pixels"),
        (BoxOnFrame(0, 4, 0, 4, 4, "bar"), "is no box within"),
    ],
)
def test_preparing_finds_boxes_that_do_not_fit_the_video(
    make: Callable[..., VideoDataModule], box: BoxOnFrame, cause: str
):
    with pytest.raises(BadRequest, match=f"9 of 9 files cannot be read: train/run/0.mp4: .*{cause}"):
        make([*EVERY, box])


def test_a_class_that_is_none_of_the_list_is_refused():
    with pytest.raises(BadRequest, match="boxes: 'bat' is none of its classes: bar, shade"):
        BOXES.pack([BoxOnFrame(0, 0, 0, 1, 1, "bat")])


def test_changes_that_boxes_cannot_follow_are_refused_before_training(make: Callable[..., VideoDataModule]):
    cut = TrainTransform(size=24, seed=0)
    with pytest.raises(
        BadRequest, match=r"frame_size=\[24, 32\]: train_transform cuts .*: set dataset.decoding.frame_size=null"
    ):
        make(train_transform=cut, frame_size=[24, 32])
    sheared = TrainTransform(size=24, rand_augment={"num_ops": 1, "magnitude": 9}, cutmix_alpha=1.0, seed=0)
    both = "train_transform.rand_augment=null dataset.train_transform.cutmix_alpha=0"
    with pytest.raises(BadRequest, match=f"where boxes cannot follow: set dataset.{both}$"):
        make(train_transform=sheared)


def test_clips_of_a_batch_are_chosen_with_their_boxes():
    one = Ragged({"x": torch.arange(5)}, torch.tensor([0, 0, 2, 3, 3]), 4)
    left = one.select(torch.tensor([True, False, True, False]))
    assert (left.rows["x"].tolist(), left.owner.tolist(), left.count) == ([0, 1, 2], [0, 0, 1], 2)
    both = Ragged.join([left, one])
    assert both.owner.tolist() == [0, 0, 1, 2, 2, 4, 5, 5] and both.count == 6
