"""Losses of tables and curves: their public figures, and small cases worked out by hand."""

import pytest
import torch
from torch import Tensor

from videxp.losses.color import (
    ColorConstancy,
    Exposure,
    IlluminationSmoothness,
    LutMonotonicity,
    LutSmoothness,
    SpatialConsistency,
)
from videxp.losses.restoration import WeightedLosses
from videxp.models.restoration.zero_dce import ZeroDCE
from videxp.transforms.lut import identity_lut


def video(*colors: tuple[float, float, float]) -> Tensor:
    """Columns of 4 x 4 pixels, side by side: [1,1,3,4,4*columns]."""
    return torch.tensor(colors).T.repeat_interleave(4, dim=1)[None, None, :, None].expand(-1, -1, -1, 4, -1)


def test_the_identity_table_has_the_published_variation_and_falls_nowhere():
    luts = torch.stack([identity_lut(33), torch.zeros(3, 33, 33, 33)])
    assert LutSmoothness()(luts, luts).item() == pytest.approx(1.0376e-3, rel=1e-4)
    assert LutMonotonicity()(luts, luts).item() == 0
    falling = luts.flip(-1)  # red falls by 1/32 at each step, in one channel of three
    assert LutMonotonicity()(falling, falling).item() == pytest.approx(1 / 96, rel=1e-5)


def test_regions_should_differ_as_in_the_input():
    dark, light = video((0.1, 0.1, 0.1), (0.2, 0.2, 0.2)), video((0.5, 0.5, 0.5), (0.6, 0.6, 0.6))
    assert SpatialConsistency()(light, dark).item() == pytest.approx(0, abs=1e-10)  # brighter, and no flatter
    flat = video((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert SpatialConsistency()(flat, dark).item() == pytest.approx(0.1**2)  # each of the two misses it by 0.1


def test_exposure_and_color_of_plain_frames():
    frame = video((0.2, 0.4, 0.9))
    assert Exposure(level=0.6)(frame, frame).item() == pytest.approx(0.1)
    assert ColorConstancy()(frame, frame).item() == pytest.approx(0.2**2 + 0.5**2 + 0.7**2)


def test_curves_should_change_slowly():
    curves = torch.zeros(1, 1, 6, 2, 2)
    curves[0, 0, :3, :, 1] = 0.4  # the first of two iterations rises by 0.4 at half of its pixels
    assert IlluminationSmoothness()(curves, curves).item() == pytest.approx(3 * 0.4**2 / 2 / 2)


def test_zero_dce_learns_from_dark_clips_alone():
    torch.manual_seed(0)
    net = ZeroDCE(channels=4, iterations=4)
    losses = WeightedLosses(
        {
            "spatial": SpatialConsistency(),
            "exposure": Exposure(weight=10.0),
            "color": ColorConstancy(),
            "smoothness": IlluminationSmoothness(),
        }
    )
    dark = 0.1 * torch.rand(1, 1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(50):
        output, frames = net.forward_with_intermediates(dark)
        wanted = net.intermediate_targets(dark, torch.full_like(dark, torch.nan))  # the target is not looked at
        loss, _ = losses(output, dark, {name: (frames[name], wanted[name]) for name in frames})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert dark.mean() < 0.06 and 0.4 < net(dark).mean().item() < 0.8
