"""IconVSR: BasicVSR with information-refill at key frames and coupled propagation. Chan et al. 2021, "BasicVSR: The
Search for Essential Components in Video Super-Resolution and Beyond", section 4. BasicSR's and mmagic's files load.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge
from videxp.models.layers.restoration_blocks import Enlarge, enlarge_bilinear, pad_to_multiple, residual_trunk
from videxp.models.restoration.basicvsr import RECURRENT_NAMES, propagate
from videxp.models.restoration.edvr import FEATURE_NAMES, EDVRFeatures
from videxp.models.restoration.spynet import Flow, flow_network, flows_along
from videxp.models.weights import Renames, load_weights

ICONVSR_NAMES: Renames = (*RECURRENT_NAMES, *FEATURE_NAMES, (r"\bedvr\.", "refill."))


class IconVSR(nn.Module):
    """[B,T,3,h,w] in [0,1] -> [B,T,3,scale*h,scale*w]; every output depends on all T frames.

    Every `keyframe_stride`-th frame and the last are key frames: what EDVR makes of the 2*refill_radius+1 frames
    around them is added to the state. Published: 5 and 2 for REDS, 5 and 3 for Vimeo-90K.
    """

    radius = None

    def __init__(
        self,
        *,
        scale: Literal[2, 4] = 4,
        channels: Annotated[int, Ge(1)] = 64,
        blocks: Annotated[int, Ge(1)] = 30,
        keyframe_stride: Annotated[int, Ge(1)] = 5,
        refill_radius: Annotated[int, Ge(0)] = 2,
        refill_blocks: Annotated[int, Ge(0)] = 5,
        deform_groups: Annotated[int, Ge(1)] = 8,
        flow: Flow = "spynet",
        flow_levels: Annotated[int, Ge(1)] = 6,
        flow_width: Annotated[int, Ge(2)] = 32,
        flow_weights: str | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.keyframe_stride = keyframe_stride
        self.flow = flow_network(flow, levels=flow_levels, width=flow_width, weights=flow_weights)
        self.refill = EDVRFeatures(
            channels=channels, blocks=refill_blocks, radius=refill_radius, deform_groups=deform_groups
        )
        self.backward_fusion = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.forward_fusion = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.backward_trunk = residual_trunk(channels + 3, channels, blocks)
        self.forward_trunk = residual_trunk(2 * channels + 3, channels, blocks)
        self.head = Enlarge(channels, factor=scale)
        load_weights(self, weights, renames=ICONVSR_NAMES)

    def forward(self, video: Tensor) -> Tensor:
        padded = pad_to_multiple(video, 4)  # the pyramid of the key frames' network
        frames = padded.unbind(1)
        to_next, to_previous = flows_along(self.flow, padded)
        last = len(frames) - 1
        keys = sorted({*range(0, len(frames), self.keyframe_stride), last})
        features = dict(zip(keys, self.refill(padded, keys).unbind(1), strict=True))
        backward = propagate(
            self.backward_trunk,
            frames[::-1],
            to_next[::-1],
            width=self.channels,
            refills={last - i: refilling(self.backward_fusion, features[i]) for i in keys},
        )[::-1]
        forward = propagate(
            self.forward_trunk,
            [torch.cat(pair, dim=1) for pair in zip(frames, backward, strict=True)],  # coupled: backward comes first
            to_previous,
            width=self.channels,
            refills={i: refilling(self.forward_fusion, features[i]) for i in keys},
        )
        outputs = [
            self.head(state) + enlarge_bilinear(frame, self.scale) for frame, state in zip(frames, forward, strict=True)
        ]
        height, width = (self.scale * n for n in video.shape[-2:])
        return torch.stack(outputs, dim=1)[..., :height, :width]


def refilling(fusion: nn.Module, features: Tensor) -> Callable[[Tensor], Tensor]:
    """What a key frame does to the state: fusion([state, features]), equation 6."""
    return partial(_fuse, fusion, features)


def _fuse(fusion: nn.Module, features: Tensor, state: Tensor) -> Tensor:
    return fusion(torch.cat([state, features], dim=1))
