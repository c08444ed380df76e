"""Against scikit-image, whose SSIM the papers report, and against numpy."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from videxp.core.errors import BadRequest
from videxp.metrics import hidden_psnr, uniform_ssim


def frames() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    target = rng.integers(256, size=(2, 2, 3, 70, 81))
    output = np.clip(target + rng.integers(-30, 31, size=target.shape), 0, 255)
    return torch.from_numpy(output / 255).float(), torch.from_numpy(target / 255).float()


def test_ssim_with_equal_weights_is_scikit_images_with_the_papers_window():
    output, target = frames()
    found = uniform_ssim(output, target, window=65)
    assert found.shape == (2, 2)
    for b in range(2):
        for t in range(2):
            a, c = (np.rint(255 * x[b, t].permute(1, 2, 0).numpy()).astype(np.uint8) for x in (output, target))
            expected = structural_similarity(c, a, win_size=65, data_range=255, channel_axis=2)
            assert float(found[b, t]) == pytest.approx(expected, abs=1e-9)
    small = structural_similarity(c, a, win_size=7, data_range=255, channel_axis=2)
    assert float(uniform_ssim(output, target, window=7)[1, 1]) == pytest.approx(small, abs=1e-9) != expected
    with pytest.raises(BadRequest, match="a window of 65 needs frames of that size at least, not 64 x 81"):
        uniform_ssim(output[..., :64, :], target[..., :64, :], window=65)


def test_psnr_of_holes_counts_hidden_pixels_alone():
    output, target = frames()
    mask = (torch.rand(2, 2, 1, 70, 81, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    mask[1, 0] = 0  # a frame without a hole
    difference = np.rint(255 * output.double().numpy()) - np.rint(255 * target.double().numpy())
    for clip, value in enumerate(hidden_psnr(output, target, mask)[:, 0]):
        hidden = np.broadcast_to(mask[clip].numpy() > 0, difference[clip].shape)
        expected = 10 * np.log10(255**2 / (difference[clip][hidden] ** 2).mean())
        assert float(value) == pytest.approx(expected, abs=1e-9)
    assert hidden_psnr(output, target, torch.zeros_like(mask)).tolist() == [[100.0], [100.0]]
