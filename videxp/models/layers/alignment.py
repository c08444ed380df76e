"""Bringing one frame's features into the place of another's: warping by a flow, and deformable convolutions.

N frames, D features; a flow is [N,2,h,w] in pixels, (dx, dy), and says where in the other frame each pixel is found.
"""

import math

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from videxp.core.warping import exact


class DeformableKernel(nn.Module):
    """The 3x3 weights of a deformable convolution; offsets and modulation are made by the subclass."""

    def __init__(self, d_in: int, d_out: int, *, groups: int, bias: bool) -> None:
        super().__init__()
        if d_in % groups:
            raise ValueError(f"deform_groups={groups} doesn't divide {d_in} channels")
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(d_out, d_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(d_out)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def sample(self, features: Tensor, offsets: Tensor, mask: Tensor | None) -> Tensor:
        """y(p) = sum_k w_k m_k(p) x(p + p_k + o_k(p)); offsets [N,18*groups,h,w] as (dy, dx), mask [N,9*groups,h,w]."""
        given = (features, offsets, self.weight, self.bias, mask)
        x, o, w, b, m = (None if tensor is None else exact(tensor) for tensor in given)
        return deform_conv2d(x, o, w, b, padding=1, mask=m).to(features.dtype)


class DeformableConv(DeformableKernel):
    """Deformable convolution (Dai et al. 2017) without a bias; its offsets come from `guide` by one convolution."""

    def __init__(self, width: int, *, groups: int) -> None:
        super().__init__(width, width, groups=groups, bias=False)
        self.conv_offset = zero_conv(width, 18 * groups)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Both [N,D,h,w] -> [N,D,h,w]."""
        return self.sample(features, self.conv_offset(guide), None)


class ModulatedDeformableConv(DeformableKernel):
    """Modulated deformable convolution (DCNv2, Zhu et al. 2019); offsets and modulation come from `guide`."""

    def __init__(self, width: int, *, groups: int) -> None:
        super().__init__(width, width, groups=groups, bias=True)
        self.conv_offset = zero_conv(width, 27 * groups)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Both [N,D,h,w] -> [N,D,h,w]."""
        offsets, mask = self.conv_offset(guide).split([18 * self.groups, 9 * self.groups], dim=1)
        return self.sample(features, offsets, torch.sigmoid(mask))


class FlowGuidedDeformableConv(DeformableKernel):
    """Second-order flow-guided deformable alignment (BasicVSR++, equations 4 to 8): two earlier states at once.

    The flows are the offsets to start from; the network adds at most `max_residue` pixels to them.
    """

    def __init__(self, width: int, *, groups: int, max_residue: float) -> None:
        super().__init__(2 * width, width, groups=groups, bias=True)
        if groups % 2:
            raise ValueError(f"deform_groups={groups}: an even number, half of it for each of the two earlier states")
        self.max_residue = max_residue
        layers: list[nn.Module] = []
        for d_in in (3 * width + 4, width, width):
            layers += [nn.Conv2d(d_in, width, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        self.conv_offset = nn.Sequential(*layers, zero_conv(width, 27 * groups))

    def forward(self, states: Tensor, condition: Tensor, flow_1: Tensor, flow_2: Tensor) -> Tensor:
        """States [N,2D,h,w], what is known of both [N,3D,h,w], their flows [N,2,h,w] -> aligned [N,D,h,w]."""
        out = self.conv_offset(torch.cat([condition, flow_1, flow_2], dim=1))
        residues, mask = out.split([18 * self.groups, 9 * self.groups], dim=1)
        # a flow is (dx, dy), offsets are (dy, dx), 9 for each group; the first half of the groups sees the first state
        flows = [flow.flip(1).repeat(1, 9 * self.groups // 2, 1, 1) for flow in (flow_1, flow_2)]
        offsets = self.max_residue * torch.tanh(residues) + torch.cat(flows, dim=1)
        return self.sample(states, offsets, torch.sigmoid(mask))


def zero_conv(d_in: int, d_out: int) -> nn.Conv2d:
    """A 3x3 convolution that starts at zero: alignment begins without offsets."""
    conv = nn.Conv2d(d_in, d_out, 3, padding=1)
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
