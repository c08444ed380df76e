"""Losses that are told a mask: each pixel of a hole counts as much as the hole is small."""

import pytest
import torch

from videxp.core.errors import BadRequest
from videxp.losses import L1, HiddenL1, VisibleL1, WeightedLosses


def test_the_means_are_those_over_hidden_and_over_visible_pixels():
    output, target = torch.zeros(2, 3, 3, 4, 5), torch.ones(2, 3, 3, 4, 5)
    mask = torch.zeros(2, 3, 1, 4, 5)
    mask[0, 0, 0, :2, :2] = 1
    output[0, 0, :, :2, :2] = torch.tensor([0.5, 0.75, 1.0]).view(3, 1, 1)
    assert float(HiddenL1()(output, target, mask)) == pytest.approx(0.25)
    assert float(VisibleL1()(output, target, mask)) == pytest.approx(1.0)
    assert float(HiddenL1()(output, target, torch.zeros_like(mask))) == 0


def test_they_stand_beside_losses_that_are_told_nothing():
    output, target, mask = torch.zeros(1, 2, 3, 4, 4), torch.ones(1, 2, 3, 4, 4), torch.zeros(1, 2, 1, 4, 4)
    mask[..., 0] = 1
    losses = WeightedLosses({"hole": HiddenL1(), "all": L1(weight=2.0), "outside": VisibleL1(of="prediction")})
    total, terms = losses(output, target, condition=mask)
    assert float(total) == pytest.approx(3.0) and set(terms) == {"hole", "all"}
    total, terms = losses(output, target, {"prediction": (target / 2, target)}, condition=mask)
    assert float(total) == pytest.approx(3.5) and float(terms["outside"]) == pytest.approx(0.5)
    with pytest.raises(BadRequest, match=r"task.losses.hole: HiddenL1 is told a mask, which these data lack"):
        losses(output, target)
