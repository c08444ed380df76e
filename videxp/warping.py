"""Images moved along an optical flow. Legend: N pairs of frames, C channels, H, W.

A flow from frame a to frame b is float [N,2,H,W], (x, y) in pixels: what is at p in a is at p + flow(p) in b.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

FlowFunction = Callable[[Tensor, Tensor], Tensor]
"""(a, b), both float [N,3,H,W] in [0,1] -> the flow from a to b, float [N,2,H,W] in pixels."""


def warp(b_NCHW: Tensor, flow_N2HW: Tensor) -> Tensor:
    """b(p + flow(p)): frame b moved to where a has it; bilinear, the edge's values outside; in float32 or more."""
    b_NCHW = b_NCHW.to(torch.promote_types(b_NCHW.dtype, torch.float32))
    height, width = b_NCHW.shape[-2:]
    x, y = _targets(flow_N2HW.to(b_NCHW.dtype))
    grid_NHW2 = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    return F.grid_sample(b_NCHW, grid_NHW2, mode="bilinear", padding_mode="border", align_corners=True)


def visible(flow_N2HW: Tensor, back_N2HW: Tensor) -> Tensor:
    """Where frame a's pixels are also seen in b: bool [N,1,H,W], from the flows a -> b and b -> a.

    Ruder, Dosovitskiy & Brox 2016: not where there and back leads elsewhere (an occlusion), nor at motion
    boundaries; and not where the flow leaves the frame.
    """
    flow = flow_N2HW.float()
    back = warp(back_N2HW, flow)
    length2 = flow.square().sum(1, keepdim=True)
    astray2 = (flow + back).square().sum(1, keepdim=True)
    occluded = astray2 > 0.01 * (length2 + back.square().sum(1, keepdim=True)) + 0.5
    along_x = F.pad(flow.diff(dim=-1), (0, 1)).square().sum(1, keepdim=True)
    along_y = F.pad(flow.diff(dim=-2), (0, 0, 0, 1)).square().sum(1, keepdim=True)
    boundary = along_x + along_y > 0.01 * length2 + 0.002
    x, y = _targets(flow)
    height, width = flow.shape[-2:]
    outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    return ~(occluded | boundary | outside[:, None])


def _targets(flow_N2HW: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel goes: x [N,H,W] and y [N,H,W] in pixels."""
    height, width = flow_N2HW.shape[-2:]
    columns = torch.arange(width, device=flow_N2HW.device)
    rows = torch.arange(height, device=flow_N2HW.device)[:, None]
    return flow_N2HW[:, 0] + columns, flow_N2HW[:, 1] + rows
