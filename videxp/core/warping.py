"""Images moved along an optical flow. Legend: N pairs of frames, C channels, H, W.

A flow from frame a to frame b is float [N,2,H,W], (x, y) in pixels: what is at p in a is at p + flow(p) in b.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

FlowFunction = Callable[[Tensor, Tensor], Tensor]
"""(a, b), both float [N,3,H,W] in [0,1] -> the flow from a to b, float [N,2,H,W] in pixels."""


def flow_warp(features: Tensor, flow: Tensor, *, outside: Literal["zeros", "border"] = "zeros") -> Tensor:
    """b(p + flow(p)): what is seen in b (a frame or its features), moved to where a has it, bilinear.

    features: [N,C,H,W]; flow: [N,2,H,W]. Beyond the frame are `zeros` or the nearest pixel of its `border`.
    """
    height, width = features.shape[-2:]
    x, y = _destinations(exact(flow))
    # grid_sample counts from -1, the first pixel's center, to 1, the last one's
    grid_NHW2 = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    moved = F.grid_sample(exact(features), grid_NHW2, mode="bilinear", padding_mode=outside, align_corners=True)
    return moved.to(features.dtype)


def visible(flow_N2HW: Tensor, back_N2HW: Tensor) -> Tensor:
    """Where frame a's pixels are also seen in b: bool [N,1,H,W], from the flows a -> b and b -> a.

    Ruder, Dosovitskiy & Brox 2016: not where there and back leads elsewhere (an occlusion), nor at motion
    boundaries; and not where the flow leaves the frame.
    """
    flow = exact(flow_N2HW)
    back = flow_warp(exact(back_N2HW), flow, outside="border")
    length2 = flow.square().sum(1, keepdim=True)
    astray2 = (flow + back).square().sum(1, keepdim=True)
    occluded = astray2 > 0.01 * (length2 + back.square().sum(1, keepdim=True)) + 0.5
    along_x = F.pad(flow.diff(dim=-1), (0, 1)).square().sum(1, keepdim=True)
    along_y = F.pad(flow.diff(dim=-2), (0, 0, 0, 1)).square().sum(1, keepdim=True)
    boundary = along_x + along_y > 0.01 * length2 + 0.002
    x, y = _destinations(flow)
    height, width = flow.shape[-2:]
    outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    return ~(occluded | boundary | outside[:, None])


def _destinations(flow_N2HW: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel goes: x [N,H,W] and y [N,H,W] in pixels."""
    height, width = flow_N2HW.shape[-2:]
    columns = torch.arange(width, device=flow_N2HW.device)
    rows = torch.arange(height, device=flow_N2HW.device)[:, None]
    return flow_N2HW[:, 0] + columns, flow_N2HW[:, 1] + rows


def exact(tensor: Tensor) -> Tensor:
    """In 32 bits at least, under autocast too: 16 don't tell neighboring pixels of a large frame apart."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
