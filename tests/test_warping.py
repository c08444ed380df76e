import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn import functional as F

from videxp.core.warping import flow_warp, visible


def constant_flow(x: float, y: float, *, height: int = 6, width: int = 8) -> Tensor:
    return torch.tensor([x, y])[None, :, None, None].expand(1, 2, height, width)


def test_what_moved_is_moved_back():
    a = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    b = torch.roll(a, shifts=(1, 2), dims=(2, 3))  # 2 pixels to the right, 1 down
    assert not torch.allclose(b[..., :5, :6], a[..., :5, :6])  # negative control
    assert torch.allclose(flow_warp(b, constant_flow(2, 1))[..., :5, :6], a[..., :5, :6], atol=1e-6)


def test_fractions_of_pixels_and_edges_are_scipys():
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 1, 6, 8, generator=generator, dtype=torch.float64)
    flow = 3 * torch.randn(1, 2, 6, 8, generator=generator, dtype=torch.float64)
    rows, columns = np.mgrid[0:6, 0:8]
    where = [rows + flow[0, 1].numpy(), columns + flow[0, 0].numpy()]
    expected = map_coordinates(image[0, 0].numpy(), where, order=1, mode="nearest")
    assert flow_warp(image, flow, outside="border")[0, 0].numpy() == pytest.approx(expected, abs=1e-12)


def test_beyond_the_frame_there_is_nothing_by_default():
    image = torch.ones(1, 1, 6, 8)
    assert flow_warp(image, constant_flow(3, 0))[0, 0, 0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert flow_warp(image, constant_flow(3, 0), outside="border").eq(1).all()


def test_half_precision_is_moved_in_full():
    wide = torch.linspace(0, 1, 1281).bfloat16().expand(1, 1, 2, -1)
    flow = constant_flow(1, 0, height=2, width=1281).bfloat16()
    expected = wide[..., 1:].float()
    columns = 2 * (torch.arange(1281) + 1).bfloat16() / 1280 - 1
    grid = torch.stack([columns, torch.zeros_like(columns)], dim=-1).expand(1, 2, -1, 2)
    stock = F.grid_sample(wide, grid, align_corners=True)
    assert (stock[..., :-1].float() - expected).abs().max() > 1e-3  # negative control: few places in its precision
    assert (flow_warp(wide, flow)[..., :-1].float() - expected).abs().max() < 1e-4


def test_pixels_that_leave_or_come_back_elsewhere_are_not_visible():
    there, back = constant_flow(2, 0), constant_flow(-2, 0)
    assert visible(there, back)[0, 0].tolist() == [[True] * 6 + [False] * 2] * 6  # two columns leave the frame
    assert not visible(there, constant_flow(0, 0)).any()  # something else is there
    assert visible(constant_flow(0, 0), constant_flow(0.5, 0)).all()  # within the tolerance


def test_motion_boundaries_are_not_visible():
    flow = torch.zeros(1, 2, 4, 6)
    flow[..., 3:] = 0.5
    seen = visible(flow, -flow)[0, 0]
    assert seen[:, 2].tolist() == [False] * 4
    assert seen[:3, [0, 1, 3, 4]].all()
