"""Counts that can be checked by hand, and a module that is left alone while it is measured."""

import pytest
import torch
from torch import nn

from videxp.models.classification.small import SmallCNN3D
from videxp.models.summary import count_parameters, gmacs


class OneConvolution(nn.Module):
    """3 -> 4 channels, 1x1x1, no bias: 12 multiply-accumulates per pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 1, bias=False)
        self.norm = nn.BatchNorm3d(4)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(video.transpose(1, 2))).mean(dim=(2, 3, 4))


def test_one_convolution_is_counted_as_by_hand():
    assert count_parameters(OneConvolution()) == 12 + 8
    assert gmacs(OneConvolution(), num_frames=10, size=100) == 12 * 10 * 100 * 100 / 1e9


def test_a_parameter_used_twice_counts_once():
    shared = nn.Linear(3, 3, bias=False)
    assert count_parameters(nn.Sequential(shared, shared)) == 9


def test_measuring_changes_nothing():
    net = SmallCNN3D().train()
    net.features.stem[0].requires_grad_(False)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    addresses = [parameter.data_ptr() for parameter in net.parameters()]
    random_state = torch.get_rng_state()
    assert gmacs(net, num_frames=4, size=16) == gmacs(net, num_frames=4, size=16) > 0
    assert net.training and not net.features.stem[0].weight.requires_grad
    assert [parameter.data_ptr() for parameter in net.parameters()] == addresses
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.slow  # importing the compiler
def test_a_network_that_is_compiled_in_place_can_be_measured():
    net = SmallCNN3D()
    expected = gmacs(net, num_frames=4, size=16)
    net.compile()
    assert gmacs(net, num_frames=4, size=16) == expected
