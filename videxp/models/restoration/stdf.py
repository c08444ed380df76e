"""STDF: one deformable convolution fuses a window of compressed frames, a plain network cleans the middle one. Deng et
al. 2020, "Spatio-Temporal Deformable Convolution for Compressed Video Quality Enhancement", sections 3.2 and 3.3.

Written from the paper: STDF-R3 (364,510 parameters) and, with `radius=1`, STDF-R1 (329,842). Files of stdf-pytorch
load. Only the luma Y of BT.601 is cleaned, on which papers measure; chroma stays the input's.

F = 2*radius+1 frames of a window, D features.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.models.layers.alignment import DeformableKernel, zero_conv
from videxp.models.layers.restoration_blocks import pad_to_multiple
from videxp.models.weights import Renames, load_weights

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # Y = 16 / 255 + LUMA * RGB, all in [0,1]
DARKEST_LUMA = 16 / 255
RGB_PER_LUMA = 255 / 219
"""What R, G and B change by where Y changes by 1 and Cb and Cr do not."""
HALVINGS = 3
STDF_NAMES: Renames = (
    (r"\bffnet\.in_conv\.0\.", "fusion.first."),
    (r"\bffnet\.dn_conv(\d)\.", lambda found: f"fusion.down.{int(found[1]) - 1}."),
    (r"\bffnet\.up_conv(\d)\.", lambda found: f"fusion.up.{int(found[1]) - 1}."),
    (r"\bffnet\.tr_conv\.", "fusion.bottom."),
    (r"\bffnet\.out_conv\.0\.", "fusion.last."),
    (r"\bffnet\.offset_mask\.", "fusion.offsets."),
    (r"\bffnet\.deform_conv\.", "fusion.kernel."),
    (r"\bqenet\.in_conv\.0\.", "enhance.0."),
    (r"\bqenet\.hid_conv\.(\d+)\.", lambda found: f"enhance.{int(found[1]) + 2}."),
)


class STDF(nn.Module):
    """[B,T,3,H,W] in [0,1] -> the same shape. Beyond both ends of a clip its first and last frame are repeated, as in
    the published measurements.

    channels: of the network that finds the offsets. features: of the fused window. quality_channels, quality_layers: of
    the plain network that follows.
    """

    scale = 1

    def __init__(
        self,
        *,
        radius: Annotated[int, Ge(0)] = 3,
        channels: Annotated[int, Ge(1)] = 32,
        features: Annotated[int, Ge(1)] = 64,
        quality_channels: Annotated[int, Ge(1)] = 48,
        quality_layers: Annotated[int, Ge(2)] = 8,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.fusion = DeformableFusion(frames=2 * radius + 1, width=channels, d_out=features)
        layers: list[nn.Module] = [_conv(features, quality_channels), nn.ReLU(inplace=True)]
        for _ in range(quality_layers - 2):
            layers += [_conv(quality_channels, quality_channels), nn.ReLU(inplace=True)]
        to_luma = _conv(quality_channels, 1)
        self.enhance = nn.Sequential(*layers, to_luma)
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and conv is not self.fusion.offsets:
                keep_scale(conv)
        kernel = self.fusion.kernel.weight  # twice `keep_scale`'s: what it sees is halved at first
        nn.init.normal_(kernel, 0, (8 / kernel[0].numel()) ** 0.5)
        nn.init.normal_(to_luma.weight, 0, 1e-3)  # begins near the input
        last = f"enhance.{len(layers)}."
        load_weights(self, weights, renames=(*STDF_NAMES, (r"\bqenet\.out_conv\.", last)))

    def forward(self, video: Tensor) -> Tensor:
        frames = luma(pad_to_multiple(video, 2**HALVINGS)).unbind(1)
        last, reach = len(frames) - 1, range(-self.radius, self.radius + 1)
        residues = [
            self.enhance(self.fusion(torch.cat([frames[min(max(t + step, 0), last)] for step in reach], dim=1)))
            for t in range(len(frames))
        ]
        height, width = video.shape[-2:]
        return video + RGB_PER_LUMA * torch.stack(residues, dim=1)[..., :height, :width]


class DeformableFusion(nn.Module):
    """A U-Net finds for each pixel where in all frames its like is, a deformable convolution reads it there: luma
    [N,F,h,w], h and w multiples of 8 -> [N,D,h,w] (section 3.2)."""

    def __init__(self, *, frames: int, width: int, d_out: int) -> None:
        super().__init__()
        self.first = _conv(frames, width)
        self.down = nn.ModuleList(_down(width) for _ in range(HALVINGS - 1))
        self.bottom = nn.Sequential(*_down(width), *_doubling(width))
        self.up = nn.ModuleList(
            nn.Sequential(_conv(2 * width, width), nn.ReLU(inplace=True), *_doubling(width)) for _ in self.down
        )
        self.last = _conv(width, width)
        self.offsets = zero_conv(width, 27 * frames)
        self.kernel = DeformableKernel(frames, d_out, groups=frames, bias=True)

    def forward(self, frames: Tensor) -> Tensor:
        levels = [F.relu(self.first(frames))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = self.bottom(levels[-1])
        for up, level in zip(reversed(self.up), reversed(levels[1:]), strict=True):
            x = up(torch.cat([x, level], dim=1))
        offsets = self.offsets(F.relu(self.last(x)))
        where, weight = offsets.split([18 * self.kernel.groups, 9 * self.kernel.groups], dim=1)
        return F.relu(self.kernel.sample(frames, where, torch.sigmoid(weight)))


def keep_scale(conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """He et al. 2015: what goes through ReLU keeps its scale. By torch's default ten layers make of a picture next to
    nothing, and training finds the mean of the error alone."""
    fan_in = conv.weight.numel() // conv.out_channels / (conv.stride[0] ** 2 if conv.transposed else 1)
    nn.init.normal_(conv.weight, 0, (2 / fan_in) ** 0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def luma(video: Tensor) -> Tensor:
    """RGB [...,3,H,W] in [0,1] -> Y of BT.601 [...,1,H,W] in [16/255,235/255]."""
    weights = video.new_tensor(LUMA).view(3, 1, 1)
    return (video * weights).sum(dim=-3, keepdim=True) + DARKEST_LUMA


def _conv(d_in: int, d_out: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(d_in, d_out, 3, stride=stride, padding=1)


def _down(width: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(width, width, stride=2), nn.ReLU(inplace=True), _conv(width, width), nn.ReLU(inplace=True)
    )


def _doubling(width: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(width, width, 4, stride=2, padding=1), nn.ReLU(inplace=True))
