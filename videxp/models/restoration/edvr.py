"""EDVR: deformable alignment over a pyramid, attention over time and space. Wang et al. 2019, "EDVR: Video Restoration
with Enhanced Deformable Convolutional Networks", sections 3.2 and 3.3.

The defaults are EDVR-M (3,300,131 parameters); `channels=128 blocks=40` is EDVR-L. BasicSR's and mmagic's files load.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.models.layers.alignment import ModulatedDeformableConv
from videxp.models.layers.restoration_blocks import (
    Enlarge,
    Scale,
    enlarge_bilinear,
    feature_multiple,
    pad_to_multiple,
    quarter_size,
    residual_chain,
    windows,
)
from videxp.models.restoration.srresnet import HEAD_NAMES
from videxp.models.weights import Renames, load_weights

FEATURE_NAMES: Renames = (
    # mmagic wraps a convolution that an activation follows
    (r"\b(feat_conv\.l\d|(?:offset|cas|feat|spatial)\w*(?:\.l\d)?)\.conv\.", r"\1."),
    (r"\bfeat_l(\d)_conv(\d)\.", r"conv_l\1_\2."),
    (r"\bpcd_alignment\.", "pcd_align."),
)
EDVR_NAMES: Renames = (
    *FEATURE_NAMES,
    *HEAD_NAMES,
    (r"(?<!features\.)\b(conv_first|feature_extraction|conv_l\d_\d|pcd_align|fusion)\.", r"features.\1."),
)


class EDVRFeatures(nn.Module):
    """The features of a frame with what its 2*radius neighbors add to them; IconVSR uses it for its key frames."""

    def __init__(
        self, *, channels: int, blocks: int, radius: int, deform_groups: int, tsa: bool = True, quarter: bool = False
    ) -> None:
        super().__init__()
        self.radius = radius
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)
        self.quarter = quarter_size(channels, channels) if quarter else nn.Identity()
        self.feature_extraction = residual_chain(channels, blocks)
        for level in (2, 3):
            self.add_module(f"conv_l{level}_1", nn.Conv2d(channels, channels, 3, stride=2, padding=1))
            self.add_module(f"conv_l{level}_2", nn.Conv2d(channels, channels, 3, padding=1))
        self.pcd_align = PCDAlignment(channels, groups=deform_groups)
        frames = 2 * radius + 1
        self.fusion: nn.Module = TSAFusion(channels, frames=frames) if tsa else Concatenation(channels, frames=frames)

    def forward(self, video: Tensor, centers: Sequence[int]) -> Tensor:
        """[B,T,3,h,w], h and w multiples of 4 -> [B,K,D,h,w] for the K frames of `centers` (quarter: 16, h/4, w/4)."""
        pyramid = self._pyramid(video)
        around = [windows(video.shape[1], self.radius)[i] for i in centers]
        reference = [level[:, list(centers)].flatten(0, 1) for level in pyramid]
        aligned = [
            self.pcd_align([level[:, list(frames)].flatten(0, 1) for level in pyramid], reference)
            for frames in zip(*around, strict=True)  # all first frames of the windows, then all second ones, ...
        ]
        return self.fusion(torch.stack(aligned, dim=1)).unflatten(0, (video.shape[0], len(around)))

    def _pyramid(self, video: Tensor) -> list[Tensor]:
        """[B,T,D,h,w], [B,T,D,h/2,w/2], [B,T,D,h/4,w/4]."""
        first = F.leaky_relu(self.conv_first(video.flatten(0, 1)), 0.1)
        levels = [self.feature_extraction(self.quarter(first))]
        for level in (2, 3):
            halved = F.leaky_relu(self.get_submodule(f"conv_l{level}_1")(levels[-1]), 0.1)
            levels.append(F.leaky_relu(self.get_submodule(f"conv_l{level}_2")(halved), 0.1))
        return [level.unflatten(0, video.shape[:2]) for level in levels]


class PCDAlignment(nn.Module):
    """Pyramid, cascading and deformable alignment (figure 3): offsets are refined from coarse to fine."""

    def __init__(self, width: int, *, groups: int) -> None:
        super().__init__()
        self.offset_conv1, self.offset_conv2, self.offset_conv3 = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.dcn_pack, self.feat_conv = nn.ModuleDict(), nn.ModuleDict()
        for level in ("l3", "l2", "l1"):
            self.offset_conv1[level] = nn.Conv2d(2 * width, width, 3, padding=1)
            self.dcn_pack[level] = ModulatedDeformableConv(width, groups=groups)
            coarsest = level == "l3"
            self.offset_conv2[level] = nn.Conv2d(width if coarsest else 2 * width, width, 3, padding=1)
            if not coarsest:
                self.offset_conv3[level] = nn.Conv2d(width, width, 3, padding=1)
                self.feat_conv[level] = nn.Conv2d(2 * width, width, 3, padding=1)
        self.cas_offset_conv1 = nn.Conv2d(2 * width, width, 3, padding=1)
        self.cas_offset_conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.cas_dcnpack = ModulatedDeformableConv(width, groups=groups)

    def forward(self, neighbor: Sequence[Tensor], reference: Sequence[Tensor]) -> Tensor:
        """Pyramids of [N,D,h,w], [N,D,h/2,w/2], [N,D,h/4,w/4] -> the neighbor's features in the reference's place."""
        guide = _relu(self.offset_conv1["l3"](torch.cat([neighbor[2], reference[2]], dim=1)))
        guide = _relu(self.offset_conv2["l3"](guide))
        features = _relu(self.dcn_pack["l3"](neighbor[2], guide))
        for level, there, here in (("l2", neighbor[1], reference[1]), ("l1", neighbor[0], reference[0])):
            coarser = 2 * _double(guide)  # an offset of one pixel is two pixels of the next level
            guide = _relu(self.offset_conv1[level](torch.cat([there, here], dim=1)))
            guide = _relu(self.offset_conv2[level](torch.cat([guide, coarser], dim=1)))
            guide = _relu(self.offset_conv3[level](guide))
            sampled = self.dcn_pack[level](there, guide)
            features = self.feat_conv[level](torch.cat([sampled, _double(features)], dim=1))
            features = features if level == "l1" else _relu(features)
        guide = _relu(self.cas_offset_conv1(torch.cat([features, reference[0]], dim=1)))
        return _relu(self.cas_dcnpack(features, _relu(self.cas_offset_conv2(guide))))


class TSAFusion(nn.Module):
    """Temporal and spatial attention (figure 4): [N,F,D,h,w] aligned frames -> [N,D,h,w]."""

    def __init__(self, width: int, *, frames: int) -> None:
        super().__init__()
        self.temporal_attn1 = nn.Conv2d(width, width, 3, padding=1)
        self.temporal_attn2 = nn.Conv2d(width, width, 3, padding=1)
        self.feat_fusion = nn.Conv2d(frames * width, width, 1)
        self.spatial_attn1 = nn.Conv2d(frames * width, width, 1)
        self.spatial_attn2 = nn.Conv2d(2 * width, width, 1)
        self.spatial_attn3 = nn.Conv2d(width, width, 3, padding=1)
        self.spatial_attn4 = nn.Conv2d(width, width, 1)
        self.spatial_attn5 = nn.Conv2d(width, width, 3, padding=1)
        self.spatial_attn_l1 = nn.Conv2d(width, width, 1)
        self.spatial_attn_l2 = nn.Conv2d(2 * width, width, 3, padding=1)
        self.spatial_attn_l3 = nn.Conv2d(width, width, 3, padding=1)
        self.spatial_attn_add1 = nn.Conv2d(width, width, 1)
        self.spatial_attn_add2 = nn.Conv2d(width, width, 1)

    def forward(self, aligned: Tensor) -> Tensor:
        attended = (aligned * self._similarity(aligned)).flatten(1, 2)
        features = _relu(self.feat_fusion(attended))
        attention = self._spatial_attention(attended)
        added = self.spatial_attn_add2(_relu(self.spatial_attn_add1(attention)))
        return features * torch.sigmoid(attention) * 2 + added  # about features * 1 in the beginning

    def _similarity(self, aligned: Tensor) -> Tensor:
        """h(F_i, F_t) = sigmoid(theta(F_i)' phi(F_t)), equation 9: [N,F,1,h,w]."""
        reference = self.temporal_attn1(aligned[:, aligned.shape[1] // 2])
        others = self.temporal_attn2(aligned.flatten(0, 1)).unflatten(0, aligned.shape[:2])
        return torch.sigmoid((others * reference.unsqueeze(1)).sum(dim=2, keepdim=True))

    def _spatial_attention(self, attended: Tensor) -> Tensor:
        half = _relu(self.spatial_attn2(_halve(_relu(self.spatial_attn1(attended)))))
        quarter = _relu(self.spatial_attn_l2(_halve(_relu(self.spatial_attn_l1(half)))))
        coarse = _double(_relu(self.spatial_attn_l3(quarter)))
        half = _relu(self.spatial_attn4(_relu(self.spatial_attn3(half)) + coarse))
        return self.spatial_attn5(_double(half))


class Concatenation(nn.Conv2d):
    """The plain fusion that TSA replaces: [N,F,D,h,w] -> [N,D,h,w] by a 1x1 convolution."""

    def __init__(self, width: int, *, frames: int) -> None:
        super().__init__(frames * width, width, 1)

    def forward(self, aligned: Tensor) -> Tensor:
        return super().forward(aligned.flatten(1, 2))


class EDVR(nn.Module):
    """[B,T,3,h,w] in [0,1] -> [B,T,3,scale*h,scale*w]; a window of 2*radius+1 frames slides over all T frames.

    With `scale=1` (deblurring, denoising) features are a quarter as high and wide as the frames, as in the paper.
    """

    def __init__(
        self,
        *,
        scale: Scale = 4,
        radius: Annotated[int, Ge(0)] = 2,
        channels: Annotated[int, Ge(1)] = 64,
        feature_blocks: Annotated[int, Ge(0)] = 5,
        blocks: Annotated[int, Ge(0)] = 10,
        deform_groups: Annotated[int, Ge(1)] = 8,
        tsa: bool = True,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.radius = radius
        self.features = EDVRFeatures(
            channels=channels,
            blocks=feature_blocks,
            radius=radius,
            deform_groups=deform_groups,
            tsa=tsa,
            quarter=scale == 1,
        )
        self.reconstruction = residual_chain(channels, blocks)
        self.head = Enlarge(channels, factor=2 if scale == 2 else 4)
        load_weights(self, weights, renames=EDVR_NAMES)

    def forward(self, video: Tensor) -> Tensor:
        padded = pad_to_multiple(video, 4 * feature_multiple(self.scale))  # a pyramid of three levels
        features = self.features(padded, range(video.shape[1])).flatten(0, 1)
        output = self.head(self.reconstruction(features)) + enlarge_bilinear(padded.flatten(0, 1), self.scale)
        height, width = (self.scale * n for n in video.shape[-2:])
        return output[..., :height, :width].unflatten(0, video.shape[:2])


def _relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _halve(x: Tensor) -> Tensor:
    """The greatest and the mean of 3x3 neighbors, side by side: [N,D,h,w] -> [N,2D,h/2,w/2]."""
    pooled = F.max_pool2d(x, 3, stride=2, padding=1), F.avg_pool2d(x, 3, stride=2, padding=1)
    return torch.cat(pooled, dim=1)
