"""Warping and deformable convolutions against what can be computed by other means."""

import pytest
import torch
from torch.nn import functional as F

from videxp.core.warping import flow_warp
from videxp.models.layers.alignment import DeformableConv, FlowGuidedDeformableConv, ModulatedDeformableConv


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def constant_flow(dx: float, dy: float, like: torch.Tensor) -> torch.Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(len(like), 2, *like.shape[-2:])


def test_a_flow_of_whole_pixels_shifts_and_fills_with_zeros_or_the_border():
    frames = noise(2, 3, 6, 7)
    moved = torch.roll(frames, shifts=(-1, -2), dims=(2, 3))  # out[y, x] = in[y + 1, x + 2]
    warped = flow_warp(frames, constant_flow(2, 1, frames))
    torch.testing.assert_close(warped[..., :-1, :-2], moved[..., :-1, :-2])
    assert warped[..., -1, :].abs().max() < 1e-5 and warped[..., -2:].abs().max() < 1e-5
    bordered = flow_warp(frames, constant_flow(2, 1, frames), outside="border")
    torch.testing.assert_close(bordered[..., -1, -1], frames[..., -1, -1])


def test_half_a_pixel_is_the_mean_of_two():
    row = torch.tensor([0.0, 2, 4, 8]).view(1, 1, 1, 4)
    warped = flow_warp(row, constant_flow(0.5, 0, row), outside="border")
    torch.testing.assert_close(warped.flatten(), torch.tensor([1.0, 3, 6, 8]))


def test_a_ramp_in_16_bits_is_warped_to_the_right_pixel():
    ramp = torch.arange(1000.0).view(1, 1, 1, 1000).bfloat16()
    flow = constant_flow(1, 0, ramp)
    place = torch.arange(1000).bfloat16() + flow[0, 0, 0].bfloat16()  # what a grid in 16 bits would hold
    assert (place.float() - (torch.arange(1000) + 1)).abs().max() >= 2
    mask = (torch.arange(1000) % 2).view(1, 1, 1, 1000).bfloat16()
    warped = flow_warp(mask, flow.bfloat16())
    assert warped.dtype == torch.bfloat16
    assert torch.equal(warped[..., :-1].round(), mask[..., 1:])


def test_without_offsets_a_deformable_convolution_is_a_convolution():
    features, guide = noise(2, 4, 5, 6), noise(2, 4, 5, 6)
    plain = DeformableConv(4, groups=2)
    torch.testing.assert_close(plain(features, guide), F.conv2d(features, plain.weight, padding=1))
    modulated = ModulatedDeformableConv(4, groups=2)
    torch.nn.init.ones_(modulated.bias)
    expected = 0.5 * F.conv2d(features, modulated.weight, padding=1) + 1  # sigmoid(0) = 1/2
    torch.testing.assert_close(modulated(features, guide), expected)
    torch.nn.init.constant_(plain.conv_offset.bias, 1.0)
    assert not torch.allclose(plain(features, guide), F.conv2d(features, plain.weight, padding=1))


def test_flow_guided_alignment_begins_as_a_convolution_of_the_warped_states():
    states, condition = noise(1, 8, 9, 11), noise(1, 12, 9, 11)
    align = FlowGuidedDeformableConv(4, groups=4, max_residue=10)
    flow_1, flow_2 = constant_flow(1, -2, states), constant_flow(-1, 1, states)
    warped = torch.cat([flow_warp(states[:, :4], flow_1), flow_warp(states[:, 4:], flow_2)], dim=1)
    expected = 0.5 * F.conv2d(warped, align.weight, padding=1)
    inner = (..., slice(3, -3), slice(3, -3))  # at the edges the convolution sees what warping has cut off
    torch.testing.assert_close(align(states, condition, flow_1, flow_2)[inner], expected[inner])
    exchanged = align(states, condition, flow_1.flip(1), flow_2.flip(1))
    assert not torch.allclose(exchanged[inner], expected[inner], atol=1e-2)


def test_a_residue_is_bounded():
    align = FlowGuidedDeformableConv(2, groups=2, max_residue=1)
    torch.nn.init.constant_(align.conv_offset[-1].bias, 50.0)  # as far as the network can go, modulation 1
    states, still = noise(1, 4, 9, 9), torch.zeros(1, 2, 9, 9)
    shifted = F.conv2d(torch.roll(states, (-1, -1), (2, 3)), align.weight, padding=1)
    torch.testing.assert_close(
        align(states, noise(1, 6, 9, 9), still, still)[..., 2:-2, 2:-2], shifted[..., 2:-2, 2:-2]
    )


def test_an_odd_number_of_groups_is_refused():
    with pytest.raises(ValueError, match="deform_groups=3: an even number"):
        FlowGuidedDeformableConv(3, groups=3, max_residue=10)
