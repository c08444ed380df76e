"""Frames averaged as an open shutter does it: exact, and aligned with the frame in the middle."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from videxp.core.errors import BadRequest
from videxp.transforms import CameraShake, FrameAverage, RestorationEval
from videxp.transforms.motion_blur import shake_kernels

SHARP = torch.rand(2, 23, 3, 5, 6, generator=torch.Generator().manual_seed(0))  # three groups of 7, two frames more


@pytest.mark.parametrize("gamma", [2.2, None])
def test_each_group_becomes_its_mean_in_light_or_of_stored_values(gamma: float | None) -> None:
    video, target, condition = FrameAverage(frames=7, gamma=gamma, round=False)(SHARP)
    exponent = gamma or 1.0
    for group in range(3):
        frames = SHARP[:, 7 * group : 7 * group + 7].double().numpy()
        expected = (frames**exponent).mean(axis=1) ** (1 / exponent)
        assert_allclose(video[:, group].numpy(), expected, atol=1e-6)
        assert torch.equal(target[:, group], SHARP[:, 7 * group + 3])
    assert video.shape == target.shape == (2, 3, 3, 5, 6) and condition is None


def test_light_and_stored_values_blur_otherwise() -> None:
    black_and_white = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1, 1)
    stored, light = (float(FrameAverage(frames=3, gamma=gamma)(black_and_white).video) for gamma in (None, 2.2))
    assert stored == pytest.approx(85 / 255)
    assert light == pytest.approx(round(255 * (1 / 3) ** (1 / 2.2)) / 255)  # 155 of 255


def test_a_shutter_that_is_closed_in_between_keeps_the_same_targets() -> None:
    video, target, _ = FrameAverage(frames=3, every=7, gamma=None, round=False)(SHARP)
    assert_allclose(video.numpy(), np.stack([SHARP[:, c - 1 : c + 2].mean(1) for c in (3, 10, 17)], 1), atol=1e-6)
    assert torch.equal(target, FrameAverage(frames=7)(SHARP).target)
    assert torch.equal(FrameAverage(frames=1, every=7)(SHARP * 0).video, target * 0)


def test_a_batch_has_as_many_frames_as_groups(batch: dict) -> None:
    out = RestorationEval(degradation=FrameAverage(frames=3))(batch)
    assert out["video"].shape == out["target"].shape == (4, 1, 3, 48, 64)
    assert torch.equal(out["target"], RestorationEval(degradation=FrameAverage(frames=1))(batch)["target"][:, 1:2])


def test_names_and_refusals() -> None:
    assert str(FrameAverage()) == "mean of 7 frames in linear light, gamma 2.2"
    assert str(FrameAverage(frames=3, every=5, gamma=None)) == "mean of 3 of every 5 frames as stored"
    for arguments, message in (
        ({"frames": 4}, "frames=4 frames have none in their middle: an odd number"),
        ({"frames": 3, "every": 6}, "every=6 frames have none in their middle"),
        ({"frames": 5, "every": 3}, "every=3 is less than frames=5"),
    ):
        with pytest.raises(BadRequest, match=message):
            FrameAverage(**arguments)
    with pytest.raises(BadRequest, match=r"a clip of 6 frames is too short for every=7: set dataset.num_frames=35"):
        FrameAverage()(SHARP[:, :6])


def test_a_path_of_the_camera_has_its_length_and_its_middle_in_the_kernels_middle() -> None:
    kernels = shake_kernels(200, 6.0, reach=8, rng=np.random.default_rng(0))
    assert_allclose(kernels.sum(axis=(1, 2)), 1, atol=1e-5)
    y, x = np.mgrid[-8:9, -8:9]
    spread = (kernels * (y**2 + x**2)).sum(axis=(1, 2))
    assert 6**2 / 12 * 0.3 < spread.mean() < 6**2 / 12 * 1.5  # a straight path: length^2 / 12
    assert kernels[:, 8, 8].min() > 0 and kernels[np.hypot(y, x)[None].repeat(200, 0) > 3 + 2].max() == 0
    ways = [np.linalg.eigh(np.cov(np.stack([y.ravel(), x.ravel()]), aweights=k.ravel()))[1][:, 1] for k in kernels]
    turns = [abs(float(a @ b)) for a, b in zip(ways, ways[20:])]
    assert min(turns) < 0.3 and max(turns) > 0.95  # each frame in a direction of its own


def test_a_shaken_frame_is_the_mean_of_its_shifted_copies_in_light() -> None:
    clip = SHARP[:, :3]
    rngs = [np.random.default_rng(i) for i in range(2)]
    video, target, _ = CameraShake(pixels=(3, 3), round=False)(clip, rngs)
    assert target is clip and video.shape == clip.shape
    for n in range(2):
        rng = np.random.default_rng(n)
        kernels = shake_kernels(3, rng.uniform(3, 3), reach=3, rng=rng)
        light = np.pad(clip[n].double().numpy() ** 2.2, ((0, 0), (0, 0), (3, 3), (3, 3)), mode="edge")
        for t in range(3):
            mean = sum(kernels[t, y, x] * light[t, :, y : y + 5, x : x + 6] for y in range(7) for x in range(7))
            assert_allclose(video[n, t].numpy(), mean ** (1 / 2.2), atol=1e-5)
    assert str(CameraShake()) == "camera shake of 2 to 8 pixels a frame, mean in linear light, gamma 2.2"
    with pytest.raises(BadRequest, match=r"pixels=\[8, 2\]: \[least, greatest\] length of a path"):
        CameraShake(pixels=[8, 2])
