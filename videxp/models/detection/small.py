"""Two small detectors of our own, for CPUs and first runs: one of clips, and one of single frames as its control.

Shapes: B clips, T frames, D features, h, w places of a feature map, A = h*w, K classes.
"""

from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge, accepts
from videxp.core.token_layout import FeatureMap
from videxp.models.detection.dense_loss import dense_detection_loss
from videxp.models.detection.interface import BoxTargets, DenseAnswer, DetectedBoxes

STRIDE = 8
MEAN, STD = 0.45, 0.225
FEW = -4.0
"""Logit of an object, at the beginning: there are few."""


def _conv2d(d_in: int, d_out: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(d_in, d_out, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(d_out), nn.SiLU(inplace=True))


def _conv3d(d_in: int, d_out: int, *, stride: tuple[int, int, int]) -> nn.Sequential:
    conv = nn.Conv3d(d_in, d_out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(d_out), nn.SiLU(inplace=True))


class FrameBranch(nn.Sequential):
    """[B,3,H,W] -> [B,8*width,H/8,W/8]"""

    def __init__(self, width: int) -> None:
        super().__init__(
            _conv2d(3, width, stride=2),
            _conv2d(width, 2 * width, stride=2),
            _conv2d(2 * width, 4 * width, stride=2),
            _conv2d(4 * width, 8 * width),
        )


class MotionBranch(nn.Sequential):
    """[B,3,T,H,W] -> [B,8*width,ceil(T/4),H/8,W/8]"""

    def __init__(self, width: int) -> None:
        super().__init__(
            _conv3d(3, width, stride=(1, 2, 2)),
            _conv3d(width, 2 * width, stride=(2, 2, 2)),
            _conv3d(2 * width, 4 * width, stride=(2, 2, 2)),
            _conv3d(4 * width, 8 * width, stride=(1, 1, 1)),
        )


class Head(nn.Module):
    """Features [B,D,h,w] -> for each place whether there is a thing, its class and its box, each from a branch of its
    own."""

    def __init__(self, d_in: int, width: int, *, num_classes: int) -> None:
        super().__init__()
        self.mix = _conv2d(d_in, width, kernel=1)
        self.of_class, self.of_box = _conv2d(width, width), _conv2d(width, width)
        self.classes = nn.Conv2d(width, num_classes, 1)
        self.objectness = nn.Conv2d(width, 1, 1)
        self.box = nn.Conv2d(width, 4, 1)
        for last in (self.objectness, self.classes):
            assert last.bias is not None
            nn.init.constant_(last.bias, FEW)

    def forward(self, features: Tensor) -> DenseAnswer:
        """A box's center lies at an offset from its place, in strides; its sides are exponentials, in strides."""
        mixed = self.mix(features)
        for_box = self.of_box(mixed)
        height, width = features.shape[-2:]
        rows, columns = (torch.arange(size, device=features.device) for size in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centers_A2 = (torch.stack([x, y], -1).flatten(0, 1).to(features.dtype) + 0.5) * STRIDE
        at_BA2, side_BA2 = self.box(for_box).flatten(2).mT.split(2, dim=-1)
        middle_BA2 = centers_A2 + at_BA2 * STRIDE
        half_BA2 = side_BA2.clamp(max=6).exp() * STRIDE
        return DenseAnswer(
            torch.cat([middle_BA2 - half_BA2, middle_BA2 + half_BA2], dim=-1),
            self.objectness(for_box).flatten(1),
            self.classes(self.of_class(mixed)).flatten(2).mT,
            centers_A2,
            torch.full_like(centers_A2[:, 0], STRIDE),
        )


class SmallDetector(nn.Module):
    """Base: features of the key frame's places, and the head."""

    network_parameter: ClassVar[str] = "clip_frames"
    clip_frames: int

    def __init__(self, d_in: int, width: int, *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.head = Head(d_in, width, num_classes=num_classes)

    @property
    def key_frame(self) -> int:
        return self.clip_frames - 1

    def features_of(self, video: Tensor) -> Tensor:
        """float [B,T,3,H,W], normalized -> [B,D,H/8,W/8]"""
        raise NotImplementedError

    def forward(self, video: Tensor, targets: BoxTargets | None = None) -> DetectedBoxes | dict[str, Tensor]:
        answer: DenseAnswer = self.head(self.features_of((video - MEAN) / STD))
        return answer.detected() if targets is None else dense_detection_loss(answer, targets)


@accepts(size_multiple=STRIDE)
class SmallClipDetector(SmallDetector):
    """YOWO made small: the last frame by a 2-D branch, the clip by a 3-D branch, one head at stride 8."""

    feature_map = FeatureMap("head.mix", "b d h w")

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] = 4,
        clip_frames: Annotated[int, Ge(1)] = 8,
        width: Annotated[int, Ge(1)] = 8,
    ) -> None:
        super().__init__(16 * width, 8 * width, num_classes=num_classes)
        self.clip_frames = clip_frames
        self.frame = FrameBranch(width)
        self.motion = MotionBranch(width)

    def features_of(self, video: Tensor) -> Tensor:
        of_motion = self.motion(video.transpose(1, 2)).mean(2)
        return torch.cat([self.frame(video[:, -1]), of_motion], dim=1)


@accepts(size_multiple=STRIDE)
class SmallFrameDetector(SmallDetector):
    """The same with two 2-D branches: blind to motion."""

    clip_frames = 1
    feature_map = FeatureMap("head.mix", "b d h w")

    def __init__(self, *, num_classes: Annotated[int, Ge(1)] = 4, width: Annotated[int, Ge(1)] = 11) -> None:
        super().__init__(8 * width, 8 * width, num_classes=num_classes)
        self.frame = FrameBranch(width)

    def features_of(self, video: Tensor) -> Tensor:
        return self.frame(video[:, -1])
