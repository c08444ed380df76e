"""Noise of denoising papers and of sensors, against its published PSNR and its definition."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.core.randomness import Stream, generator
from videxp.transforms import CRVDNoise, GaussianNoise, PoissonGaussianNoise, SelfSupervised
from videxp.video import open_video

SET8 = Path(__file__).parents[2].parent / "shared" / "data" / "set8"
PUBLISHED = {10: 28.13, 20: 22.11, 30: 18.59, 40: 16.09, 50: 14.15}  # the row "noisy" of denoising papers


def rngs(count: int) -> list[np.random.Generator]:
    return [generator(0, stream=Stream.DEGRADE, epoch=0, index=i) for i in range(count)]


def film(*shape: int) -> Tensor:
    """float [N,T,C,H,W] in [0,1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2))


def psnr(noisy: Tensor, clean: Tensor) -> float:
    return float(-10 * (noisy.double() - clean.double()).square().mean().log10())


@pytest.mark.slow
@pytest.mark.parametrize("sigma", PUBLISHED)
def test_noise_itself_has_the_published_psnr_unless_it_is_clipped(sigma: int) -> None:
    clips = {"synthetic": film(1, 8, 3, 96, 96)}
    if SET8.is_dir():
        with open_video(SET8 / "motorbike.mkv") as reader:
            clips["motorbike"] = reader.frames(range(4)).permute(0, 3, 1, 2)[None].float() / 255
    for clean in clips.values():
        made = GaussianNoise(sigma=sigma)(clean, rngs(1))
        assert psnr(made.video, made.target) == pytest.approx(PUBLISHED[sigma], abs=0.02)
        assert torch.equal(made.target, clean)
        clipped = GaussianNoise(sigma=sigma, clip=True)(clean, rngs(1)).video
        assert torch.equal(clipped, made.video.clamp(0, 1))
        assert psnr(clipped, clean) > PUBLISHED[sigma] + 0.1


def test_sigma_is_drawn_for_each_clip_and_is_the_same_in_all_its_frames() -> None:
    clean = torch.full((4, 6, 3, 64, 64), 0.5)
    made = GaussianNoise(sigma=[5, 55])(clean, rngs(4))
    sigmas_NT = 255 * (made.video - clean).std((2, 3, 4))
    told_NT = 255 * made.condition[:, :, 0, 0, 0]
    assert made.condition.shape == (4, 6, 1, 64, 64)
    assert torch.equal(made.condition, made.condition[:, :1, :, :1, :1].expand(-1, 6, -1, 64, 64))
    torch.testing.assert_close(sigmas_NT, told_NT, rtol=0.03, atol=0)
    assert (told_NT[:, 0].diff().abs() > 1).all() and told_NT.min() >= 5 and told_NT.max() <= 55


@pytest.mark.parametrize("noise", [GaussianNoise(sigma=[5, 55]), PoissonGaussianNoise(), CRVDNoise()], ids=str)
def test_a_clips_noise_is_the_same_in_any_batch(noise: torch.nn.Module) -> None:
    clean = film(3, 2, 3, 8, 8)
    together = noise(clean, rngs(3))
    alone = noise(clean[2:], rngs(3)[2:])
    assert torch.equal(alone.video, together.video[2:]) and torch.equal(alone.condition, together.condition[2:])
    assert not torch.equal(noise(clean[2:], rngs(1)).video, alone.video)


def test_poisson_gaussian_noise_has_the_variance_of_photons_and_sensor() -> None:
    grey = torch.tensor([0.0, 0.2, 0.5, 0.9]).view(1, 4, 1, 1, 1).expand(1, 4, 3, 128, 128)
    made = PoissonGaussianNoise(gain=4, sigma=6)(grey, rngs(1))
    levels = 255 * grey[0, :, 0, 0, 0]
    error = 255 * (made.video - grey)[0]
    torch.testing.assert_close(error.var((1, 2, 3)), 4 * levels + 36, rtol=0.05, atol=0)
    assert error.mean((1, 2, 3)).abs().max() < 0.5
    told = 255 * made.condition[0, :, 0].mean((1, 2))  # estimated from the noisy pixels
    torch.testing.assert_close(told[1:], (4 * levels[1:] + 36).sqrt(), rtol=0.03, atol=0)
    without_light = PoissonGaussianNoise(gain=0, sigma=25)(grey, rngs(1)).video
    assert psnr(without_light, grey) == pytest.approx(20.17, abs=0.05)


def test_crvd_noise_is_the_papers_on_raw_values_of_12_bits() -> None:
    raw = torch.full((1, 2, 3, 128, 128), 1240.0)  # 1000 above black
    made = CRVDNoise(iso=[6400])((raw - 240) / 3855, rngs(1))
    back = made.video * 3855 + 240
    assert float(back.var()) == pytest.approx(13.486051 * 1000 + 130.818508, rel=0.03)
    assert float(back.mean()) == pytest.approx(1240, abs=3)


def test_a_result_names_its_noise() -> None:
    assert str(GaussianNoise()) == "Gaussian noise, sigma 25, not clipped"
    assert str(GaussianNoise(sigma=[5, 55], clip=True)) == "Gaussian noise, sigma 5 to 55, clipped"
    named = "Poisson-Gaussian noise, gain 3, sigma 2 to 8, not clipped"
    assert (
        str(PoissonGaussianNoise(sigma=[2, 8]))
        == str(SelfSupervised(degradation=PoissonGaussianNoise(sigma=[2, 8])))
        == named
    )
    assert str(CRVDNoise(iso=[1600, 3200])) == "CRVD's raw noise, ISO 1600, 3200, not clipped"


@pytest.mark.parametrize("sigma", [-1, [5], [55, 5], [5, 20, 55]])
def test_strengths_that_are_none_are_refused(sigma: Any) -> None:
    with pytest.raises(BadRequest, match=r"sigma=.*: a number of at least 0, or \[low, high\] of them"):
        GaussianNoise(sigma=sigma)


def test_an_iso_that_was_not_measured_is_refused() -> None:
    asked: Any = [1600, 800]  # as YAML may have it
    with pytest.raises(BadRequest, match=r"iso=\[1600, 800\]: one or some of 1600, 3200, 6400, 12800, 25600"):
        CRVDNoise(iso=asked)


def test_without_clean_clips_the_target_is_the_noisy_clip_itself() -> None:
    clean = film(2, 2, 3, 8, 8)
    noise = GaussianNoise(sigma=25)
    made, alone = SelfSupervised(degradation=noise)(clean, rngs(2)), SelfSupervised()(clean, rngs(2))
    assert torch.equal(made.video, noise(clean, rngs(2)).video) and torch.equal(made.target, made.video)
    assert torch.equal(alone.video, clean) and torch.equal(alone.target, clean) and alone.condition is None
    assert (SelfSupervised(degradation=noise).tells, SelfSupervised().tells) == ("noise_level", "")
