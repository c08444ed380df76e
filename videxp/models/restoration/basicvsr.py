"""BasicVSR: features are carried through the whole clip, forwards and backwards, along optical flow. Chan et al. 2021,
"BasicVSR: The Search for Essential Components in Video Super-Resolution and Beyond", section 3.

With `cleaning_blocks` it is RealBasicVSR: Chan et al. 2022, "Investigating Tradeoffs in Real-World Video
Super-Resolution", section 3.1. BasicSR's and mmagic's files of both load, an average (EMA) before what it is of.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, Gt
from videxp.core.warping import flow_warp
from videxp.models.layers.restoration_blocks import (
    Enlarge,
    Scale,
    enlarge_bilinear,
    feature_multiple,
    pad_to_multiple,
    quarter_size,
    residual_trunk,
)
from videxp.models.layers.streaming import begin, divide_size
from videxp.models.restoration.spynet import SPYNET_NAMES, Flow, Flows, flow_network, flows_along, flows_back
from videxp.models.restoration.srresnet import HEAD_NAMES
from videxp.models.weights import Renames, load_weights

RECURRENT_NAMES: Renames = (
    (r"\bspynet\.", "flow."),
    *SPYNET_NAMES,
    *HEAD_NAMES,
    (r"\b(backward|forward)_resblocks\.", r"\1_trunk."),  # mmagic
    (r"\.main\.", "."),
)
BASICVSR_NAMES: Renames = (*RECURRENT_NAMES, (r"\bimage_cleaning\.", "cleaner."), (r"\bbasicvsr\.", ""))


class BasicVSR(nn.Module):
    """[B,T,3,h,w] in [0,1] -> [B,T,3,scale*h,scale*w]; every output depends on all T frames.

    With `scale=1` features and flow are a quarter as high and wide as the frames (BasicVSR++'s way of denoising).
    `cleaning_blocks`: first each frame is freed of noise and artefacts; once in training, and in evaluation up to
    `max_cleanings` times, for each clip until its mean change is below `cleaning_threshold` levels of 255.
    `direction="forward"`: features are carried forwards alone, no frame waits for a later one, and the network is
    `Streaming`; not with cleaning, which goes by the whole clip.
    """

    radius = None

    def __init__(
        self,
        *,
        scale: Scale = 4,
        channels: Annotated[int, Ge(1)] = 64,
        blocks: Annotated[int, Ge(1)] = 30,
        flow: Flow = "spynet",
        flow_levels: Annotated[int, Ge(1)] = 6,
        flow_width: Annotated[int, Ge(2)] = 32,
        flow_weights: str | None = None,
        cleaning_blocks: Annotated[int, Ge(0)] = 0,
        max_cleanings: Annotated[int, Ge(1)] = 3,
        cleaning_threshold: Annotated[float, Gt(0)] = 5.0,
        direction: Literal["both", "forward"] = "both",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if direction == "forward":
            if cleaning_blocks:
                raise ValueError(
                    f"cleaning_blocks={cleaning_blocks} goes by the whole clip, direction=forward does not"
                )
            self.future = self.delay_frames = 0  # only then is it `Streaming`
        self.scale = scale
        self.channels = channels
        self.max_cleanings = max_cleanings
        self.cleaning_threshold = cleaning_threshold
        self.cleaner = _cleaner(channels, cleaning_blocks) if cleaning_blocks else None
        self.flow = flow_network(flow, levels=flow_levels, width=flow_width, weights=flow_weights)
        self.encoder = quarter_size(3, channels) if scale == 1 else nn.Identity()
        d_in = channels if scale == 1 else 3
        both = direction == "both"
        self.backward_trunk = residual_trunk(d_in + channels, channels, blocks) if both else None
        self.forward_trunk = residual_trunk(d_in + channels, channels, blocks)
        self.fusion = nn.Conv2d(2 * channels if both else channels, channels, 1)
        self.head = Enlarge(channels, factor=2 if scale == 2 else 4)
        load_weights(self, weights, renames=BASICVSR_NAMES)

    def forward(self, video: Tensor) -> Tensor:
        return self.restore(self.clean(video))

    def forward_with_intermediates(self, video: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Output, and "cleaned" [B,T,3,h,w], which has a loss of its own, where there is a cleaning stage."""
        cleaned = self.clean(video)
        return self.restore(cleaned), {"cleaned": cleaned} if self.cleaner is not None else {}

    @property
    def intermediates(self) -> tuple[str, ...]:
        """What `forward_with_intermediates` gives besides the output."""
        return ("cleaned",) if self.cleaner is not None else ()

    def intermediate_targets(self, video: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What they should be like: "cleaned" as the clean clip made smaller, by averages as in the authors' code."""
        small = F.interpolate(target.flatten(0, 1), size=video.shape[-2:], mode="area")
        return {"cleaned": small.unflatten(0, target.shape[:2])}

    def clean(self, video: Tensor) -> Tensor:
        """[B,T,3,h,w] -> [B,T,3,h,w]; the same where there is no cleaning stage."""
        if self.cleaner is None:
            return video
        unfinished = torch.ones_like(video[:, :1, :1, :1, :1])  # [B,1,1,1,1]
        for times in range(1 if self.training else self.max_cleanings):
            has_values = not video.is_meta and not torch.compiler.is_exporting()  # else finished clips add zeros
            if times > 0 and has_values and not unfinished.any():
                break
            residue = self.cleaner(video.flatten(0, 1)).unflatten(0, video.shape[:2])
            video = video + unfinished * residue
            change = residue.abs().mean(dim=(1, 2, 3, 4), keepdim=True)
            unfinished = unfinished * (change >= self.cleaning_threshold / 255)
        return video

    def restore(self, video: Tensor) -> Tensor:
        """[B,T,3,h,w] -> [B,T,3,scale*h,scale*w] by propagation alone."""
        if self.backward_trunk is None:
            return self.step(video, begin(self, video))[0]
        height, width = video.shape[-2:]
        padded = pad_to_multiple(video, feature_multiple(self.scale))
        frames = self.encoder(padded.flatten(0, 1)).unflatten(0, padded.shape[:2]).unbind(1)
        to_next, to_previous = flows_along(self.flow, at_feature_size(padded, self.scale))
        backward = propagate(self.backward_trunk, frames[::-1], to_next[::-1], width=self.channels)[::-1]
        forward = propagate(self.forward_trunk, frames, to_previous, width=self.channels)
        outputs = [self._enlarge(*parts) for parts in zip(padded.unbind(1), backward, forward, strict=True)]
        return torch.stack(outputs, dim=1)[..., : self.scale * height, : self.scale * width]

    def initial_state(
        self, batch: int, size: tuple[int, int], *, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        """Of direction=forward: the frame before [B,3,h,w] and its features, zeros: warped, they are zeros still."""
        shapes = (batch, 3, *size), (batch, self.channels, *divide_size(size, feature_multiple(self.scale)))
        return tuple(torch.zeros(shape, device=device, dtype=dtype) for shape in shapes)

    def step(self, video: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Of direction=forward: [B,t,3,h,w] -> [B,t,3,scale*h,scale*w]."""
        before, features = state
        height, width = video.shape[-2:]
        padded = pad_to_multiple(torch.cat([before.unsqueeze(1), video], dim=1), feature_multiple(self.scale))
        frames = padded[:, 1:]
        encoded = self.encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        outputs = []
        flows = flows_back(self.flow, at_feature_size(padded, self.scale))
        for frame, inputs, flow in zip(frames.unbind(1), encoded.unbind(1), flows, strict=True):
            there = features if flow is None else flow_warp(features, flow)
            features = self.forward_trunk(torch.cat([inputs, there], dim=1))
            outputs.append(self._enlarge(frame, features))
        answers = torch.stack(outputs, dim=1)[..., : self.scale * height, : self.scale * width]
        return answers, (video[:, -1], features)

    def _enlarge(self, frame: Tensor, *features: Tensor) -> Tensor:
        """[B,3,h,w] and its features from each direction -> [B,3,scale*h,scale*w]."""
        fused = F.leaky_relu(self.fusion(torch.cat(features, dim=1)), 0.1)
        return self.head(fused) + enlarge_bilinear(frame, self.scale)


def propagate(
    trunk: nn.Module,
    frames: Sequence[Tensor],
    flows: Flows,
    *,
    width: int,
    refills: Mapping[int, Callable[[Tensor], Tensor]] | None = None,
) -> list[Tensor]:
    """state_i = trunk([frame_i, warp(state_{i-1}, flow to it)]) from zeros: T states [B,width,h,w].

    T frames [B,C,h,w] in the order of travel; flows[i] leads from frame i+1 back to frame i, None: stay in place.
    `refills` change the state of some frames before the trunk sees it.
    """
    state = frames[0].new_zeros(frames[0].shape[0], width, *frames[0].shape[-2:])
    states = []
    for i, frame in enumerate(frames):
        if i > 0 and (flow := flows[i - 1]) is not None:
            state = flow_warp(state, flow)
        if refills and i in refills:
            state = refills[i](state)
        state = trunk(torch.cat([frame, state], dim=1))
        states.append(state)
    return states


def at_feature_size(video: Tensor, scale: int) -> Tensor:
    """Frames as large as the features, for the flow: themselves, or a quarter of their height and width at scale 1."""
    if scale != 1:
        return video
    return F.interpolate(video.flatten(0, 1), scale_factor=0.25, mode="bicubic").unflatten(0, video.shape[:2])


def _cleaner(channels: int, blocks: int) -> nn.Sequential:
    """Frame -> what is to be added to it."""
    return nn.Sequential(residual_trunk(3, channels, blocks), nn.Conv2d(channels, 3, 3, padding=1))
