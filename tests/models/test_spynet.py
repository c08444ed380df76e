"""SPyNet: pixels stay pixels for any size, the coarse levels count for more, a mirrored clip costs half."""

import pytest
import torch

from videxp.core.warping import flow_warp
from videxp.models.restoration.spynet import SPyNet, flows_along, is_mirrored


def always(*flows: tuple[float, float]) -> SPyNet:
    """One level for each flow, whose network answers that flow whatever it sees; the coarsest first."""
    net = SPyNet(levels=len(flows), width=2)
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    for level, flow in zip(net.levels, flows, strict=True):
        level[8].bias.data = torch.tensor([*map(float, flow)])
    return net


def flow_of(net: SPyNet, height: int, width: int) -> list[float]:
    frame = torch.rand(1, 3, height, width)
    flow = net(frame, frame).detach()
    assert flow.shape == (1, 2, height, width)
    torch.testing.assert_close(flow.amax(dim=(2, 3)), flow.amin(dim=(2, 3)))
    return flow[0, :, 0, 0].tolist()


def test_a_pixel_of_a_coarse_level_is_two_of_the_next():
    assert flow_of(always((1, 0), (0, 0), (0, 3)), 8, 8) == [4, 3]


@pytest.mark.parametrize(("height", "width"), [(17, 23), (1, 1), (32, 33), (60, 50)])
def test_a_size_that_is_no_multiple_of_32_is_stretched_and_the_flow_comes_back_in_its_own_pixels(height, width):
    net = always((0, 0), (0, 0), (0, 0), (0, 0), (0, 0), (3.2, 3.2))  # pixels of the stretched frame
    stretched_height, stretched_width = -(-height // 32) * 32, -(-width // 32) * 32
    expected = [3.2 * width / stretched_width, 3.2 * height / stretched_height]
    assert flow_of(net, height, width) == pytest.approx(expected)


def test_each_level_sees_what_the_levels_before_it_have_not_explained():
    seen = []
    net = always((1, 0), (0, 0))
    net.levels[1].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    frame, other = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    net(frame, other)
    normalized = (other - net.mean) / net.std
    torch.testing.assert_close(seen[0][:, 3:6], flow_warp(normalized, seen[0][:, 6:], outside="border"))
    assert seen[0][:, 6:].mean(dim=(0, 2, 3)).tolist() == [2, 0]


def test_flows_lead_from_each_frame_to_its_neighbors():
    class Difference(SPyNet):
        def forward(self, frame, other):
            return (other - frame)[:, :2]

    video = torch.tensor([1.0, 2, 4]).view(1, 3, 1, 1, 1).expand(1, 3, 3, 2, 2)
    to_next, to_previous = flows_along(Difference(levels=1, width=2), video)
    assert [flow.mean().item() for flow in to_next] == [1, 2]
    assert [flow.mean().item() for flow in to_previous] == [-1, -2]


def test_the_flows_of_a_mirrored_clip_are_computed_once():
    calls = []
    net = SPyNet(levels=1, width=4).eval()
    net.register_forward_hook(lambda *_: calls.append(1))
    half = torch.rand(2, 3, 3, 8, 8)
    mirrored = torch.cat([half, half.flip(1)], dim=1)
    assert is_mirrored(mirrored) and not is_mirrored(mirrored[:, :5]) and not is_mirrored(mirrored[:, 1:5].roll(1, 1))
    with torch.no_grad():
        once = flows_along(net, mirrored)
        assert len(calls) == 1
        changed = mirrored + torch.tensor([0, 0, 0, 0, 0, 1e-7]).view(6, 1, 1, 1)
        both = flows_along(net, changed)
        assert len(calls) == 3
    for a, b in zip(once[1], both[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
