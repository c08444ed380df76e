"""TDAN: each neighbor is aligned by deformable convolutions and shown as a frame. Tian et al. 2020, "TDAN: Temporally
Deformable Alignment Network for Video Super-Resolution", section 3; layers as mmagic has them (1,970,819 parameters).
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge
from videxp.models.layers.alignment import DeformableConv
from videxp.models.layers.restoration_blocks import Scale, residual_chain, windows
from videxp.models.weights import load_weights


class TDAN(nn.Module):
    """[B,T,3,h,w] in [0,1] -> [B,T,3,scale*h,scale*w]; a window of 2*radius+1 frames slides over all T frames."""

    intermediates = ("aligned",)

    def __init__(
        self,
        *,
        scale: Scale = 4,
        radius: Annotated[int, Ge(1)] = 2,
        channels: Annotated[int, Ge(1)] = 64,
        feature_blocks: Annotated[int, Ge(0)] = 5,
        blocks: Annotated[int, Ge(0)] = 10,
        deform_groups: Annotated[int, Ge(1)] = 8,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.radius = radius
        self.feat_extract = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1), nn.ReLU(), residual_chain(channels, feature_blocks)
        )
        self.bottleneck = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.aggregate = nn.ModuleList(DeformableConv(channels, groups=deform_groups) for _ in range(2))
        self.align_1 = DeformableConv(channels, groups=deform_groups)
        self.align_2 = DeformableConv(channels, groups=deform_groups)
        self.to_rgb = nn.Conv2d(channels, 3, 3, padding=1)
        self.reconstruct = nn.Sequential(
            nn.Conv2d(3 * (2 * radius + 1), channels, 3, padding=1), nn.ReLU(), residual_chain(channels, blocks)
        )
        steps = (_doubling(channels) for _ in range(scale // 2))  # none, one or two
        self.head = nn.Sequential(*steps, nn.Conv2d(channels, 3, 3, padding=1, bias=False))
        load_weights(self, weights)

    def forward(self, video: Tensor) -> Tensor:
        return self.forward_with_intermediates(video)[0]

    def forward_with_intermediates(self, video: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Output, and "aligned" [B,T,2*radius+1,3,h,w]: each frame's window, to be like the frame itself (its loss)."""
        batch_size, num_frames = video.shape[:2]
        features = self.feat_extract(video.flatten(0, 1)).unflatten(0, (batch_size, num_frames))
        center = features.flatten(0, 1)
        aligned = []
        for step, frames in enumerate(zip(*windows(num_frames, self.radius), strict=True)):
            neighbor = features[:, list(frames)].flatten(0, 1)
            aligned.append(video.flatten(0, 1) if step == self.radius else self._align(neighbor, center))
        output = self.head(self.reconstruct(torch.cat(aligned, dim=1)))
        windowed = torch.stack(aligned, dim=1)
        return output.unflatten(0, video.shape[:2]), {"aligned": windowed.unflatten(0, video.shape[:2])}

    def intermediate_targets(self, video: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What they should be like: all of a window as the frame in its middle (the paper's alignment loss)."""
        return {"aligned": video[:, :, None].expand(-1, -1, 2 * self.radius + 1, -1, -1, -1)}

    def _align(self, neighbor: Tensor, center: Tensor) -> Tensor:
        """Features [N,D,h,w] of a neighbor, and of the frame whose place they shall take -> RGB [N,3,h,w]."""
        guide = self.bottleneck(torch.cat([center, neighbor], dim=1))
        for conv in self.aggregate:
            guide = conv(guide, guide)
        sampled = self.align_1(neighbor, guide)
        return self.to_rgb(self.align_2(sampled, sampled))


def _doubling(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2))
