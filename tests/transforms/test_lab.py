"""CIELAB is scikit-image's, comes back exactly, and lets color be added to a grey that keeps its lightness."""

import runpy

import numpy as np
import pytest
import torch
from skimage import color

from videxp.transforms import lab as module
from videxp.transforms.lab import lab_to_rgb, lab_to_rgb_of_same_lightness, rgb_to_lab

LEVELS = torch.cartesian_prod(*[torch.tensor([0, 1, 2, 9, 10, 11, 12, 40, 101, 128, 200, 254, 255])] * 3)


def test_lab_is_scikit_images():
    rgb = LEVELS.numpy() / 255
    for dtype, atol in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        lab = rgb_to_lab(torch.from_numpy(rgb).to(dtype))
        np.testing.assert_allclose(lab.numpy(), color.rgb2lab(rgb), atol=atol)
    np.testing.assert_allclose(lab_to_rgb(lab).numpy(), color.lab2rgb(lab.double().numpy()), atol=1e-4)


def test_8_bit_values_come_back_exactly():
    more = torch.randint(0, 256, (200_000, 3), generator=torch.Generator().manual_seed(0))
    levels = torch.cat([LEVELS, more])
    lab = rgb_to_lab(levels.float() / 255)
    assert torch.equal((lab_to_rgb(lab) * 255).round().long(), levels)
    assert torch.equal((lab_to_rgb_of_same_lightness(lab) * 255).round().long(), levels)


def test_color_beyond_srgb_loses_chroma_and_no_lightness():
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(10_000, 3, generator=generator) * torch.tensor([100.0, 300, 300]) - torch.tensor([0.0, 150, 150])
    cut, kept = rgb_to_lab(lab_to_rgb(lab)), rgb_to_lab(lab_to_rgb_of_same_lightness(lab))
    assert (cut[:, 0] - lab[:, 0]).abs().max() > 20  # what cutting does
    assert (kept[:, 0] - lab[:, 0]).abs().max() < 1e-3
    within = (rgb_to_lab(lab_to_rgb(lab)) - lab).abs().amax(1) < 1e-2
    assert within.sum() > 500
    torch.testing.assert_close(kept[within], lab[within], atol=2e-2, rtol=0)


def test_gradients_are_finite_at_black_and_white():
    rgb = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0]], requires_grad=True)
    lab = rgb_to_lab(rgb)
    for back in (lab_to_rgb, lab_to_rgb_of_same_lightness):
        (gradient,) = torch.autograd.grad(back(lab).sum(), rgb, retain_graph=True)
        assert gradient.isfinite().all()


def test_the_module_can_be_imported_where_tensors_have_no_values():
    """As where a network is built to count its operations, and this is imported for it."""
    with torch.device("meta"):
        constants = runpy.run_path(module.__file__)
        with pytest.raises(NotImplementedError):
            torch.zeros(2).tolist()  # the stock way
    expected = torch.linalg.inv(torch.tensor(constants["_XYZ"], dtype=torch.float64)).T
    assert constants["_FROM_XYZ_T"] == expected.tolist()
