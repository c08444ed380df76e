"""SPyNet: optical flow by a pyramid of small networks. Ranjan & Black 2017, "Optical Flow Estimation using a Spatial
Pyramid Network", section 3; six levels without normalization, as BasicVSR uses it.

BasicSR's and mmagic's files load, for example
https://download.openmmlab.com/mmediting/restorers/basicvsr/spynet_20210409-c6c1bd09.pth
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.core.warping import flow_warp
from videxp.models.weights import Renames, load_weights

Flow = Literal["spynet", "none"]
Flows = Sequence[Tensor | None]

SPYNET_NAMES: Renames = (
    # mmagic counts a level's convolutions, BasicSR (as here) also the ReLUs between them
    (r"basic_module\.(\d)\.basic_module\.(\d)\.conv\.", lambda m: f"levels.{m[1]}.{2 * int(m[2])}."),
    (r"basic_module\.(\d)\.basic_module\.", r"levels.\1."),
    (r"^(.*\.)?(mean|std)$", ""),  # constants, not weights, here
)


class SPyNet(nn.Module):
    """Two frames [N,3,h,w] in [0,1] -> flow [N,2,h,w] in pixels, (dx, dy): where in `other` a pixel of `frame` is."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        levels: Annotated[int, Ge(1)] = 6,
        width: Annotated[int, Ge(2)] = 32,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level(width) for _ in range(levels))  # the coarsest first
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)
        self.weights_path = weights  # what a metric by this flow is named after
        load_weights(self, weights, renames=SPYNET_NAMES)

    def forward(self, frame: Tensor, other: Tensor) -> Tensor:
        """Both are stretched to multiples of 2^(levels-1) (32), and the flow is brought back to their own size."""
        height, width = frame.shape[-2:]
        multiple = 2 ** (len(self.levels) - 1)
        stretched = (height + -height % multiple, width + -width % multiple)
        flow = self._coarse_to_fine(_resize(frame, stretched), _resize(other, stretched))
        factors = flow.new_tensor([width / stretched[1], height / stretched[0]])
        return _resize(flow, (height, width)) * factors.view(1, 2, 1, 1)

    def _coarse_to_fine(self, frame: Tensor, other: Tensor) -> Tensor:
        """flow_k = up(flow_{k-1}) + G_k(frame_k, warp(other_k, up(flow_{k-1})), up(flow_{k-1})): equations 2 and 3."""
        frames, others = self._pyramid(frame), self._pyramid(other)
        flow = torch.zeros_like(frames[0][:, :2])
        for i, (level, at, there) in enumerate(zip(self.levels, frames, others, strict=True)):
            if i > 0:
                flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            flow = flow + level(torch.cat([at, flow_warp(there, flow, outside="border"), flow], dim=1))
        return flow

    def _pyramid(self, frame: Tensor) -> list[Tensor]:
        """Normalized frames, each half as large as the next, the smallest first."""
        pyramid = [(frame - self.mean) / self.std]
        for _ in self.levels[1:]:
            pyramid.insert(0, F.avg_pool2d(pyramid[0], 2))
        return pyramid


def _level(width: int) -> nn.Sequential:
    """Five 7x7 convolutions: frame, warped other frame, flow (8 channels) -> what the flow lacks (2 channels)."""
    layers: list[nn.Module] = []
    for d_in, d_out in pairwise([8, width, 2 * width, width, width // 2, 2]):
        layers += [nn.Conv2d(d_in, d_out, 7, padding=3), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _resize(frames: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(frames, size=size, mode="bilinear", align_corners=False)


def flow_network(flow: Flow, *, levels: int, width: int, weights: str | None) -> SPyNet | None:
    """The part of a recurrent network that lies under its attribute `flow`; None: features stay where they are."""
    return SPyNet(levels=levels, width=width, weights=weights) if flow == "spynet" else None


def flows_along(network: SPyNet | None, video: Tensor) -> tuple[Flows, Flows]:
    """[B,T,3,h,w] -> flows [B,2,h,w] from frame i to i+1, and from i+1 to i, for i = 0..T-2; None without a network.

    A clip that is followed by its own mirror image (a trick of Vimeo-90K's
    recipes) has the same flows both ways in reverse, and they are computed once.
    """
    batch_size, steps = video.shape[0], video.shape[1] - 1
    if network is None or steps == 0:
        return [None] * steps, [None] * steps
    first, second = video[:, :-1].flatten(0, 1), video[:, 1:].flatten(0, 1)
    to_next = network(first, second).unflatten(0, (batch_size, steps)).unbind(1)
    if is_mirrored(video):
        return to_next, to_next[::-1]
    return to_next, network(second, first).unflatten(0, (batch_size, steps)).unbind(1)


def flows_back(network: SPyNet | None, video: Tensor) -> Flows:
    """[B,T,3,h,w] -> flows [B,2,h,w] from frame i+1 to i alone, for i = 0..T-2."""
    batch_size, steps = video.shape[0], video.shape[1] - 1
    if network is None:
        return [None] * steps
    flow = network(video[:, 1:].flatten(0, 1), video[:, :-1].flatten(0, 1))
    return flow.unflatten(0, (batch_size, steps)).unbind(1)


def is_mirrored(video: Tensor) -> bool:
    """Whether the second half of every clip [B,T,...] is its first half backwards; False where there are no values to
    look at: an exported graph computes the flows both ways."""
    if video.is_meta or torch.compiler.is_exporting() or video.shape[1] % 2:
        return False
    first, second = video.chunk(2, dim=1)
    return torch.equal(first, second.flip(1))
