"""Real compression at a stated quality: in order, worse with the QP, the same for any worker."""

import numpy as np
import pytest
import torch

from tests.transforms.corruption_psnr import psnr
from videxp.core.errors import BadRequest
from videxp.transforms import Mixed, Noise, OnCpu, Reencode, Resize, VideoCompression

BITS = 4
CODECS = {"libx264": (22, 42), "libx265": (22, 42), "mpeg4": (2, 31)}


def numbered_clip(*, num_frames: int = 15, size: int = 64) -> np.ndarray:
    """A moving texture; in its top row each frame says its number: four black or white squares."""
    y, x = np.mgrid[:size, :size]
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for t in range(num_frames):
        gray = 128 + 50 * np.sin((x + 3 * t) / 5) + 40 * np.cos(y / 3 + t / 2) * np.sin(x / 2)
        frames[t] = np.clip(gray[..., None] + np.array([20, 0, -20]), 0, 255)
        for bit in range(BITS):
            frames[t, :16, 16 * bit : 16 * bit + 16] = 255 * (t >> bit & 1)
    return frames


def numbers(clip: np.ndarray) -> list[int]:
    squares = [clip[:, 4:12, 16 * bit + 4 : 16 * bit + 12].mean(axis=(1, 2, 3)) > 128 for bit in range(BITS)]
    return [int(sum(square[t] << bit for bit, square in enumerate(squares))) for t in range(len(clip))]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("codec", CODECS)
def test_frames_stay_in_their_order_and_get_worse_with_the_qp(codec: str) -> None:
    clip = numbered_clip()
    assert numbers(clip) == list(range(15))
    coded = [Reencode(codec=codec, qp=qp)(clip, rng()) for qp in CODECS[codec]]
    assert [numbers(one) for one in coded] == [list(range(15))] * 2  # through B-frames and the encoder's delay
    better, worse = (psnr(one, clip) for one in coded)
    assert 50 > better > worse + 4 > 24
    assert np.array_equal(coded[0], Reencode(codec=codec, qp=CODECS[codec][0])(clip, rng()))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 32), (40, 40), (14, 15)])
def test_small_frames_come_the_same_each_time_from_x265(height: int, width: int) -> None:
    clip = numbered_clip(num_frames=4)[:, :height, :width]
    scattered = [np.random.default_rng(i).random(1000 * i + 1) for i in range(40)]  # memory that is used otherwise
    coded = [Reencode(codec="libx265", qp=30)(clip, rng()) for _ in scattered[:6]]
    assert coded[0].shape == clip.shape and all(np.array_equal(one, coded[0]) for one in coded)


def test_a_range_draws_for_each_clip_and_crf_is_another_quality() -> None:
    clip = numbered_clip(num_frames=5)
    drawing, generator = Reencode(qp=[20, 45]), np.random.default_rng(1)
    qualities = {round(psnr(drawing(clip, generator), clip), 3) for _ in range(4)}
    assert len(qualities) == 4
    assert not np.array_equal(Reencode(crf=30)(clip, rng()), Reencode(qp=30)(clip, rng()))


def test_names_and_refusals() -> None:
    assert str(Reencode(codec="libx265", qp=37)) == "libx265, QP 37"
    assert str(Reencode(crf=[18, 40])) == "libx264, CRF 18 to 40"
    for arguments, message in (
        ({}, "qp=None crf=None: give one of the two"),
        ({"qp": 30, "crf": 30}, "qp=30 crf=30: give one of the two"),
        ({"qp": [42, 22]}, r"qp=\[42, 22\]: a number, or \[least, greatest\]"),
        ({"qp": 52}, "qp=52: libx264 takes 0 to 51"),
        ({"codec": "mpeg4", "qp": [2, 37]}, "qp=37: mpeg4 takes 1 to 31"),
        ({"codec": "mpeg4", "crf": 20}, "codec='mpeg4' cannot be told a crf: libx264 or libx265 can"),
    ):
        with pytest.raises(BadRequest, match=message):
            Reencode(**arguments)


def test_a_workers_degradation_in_the_place_of_a_devices() -> None:
    clips = np.stack([numbered_clip(num_frames=3), 255 - numbered_clip(num_frames=3)])
    made = OnCpu(make=Reencode(qp=37))
    tensor = torch.from_numpy(clips).permute(0, 1, 4, 2, 3).float() / 255
    video, target, _ = made(tensor, [rng(), rng()])
    assert target is tensor and str(made) == "libx264, QP 37"
    for one, clip in zip(video, clips):
        back = (one * 255).round().byte().permute(0, 2, 3, 1).numpy()
        assert np.array_equal(back, Reencode(qp=37)(clip, rng()))


class Marks:
    """A step that appends its name to a list."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    def __call__(self, frames: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        self.seen.append(self.name)
        return frames


def test_a_mixture_takes_its_steps_in_random_order_each_at_most_once() -> None:
    seen: list[str] = []
    mixed, generator = Mixed(steps=[Marks(name, seen) for name in "abc"], probability=0.8), rng()
    orders = []
    clip = numbered_clip(num_frames=2, size=16)
    for _ in range(200):
        seen.clear()
        assert np.array_equal(mixed(clip, generator), clip)
        orders.append("".join(seen))
    assert all(len(set(order)) == len(order) for order in orders)
    assert {order for order in orders if len(order) == 3} == {"abc", "acb", "bac", "bca", "cab", "cba"}
    assert 0.75 < sum(map(len, orders)) / 600 < 0.85
    assert str(mixed) == "Marks, Marks, Marks in random order, each with probability 0.8"


def test_a_mixture_keeps_size_and_order_whatever_it_does() -> None:
    steps = [Resize(scale=(0.5, 1.0)), Noise(gaussian_sigma=(2, 5)), VideoCompression(bit_rate=(200_000, 200_000))]
    mixed = Mixed(steps=steps, probability=1.0)
    clip = numbered_clip(num_frames=6)
    for seed in range(4):
        out = mixed(clip, np.random.default_rng(seed))
        assert out.shape == clip.shape and out.dtype == np.uint8 and numbers(out) == list(range(6))
        assert 15 < psnr(out, clip) < 45
        assert np.array_equal(out, mixed(clip, np.random.default_rng(seed)))
