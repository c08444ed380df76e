"""Holes of whole videos: windows and their blending against sums by hand, in constant memory; and on files."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from videxp.core.errors import BadRequest, VidexpError
from videxp.deploy.inpaint import Holes, InpaintPlan, dilated, inpainted, plan_for, region
from videxp.deploy.inpaint_files import add_arguments, check, predict
from videxp.models.restoration.fills import TemporalMedianVisible
from videxp.models.restoration.sttn import STTN
from videxp.tasks.restoration_inputs import inputs_of
from videxp.video import open_video, write_video
from videxp.video.sequence import Picture

LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}


class Frames(SimpleNamespace):
    """Pictures in memory, as `open_sequence` gives them."""

    def __iter__(self) -> Iterator[Picture]:
        for number, pixels in enumerate(self.pixels):
            self.read = number
            yield Picture(pixels, pts=number)


def frames(count: int, *, height: int = 12, width: int = 16) -> Frames:
    pixels = np.random.default_rng(0).integers(256, size=(count, height, width, 3), dtype=np.uint8)
    return Frames(path=Path("a.mp4"), num_frames=count, size=(height, width), pixels=pixels)


def masks(video: Frames, *, step: int = 1) -> list[np.ndarray]:
    found = np.zeros((video.num_frames, *video.size), dtype=bool)
    for t in range(video.num_frames):
        left = step * t % (video.size[1] - 4)
        found[t, 3:7, left : left + 4] = True
    return list(found)


class Average(nn.Module):
    """The holes get the mean of all that it sees, as a trace of what that was."""

    scale, radius, told = 1, None, "mask"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, ...]] = []

    def forward(self, video: Tensor, condition: Tensor) -> Tensor:
        self.calls.append(tuple(video.shape))
        mean = video.mean()
        return torch.where(condition > 0, mean, video)


@pytest.mark.parametrize("count", [1, 4, 11, 12, 23])
def test_windows_are_blended_by_their_mean_and_see_frames_for_reference(count: int):
    plan = InpaintPlan(around=3, stride=3, reference_step=4, references=2, margin=0)
    video = frames(count)
    holes = masks(video)
    made = [p.pixels_HWC for p in inpainted(Average(), video, holes, plan=plan)]
    total, seen = np.zeros((count, 12, 16, 3)), np.zeros(count)
    grey = np.where(np.stack(holes)[..., None], 0.5, video.pixels / 255)
    for middle in range(0, count, 3):
        window = [n for n in range(middle - 3, middle + 4) if 0 <= n < count]
        others = [n for n in range(count) if n % 4 == 0 and n not in window and abs(n - middle) <= 3 + 4 * 2]
        for n in window:
            total[n] += grey[window + others].mean()
            seen[n] += 1
    expected = np.where(np.stack(holes)[..., None], np.round(255 * total / seen[:, None, None, None]), video.pixels)
    assert len(made) == count and np.abs(np.stack(made).astype(int) - expected).max() <= 1  # 32 bits against 64
    outside = ~np.stack(holes)
    assert (np.stack(made)[outside] == video.pixels[outside]).all()


def test_a_long_video_is_held_in_windows_and_parts_without_holes_cost_nothing():
    plan = InpaintPlan(around=2, stride=2, reference_step=3, references=1, margin=2)
    video, network = frames(60), Average()
    holes = [mask if 20 <= n < 24 else np.zeros_like(mask) for n, mask in enumerate(masks(video, step=0))]
    ahead = []
    for number, picture in enumerate(inpainted(network, video, holes, plan=plan)):
        ahead.append(video.read - number)
        assert holes[number].any() or (picture.pixels_HWC == video.pixels[number]).all()
    assert max(ahead) <= 2 * plan.reach
    assert len(network.calls) == 4  # around frames 18, 20, 22 and 24
    assert {shape[3:] for shape in network.calls} == {(8, 6)}  # 4 x 4 pixels and 2 around, cut at the left
    with pytest.raises(VidexpError, match="the mask hides nothing"):
        list(inpainted(network, video, [np.zeros((12, 16), bool)] * 60, plan=plan))


def test_plans_of_networks_and_the_region_of_holes():
    sttn, average = STTN(channels=4, blocks=1, patches=[1]), Average()
    plan = plan_for(sttn, (240, 432))
    assert plan == InpaintPlan(around=5, stride=5, reference_step=10, references=5, margin=0)  # as the authors have it
    assert str(plan).startswith("windows of 11 frames, 5 apart, every 10th of 50 further ones to either side")
    assert plan_for(average, (720, 1280)) == InpaintPlan(15, 15, 0, 5, 128)
    assert plan_for(average, (720, 1280), window=1, margin=0) == InpaintPlan(0, 1, 0, 5, 0)
    mask = np.zeros((20, 30), bool)
    mask[4, 7] = True
    assert region([mask], margin=5) == (slice(0, 10), slice(2, 13)) and region([~mask & mask], margin=5) is None
    assert dilated(mask, 2).sum() == 13 and dilated(mask, 0).sum() == 1  # a cross, not a square


# ---- on files --------------------------------------------------------------------------------------------------------


def run(*arguments: object, network: nn.Module | None = None) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([str(a) for a in arguments])
    check(options)
    network = network or TemporalMedianVisible()
    return predict(SimpleNamespace(deployed=network, network_inputs=partial(inputs_of, network)), None, options)


def read(path: Path) -> np.ndarray:
    with open_video(path) as reader:
        return reader.frames(range(reader.num_frames)).numpy()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """video.mkv: a still camera, 9 frames, of which a 4 x 4 square that wanders is spoilt; mask.mkv: that square."""
    still = np.repeat(frames(1, height=24, width=32).pixels, 9, axis=0)
    holes = np.stack(masks(Frames(num_frames=9, size=(24, 32)), step=3))
    spoilt = np.where(holes[..., None], 255 - still, still).astype(np.uint8)
    for name, pixels in {
        "clean": still,
        "video": spoilt,
        "mask": holes[..., None].repeat(3, -1) * np.uint8(255),
    }.items():
        write_video(tmp_path / f"{name}.mkv", pixels, fps=10, **LOSSLESS)
    (tmp_path / "masks").mkdir()
    for t, hole in enumerate(holes):
        Image.fromarray(np.where(hole, 1, 0).astype(np.uint8)).save(tmp_path / "masks" / f"{t:05d}.png")
    return tmp_path


def test_a_video_is_whole_again_and_outside_of_the_mask_bit_for_bit_the_same(place: Path, capsys: Any):
    lossless = ("--codec", "ffv1", "--pixel-format", "bgr0")
    assert run(place / "video.mkv", "--mask", place / "mask.mkv", "-o", place / "out.mkv", *lossless) == 0
    assert (read(place / "out.mkv") == read(place / "clean.mkv")).all()
    assert "9 frames, 32x24, windows of 31 frames" in capsys.readouterr().out
    given = (place / "video.mkv", "--mask", place / "masks", "--mask-threshold", 1, "-o", place / "again.mkv")
    assert run(*given, *lossless) == 0
    assert (read(place / "again.mkv") == read(place / "clean.mkv")).all()
    torch.manual_seed(0)
    network = STTN(channels=4, blocks=1, patches=[1, 2])
    given = (place / "video.mkv", "--box", "2,4,6,3", "--dilate", 1, "-o", place / "box.mkv", *lossless)
    assert run(*given, network=network) == 0
    changed = (read(place / "box.mkv") != read(place / "video.mkv")).any(-1)
    box = np.zeros((24, 32), bool)
    box[4:7, 2:8] = True
    assert (changed <= dilated(box, 1)).all() and changed[:, 4:7, 2:8].mean() > 0.9


def test_one_picture_is_the_mask_of_all_frames_and_of_several_videos(place: Path):
    logo = np.zeros((24, 32, 3), np.uint8)
    logo[2:5, 3:9] = (0, 255, 0)
    Image.fromarray(logo).save(place / "logo.png")
    both = (place / "video.mkv", place / "clean.mkv")
    color = ("--mask-color", "0,250,5", "--codec", "ffv1", "--pixel-format", "bgr0")
    assert run(*both, "--mask", place / "logo.png", *color, "-o", place / "out") == 0
    assert (read(place / "out/clean.mkv")[:, 8:] == read(place / "clean.mkv")[:, 8:]).all()
    assert (read(place / "out/clean.mkv")[:, 2:5, 3:9] != read(place / "clean.mkv")[:, 2:5, 3:9]).any()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mask", "short.mkv"), "short.mkv has 3 frames, .*video.mkv has 9: a mask has one for each frame"),
        (("--mask", "small.png"), "small.png is 8x6, .*video.mkv is 32x24: a mask has the video's size"),
        (("--mask", "none.mkv"), "none.mkv: there is no such file or folder"),
        (("--mask", "masks"), "the mask hides nothing: see --mask-threshold"),
        (("--box", "30,0,4,4"), "--box 30,0,4,4 leaves .*video.mkv, which is 32x24"),
        (("--box", "3,0,0,4"), "its width and height must be 1 or more"),
        (("--box", "0,0,4,4", "--mask-color", "0,0,0"), "--mask-color is of a --mask"),
        (("--mask", "mask.mkv", "--mask-color", "0,0,999"), "is no color"),
        (("clean.mkv", "--mask", "mask.mkv"), "masks of single frames are of one video, and 2 are given"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(place: Path, words: tuple[str, ...], message: str):
    write_video(place / "short.mkv", read(place / "mask.mkv")[:3], fps=10, **LOSSLESS)
    Image.new("L", (8, 6), 255).save(place / "small.png")
    given = [place / word if (place / word).exists() or word == "none.mkv" else word for word in words]
    output = place / ("out" if words[0] == "clean.mkv" else "out.mkv")
    with pytest.raises(VidexpError, match=message) as told:
        run(place / "video.mkv", *given, "-o", output)
    assert len(str(told.value).splitlines()) <= 3 and not output.exists()


def test_a_mask_is_not_overwritten(place: Path):
    with pytest.raises(BadRequest, match=r"mask.mkv"):
        run(place / "video.mkv", "--mask", place / "mask.mkv", "-o", place / "mask.mkv", "--overwrite")
    assert Holes(box=(0, 0, 1, 1)).is_still and not Holes(place / "masks").is_still
