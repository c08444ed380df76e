"""Masks of samples: drawn alike whatever the seed in tests, read from files for the frames and the cut of a clip, moved
with the clips."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.films import module, save_picture
from videxp.core.errors import BadRequest
from videxp.data.annotations.masks import Mask, hidden
from videxp.data.layouts.footage import FrameSequences, VideoFolder
from videxp.transforms import Blobs, EvalTransform, InpaintingEval, InpaintingTrain
from videxp.video import write_video

SIZE = (20, 32)


def hole(number: int, t: int) -> np.ndarray:
    """bool [H,W]: another one in each frame of each video."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[2 + number : 9, t : t + 4 + number] = True
    return mask


def write_set(root: Path, *, videos: int = 5, frames: int = 6, color: tuple[int, int, int] = (255, 255, 255)) -> None:
    """Folders of frames with, in `masks`, what is hidden of each, in a color on dark blue."""
    rng = np.random.default_rng(0)
    for number in range(videos):
        for t in range(frames):
            picture = rng.integers(256, size=(*SIZE, 3), dtype=np.uint8)
            for place, pixels in (("frames", picture), ("masks", colored(hole(number, t), color))):
                file = root / place / f"v{number}" / f"{t:05d}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                save_picture(pixels, file, mark=str(file))


def colored(mask_HW: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.where(mask_HW[..., None], np.array(color), np.array([0, 0, 60])).astype(np.uint8)


def of_files(tmp_path: Path, **changes: Any) -> Any:
    layout = FrameSequences(targets="frames", inputs="masks")
    arguments = {"annotations": {"mask": Mask()}, "size": None, "crop_size": (8, 12), "num_frames": 3, "batch_size": 2}
    data = module(tmp_path, layout, **{**arguments, **changes})
    data.prepare()
    return data


def test_a_mask_from_files_is_of_the_frames_and_the_cut_of_the_clip(tmp_path: Path):
    write_set(tmp_path / "root")
    data = of_files(tmp_path)
    assert [annotation.name for annotation in data.annotations] == ["label", "mask"]  # masks are no degraded clips
    dataset = data.dataset("train")
    for index in range(len(dataset)):
        sample = dataset[3, index]
        number = int(dataset.file(index)[-1])
        pictures = np.stack([np.asarray(Image.open(dataset.path(index) / f"{t:05d}.png")) for t in range(6)])
        found = sample["clip"][0].numpy()
        places = [
            (t, y, x)
            for t in range(4)
            for y in range(13)
            for x in range(21)
            if (pictures[t : t + 3, y : y + 8, x : x + 12] == found).all()
        ]
        ((t, y, x),) = places
        expected = np.stack([hole(number, t + i)[y : y + 8, x : x + 12] for i in range(3)])
        assert sample["mask"].shape == (1, 3, 8, 12, 1)
        assert (sample["mask"][0, ..., 0].numpy() == expected).all()


def test_a_mask_from_files_is_brought_to_the_size_of_the_clip_by_its_nearest_pixels(tmp_path: Path):
    write_set(tmp_path / "root")
    data = of_files(tmp_path, crop_size=None, size=10, eval_transform=EvalTransform(size=10), test_frames="all")
    sample = data.dataset("test")[0, 0]  # half as large, of which the middle is cut out, in the worker
    whole = np.stack([hole(int(data.dataset("test").file(0)[-1]), t) for t in range(sample["mask"].shape[1])])
    assert sample["clip"].shape[2:4] == (10, 10)
    assert (sample["mask"][0, ..., 0].numpy() == whole[:, 1::2, 7:27:2]).all()


def test_a_video_may_be_the_mask_and_a_color_may_be_the_key(tmp_path: Path):
    lossless = {"fps": 10, "codec": "ffv1", "pixel_format": "bgr0"}
    for number in range(3):
        for folder in ("videos", "masks"):
            (tmp_path / "root" / folder).mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(256, size=(6, *SIZE, 3), dtype=np.uint8)
        write_video(tmp_path / "root" / "videos" / f"{number}.mkv", noise, **lossless)
        keyed = np.stack([colored(hole(number, t), (10, 240, 5)) for t in range(6)])
        write_video(tmp_path / "root" / "masks" / f"{number}.mkv", keyed, **lossless)
    layout = VideoFolder(targets="videos", inputs="masks/{stem}.mkv", splits="test")
    for mask in (Mask(color=[0, 255, 0]), Mask(threshold=100)):
        changes = {"annotations": {"mask": mask}, "size": 20, "test_frames": "all", "eval_batch_size": 3}
        data = module(tmp_path, layout, **changes)
        data.prepare()
        (batch,) = data.test_dataloader()
        expected = np.stack([[hole(number, t) for t in range(6)] for number in range(3)])
        assert (batch["mask"][..., 0].numpy() == expected).all()
    pixels = torch.tensor([[10, 240, 5], [60, 240, 5], [0, 0, 60]], dtype=torch.uint8)
    assert hidden(pixels, threshold=128, color=(0, 255, 0))[:, 0].tolist() == [1, 0, 0]
    assert hidden(pixels, threshold=60, color=None)[:, 0].tolist() == [1, 1, 1]


def test_masks_that_are_drawn_are_new_in_each_epoch_and_those_of_tests_the_same_whatever_the_seed(tmp_path: Path):
    write_set(tmp_path / "root", videos=6)
    layout = FrameSequences(targets="frames")

    def dataset(split: str, *, seed: int) -> Any:
        mask = Mask(make=Blobs(), seed=seed)
        data = module(tmp_path, layout, annotations={"mask": mask}, size=None, crop_size=(16, 16), num_frames=3)
        data.prepare()
        return data.dataset(split)

    one, other = dataset("train", seed=1), dataset("train", seed=2)
    assert (one[0, 0]["mask"] != one[1, 0]["mask"]).any() and (one[0, 0]["mask"] != other[0, 0]["mask"]).any()
    assert (one[4, 0]["mask"] == dataset("train", seed=1)[4, 0]["mask"]).all()
    assert (dataset("test", seed=1)[0, 0]["mask"] == dataset("test", seed=2)[0, 0]["mask"]).all()
    lacking = module(tmp_path, layout, annotations={"mask": Mask()}, size=None, crop_size=(16, 16))
    lacking.prepare()
    with pytest.raises(BadRequest, match=r"has no mask: give dataset.layout.inputs, where masks lie, or dataset.anno"):
        lacking.dataset("train")
    with pytest.raises(BadRequest, match=r"dataset.annotations.mask.color=\[0, 255\] is no color"):
        Mask(color=[0, 255])


def moving_clip() -> dict[str, Any]:
    """Noise, of which what is hidden is white: wherever the clip goes, the mask must go, too."""
    rng = np.random.default_rng(0)
    mask = torch.from_numpy((rng.random((3, 4, 16, 16, 1)) < 0.3).astype(np.uint8))
    clip = torch.from_numpy(rng.integers(250, size=(3, 4, 16, 16, 3), dtype=np.uint8))
    clip = torch.where(mask > 0, torch.full_like(clip, 255), clip)
    return {"clip": clip, "mask": mask, "index": torch.arange(3), "epoch": torch.zeros(3, dtype=torch.int64)}


@pytest.mark.parametrize("mirror", [False, True])
def test_the_mask_is_flipped_turned_and_reversed_with_its_clip_and_holes_are_grey(mirror: bool):
    batch = moving_clip()
    transform = InpaintingTrain(seed=1, flip=0.5, rotate=True, reverse_time=0.5, mirror=mirror, fill=0.25)
    moved = transform(batch)
    assert set(moved) == {"video", "target", "condition", "index", "epoch"}
    white = (moved["target"] == 1).all(2, keepdim=True)
    assert (white.float() == moved["condition"]).all()
    assert (moved["target"][:, :4] != InpaintingEval()(batch)["target"]).any()  # something has moved
    seen = moved["condition"].expand_as(moved["target"]) == 0
    assert (moved["video"][seen] == moved["target"][seen]).all() and (moved["video"][~seen] == 0.25).all()
    field = Mask().move(batch["mask"], transform.moves(batch), clip_THW=(4, 16, 16))
    assert (field.permute(0, 1, 4, 2, 3).float() == moved["condition"]).all()


def test_without_a_mask_nothing_is_hidden_and_that_is_said():
    batch = {name: value for name, value in moving_clip().items() if name != "mask"}
    with pytest.raises(BadRequest, match=r"nothing is hidden: set dataset.annotations.mask"):
        InpaintingEval()(batch)
