"""The estimate of a video's noise, where the noise is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from videxp.metrics import estimated_sigma
from videxp.video import open_video

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def noisy(clip_THWC: Tensor, sigma: float) -> Tensor:
    noise = np.random.default_rng(0).standard_normal(tuple(clip_THWC.shape), dtype=np.float32)
    return clip_THWC.float() + sigma * torch.from_numpy(noise)


@pytest.mark.parametrize("sigma", [0, 3, 25, 50])
def test_the_noise_of_smooth_frames_is_found(sigma: float) -> None:
    ramp = torch.linspace(100, 150, 128).expand(5, 96, 128).unsqueeze(-1).expand(-1, -1, -1, 3)
    assert estimated_sigma(noisy(ramp, sigma)) == pytest.approx(sigma, rel=0.03, abs=0.01)
    rounded = noisy(ramp, sigma).clamp(0, 255).round().to(torch.uint8)
    assert estimated_sigma(rounded) == pytest.approx(sigma, rel=0.04, abs=0.5)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the noise of real frames is not checked: they are not there")
@pytest.mark.parametrize("name", ["set8/motorbike.mkv", "vid4/city.mkv"])
def test_the_noise_of_real_frames_is_found_but_for_their_detail(name: str) -> None:
    with open_video(DATA / name) as reader:
        clip_THWC = reader.frames(range(6))
    for sigma, high in ((25, 26.5), (50, 51.5)):
        assert sigma < estimated_sigma(noisy(clip_THWC, sigma)) < high
        assert float(noisy(clip_THWC, sigma).std()) > 1.1 * sigma  # the spread of the pixels tells no noise


def test_frames_without_pixels_enough_are_refused() -> None:
    with pytest.raises(ValueError, match="frames of 3x9 are too small"):
        estimated_sigma(torch.zeros(1, 9, 3, 3))
