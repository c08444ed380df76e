"""BasicVSR++: second-order grid propagation and flow-guided deformable alignment. Chan et al. 2022, "BasicVSR++:
Improving Video Super-Resolution with Enhanced Propagation and Alignment", section 3.

The defaults are the paper's (7,322,927 parameters); `channels=128 blocks=25` won NTIRE 2021. mmagic's and BasicSR's
files load. On the CPU, too: the alignment is torchvision's.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge, Gt
from videxp.core.warping import flow_warp
from videxp.models.layers.alignment import FlowGuidedDeformableConv
from videxp.models.layers.restoration_blocks import (
    Enlarge,
    Scale,
    enlarge_bilinear,
    feature_multiple,
    pad_to_multiple,
    quarter_size,
    residual_trunk,
)
from videxp.models.restoration.basicvsr import RECURRENT_NAMES, at_feature_size
from videxp.models.restoration.spynet import Flow, Flows, flow_network, flows_along
from videxp.models.weights import load_weights

BRANCHES = ("backward_1", "forward_1", "backward_2", "forward_2")


class BasicVSRPlusPlus(nn.Module):
    """[B,T,3,h,w] in [0,1] -> [B,T,3,scale*h,scale*w]; every output depends on all T frames.

    With `scale=1` (denoising, deblurring) features and flow are a quarter as high and wide as the frames. Offsets may
    differ from the flow by `max_residue` pixels (equation 6).
    """

    radius = None

    def __init__(
        self,
        *,
        scale: Scale = 4,
        channels: Annotated[int, Ge(1)] = 64,
        blocks: Annotated[int, Ge(0)] = 7,
        feature_blocks: Annotated[int, Ge(0)] = 5,
        deform_groups: Annotated[int, Ge(2)] = 16,
        max_residue: Annotated[float, Gt(0)] = 10.0,
        flow: Flow = "spynet",
        flow_levels: Annotated[int, Ge(1)] = 6,
        flow_width: Annotated[int, Ge(2)] = 32,
        flow_weights: str | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.flow = flow_network(flow, levels=flow_levels, width=flow_width, weights=flow_weights)
        self.feat_extract = (
            nn.Sequential(*quarter_size(3, channels), residual_trunk(channels, channels, feature_blocks))
            if scale == 1
            else residual_trunk(3, channels, feature_blocks)
        )
        self.deform_align, self.backbone = nn.ModuleDict(), nn.ModuleDict()
        for i, branch in enumerate(BRANCHES):
            self.deform_align[branch] = FlowGuidedDeformableConv(
                channels, groups=deform_groups, max_residue=max_residue
            )
            self.backbone[branch] = residual_trunk((2 + i) * channels, channels, blocks)
        self.reconstruction = residual_trunk(5 * channels, channels, feature_blocks)
        self.head = Enlarge(channels, factor=2 if scale == 2 else 4)
        load_weights(self, weights, renames=RECURRENT_NAMES)

    def forward(self, video: Tensor) -> Tensor:
        padded = pad_to_multiple(video, feature_multiple(self.scale))
        spatial = list(self.feat_extract(padded.flatten(0, 1)).unflatten(0, padded.shape[:2]).unbind(1))
        to_next, to_previous = flows_along(self.flow, at_feature_size(padded, self.scale))
        branches = [spatial]
        for name in BRANCHES:  # each sees what the ones before it found at the same frame
            inputs = [torch.cat(features, dim=1) for features in zip(*branches, strict=True)]
            if name.startswith("backward"):
                states = self._propagate(name, spatial[::-1], inputs[::-1], to_next[::-1])[::-1]
            else:
                states = self._propagate(name, spatial, inputs, to_previous)
            branches.append(states)
        outputs = [
            self.head(self.reconstruction(torch.cat(features, dim=1))) + enlarge_bilinear(frame, self.scale)
            for frame, *features in zip(padded.unbind(1), *branches, strict=True)
        ]
        height, width = (self.scale * n for n in video.shape[-2:])
        return torch.stack(outputs, dim=1)[..., :height, :width]

    def _propagate(
        self, branch: str, spatial: Sequence[Tensor], inputs: Sequence[Tensor], flows: Flows
    ) -> list[Tensor]:
        """One direction, frames in the order of travel: T states [B,D,h,w]. flows[i] leads from i+1 back to i."""
        align, backbone = self.deform_align[branch], self.backbone[branch]
        state = torch.zeros_like(spatial[0])
        states: list[Tensor] = []
        for i, features in enumerate(inputs):
            if i > 0:
                flow_1 = _or_zero(flows[i - 1], state)
                second, flow_2 = torch.zeros_like(state), torch.zeros_like(flow_1)
                if i > 1:
                    second = states[i - 2]
                    flow_2 = flow_1 + flow_warp(_or_zero(flows[i - 2], state), flow_1)  # from i to i-2, by way of i-1
                condition = torch.cat([flow_warp(state, flow_1), spatial[i], flow_warp(second, flow_2)], dim=1)
                state = align(torch.cat([state, second], dim=1), condition, flow_1, flow_2)
            state = state + backbone(torch.cat([features, state], dim=1))
            states.append(state)
        return states


def _or_zero(flow: Tensor | None, like: Tensor) -> Tensor:
    return like.new_zeros(like.shape[0], 2, *like.shape[-2:]) if flow is None else flow
