"""Frames averaged as an open shutter does it: exact, and aligned with the frame in the middle."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from videxp.core.errors import BadRequest
from videxp.transforms import FrameAverage, RestorationEval

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
