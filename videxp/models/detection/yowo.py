"""YOWOv2: boxes of a clip's last frame and what is done in them. Yang & Dai 2023, "YOWOv2: A Stronger yet Efficient
Multi-level Detection Framework for Real-time Spatio-temporal Action Detection", figures 2 and 3, with the numbers of
yjh0410/YOWOv2 (MIT). Its checkpoints (yowo_v2_nano_ucf24.pth) load, and the parts that its training starts from.

A 2D network over the last frame (COCO), a 3D network over the clip (Kinetics); at each stride the features of both are
fused, once for classes and once for boxes.
"""

import re
from collections.abc import Callable
from math import log
from typing import Annotated, Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, Gt, Interval, accepts
from videxp.models.detection.dense_loss import dense_detection_loss
from videxp.models.detection.free_yolo import FREE_YOLO_NAMES, FreeYOLO, Variant, conv, head, scale_widths
from videxp.models.detection.interface import BoxTargets, DenseAnswer, DetectedBoxes
from videxp.models.layers.shufflenet import ShuffleNet
from videxp.models.weights import Renames, load_weights

STRIDES = (8, 16, 32)
_MOTION_WIDTHS = {"nano": (24, 116, 232, 464), "tiny": (24, 224, 488, 976)}
"""ShuffleNet V2 1.0x and 2.0x; the paper that inflates them has 224 where the one of pictures has 244."""


def _numbered(place: int) -> str:
    """Block `place` of all stages' -> its stage and place therein."""
    stage, first = next((stage, first) for stage, first in ((2, 12), (1, 4), (0, 0)) if place >= first)
    return f"{stage}.{place - first}"


SHUFFLENET3D_NAMES: Renames = (
    (r"^(module\.)?(conv_last|classifier)\..*", ""),
    (r"^(module\.)?conv1\.", "stem."),
    (r"^(module\.)?features\.(\d+)\.", lambda found: f"stages.{_numbered(int(found[2]))}."),
    (r"\.banch1\.", ".shortcut."),
    (r"\.banch2\.", ".branch."),
)


def _within(part: str, renames: Renames) -> Renames:
    """The same for the names that begin with `part`, by the names that they have without it."""

    def rename(found: Any) -> str:
        name = found[1]
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        return part + name

    return ((rf"^{re.escape(part)}(.*)$", rename),)


YOWO_NAMES: Renames = (
    (r"\.convs\.", "."),
    (r"^backbone_([23])d\.backbone\.", r"backbone_\1d."),
    *_within("backbone_2d.", FREE_YOLO_NAMES),
    *_within("backbone_3d.", SHUFFLENET3D_NAMES),
    (r"^cls_channel_encoders\.(\d)\.fuse_convs\.", r"class_fusions.\1."),
    (r"^reg_channel_encoders\.(\d)\.fuse_convs\.", r"box_fusions.\1."),
    (r"^heads\.(\d)\.cls_head\.", r"class_heads.\1."),
    (r"^heads\.(\d)\.reg_head\.", r"box_heads.\1."),
    (r"^conf_preds\.", "objectness."),
    (r"^cls_preds\.", "classes."),
    (r"^reg_preds\.", "boxes."),
)


@accepts()
class YOWOv2(nn.Module):
    """`DetectionNetwork` for any number of frames and any size; answers for the last frame.

    variant: of both networks; "nano" has depthwise convolutions.
    clip_frames: T that it sees for one answer; its weights fit any.
    width_factor: of both networks' features; the heads' stay.
    weights: of all; weights_2d, weights_3d: what its authors' training starts from (yolo_free_nano_coco.pth and
    kinetics_shufflenetv2_1.0x_RGB_16_best.pth).
    """

    network_parameter: ClassVar[str] = "clip_frames"

    def __init__(
        self,
        *,
        variant: Variant,
        num_classes: Annotated[int, Ge(1)] = 24,
        clip_frames: Annotated[int, Ge(1)] = 16,
        width_factor: Annotated[float, Gt(0)] = 1.0,
        head_width: Annotated[int, Ge(1)] = 64,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
        weights: str | None = None,
        weights_2d: str | None = None,
        weights_3d: str | None = None,
    ) -> None:
        super().__init__()
        self.num_classes, self.clip_frames, self.key_frame = num_classes, clip_frames, clip_frames - 1
        widths = scale_widths(_MOTION_WIDTHS[variant], width_factor)
        depthwise = variant == "nano"
        self.backbone_2d = FreeYOLO(variant, width_factor=width_factor, head_width=head_width)
        self.backbone_3d = ShuffleNet(widths, dims=3)

        def at_each_stride(make: Callable[[], nn.Module]) -> nn.ModuleList:
            return nn.ModuleList(make() for _ in STRIDES)

        def fusion() -> nn.Module:
            return fuse(head_width + widths[-1], head_width, dropout=dropout)

        self.class_fusions, self.box_fusions = at_each_stride(fusion), at_each_stride(fusion)
        self.class_heads = at_each_stride(lambda: head(head_width, depthwise=depthwise))
        self.box_heads = at_each_stride(lambda: head(head_width, depthwise=depthwise))
        self.objectness = at_each_stride(lambda: nn.Conv2d(head_width, 1, 1))
        self.classes = at_each_stride(lambda: nn.Conv2d(head_width, num_classes, 1))
        self.boxes = at_each_stride(lambda: nn.Conv2d(head_width, 4, 1))
        self._initialize()
        load_weights(self.backbone_2d, weights_2d, renames=FREE_YOLO_NAMES)
        load_weights(self.backbone_3d, weights_3d, renames=SHUFFLENET3D_NAMES)
        load_weights(self, weights, head="classes", renames=YOWO_NAMES)

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):  # those of the 3D network are as they are
                module.eps, module.momentum = 1e-3, 0.03
        for layer in (*self.objectness, *self.classes):
            nn.init.constant_(cast(Any, layer).bias, -log(99))  # a probability of 0.01

    def forward(self, video: Tensor, targets: BoxTargets | None = None) -> DetectedBoxes | dict[str, Tensor]:
        """Any T: the last frame is the key frame. Its losses are `dense_detection_loss`'s."""
        answer = self.find(video)
        return answer.detected() if targets is None else dense_detection_loss(answer, targets)

    def find(self, video: Tensor) -> DenseAnswer:
        """[B,T,3,H,W] -> a candidate for each place. Sizes that are no multiple of 32 are padded with black at the
        bottom and right."""
        height, width = video.shape[-2:]
        video = F.pad(video, (0, -width % STRIDES[-1], 0, -height % STRIDES[-1])) * 255
        moving = self.backbone_3d(video.transpose(1, 2))[-1].mean(2)
        levels = []
        for i, (of_classes, of_boxes) in enumerate(zip(*self.backbone_2d(video[:, -1]))):
            motion = F.interpolate(moving, size=of_boxes.shape[-2:])
            fused = self.class_heads[i](self.class_fusions[i](torch.cat([of_classes, motion], 1)))
            fused_boxes = self.box_heads[i](self.box_fusions[i](torch.cat([of_boxes, motion], 1)))
            parts = (self.boxes[i](fused_boxes), self.objectness[i](fused_boxes), self.classes[i](fused))
            levels.append(place_boxes(*(part.float() for part in parts), stride=STRIDES[i]))
        xyxy, objectness, classes = (torch.cat(parts, 1) for parts in list(zip(*levels))[:3])
        centers, strides = (torch.cat(parts) for parts in list(zip(*levels))[3:])
        return DenseAnswer(xyxy, objectness, classes, centers, strides)


def place_boxes(boxes: Tensor, objectness: Tensor, classes: Tensor, *, stride: int) -> DenseAnswer:
    """Of one stride: [B,4,h,w], [B,1,h,w] and [B,K,h,w]. A box's center is told from its place's, its size is e^x,
    both in strides."""
    height, width = boxes.shape[-2:]
    y, x = (torch.arange(length, device=boxes.device) + 0.5 for length in (height, width))
    centers = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1) * stride
    offset, log_size = boxes.flatten(2).transpose(1, 2).split(2, -1)
    middle, half = centers + offset * stride, log_size.exp() * (stride / 2)
    return DenseAnswer(
        torch.cat([middle - half, middle + half], -1),
        objectness.flatten(1),
        classes.flatten(2).transpose(1, 2),
        centers,
        torch.full_like(centers[:, 0], stride),
    )


def fuse(d_in: int, d_out: int, *, dropout: float) -> nn.Sequential:
    """The paper's channel encoder (equations 1 to 3): [B,d_in,h,w] -> [B,d_out,h,w]."""
    return nn.Sequential(
        conv(d_in, d_out),
        conv(d_out, d_out, 3),
        ChannelAttention(),
        conv(d_out, d_out, 3),
        nn.Dropout(dropout),
        nn.Conv2d(d_out, d_out, 1),
    )


class ChannelAttention(nn.Module):
    """x + gamma * attention(x), of each channel over those that it is least like; gamma starts at 0 (CSAM; Fu et al.
    2019, "Dual Attention Network for Scene Segmentation", equations 3 and 4): [B,D,h,w] -> the same."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        channels = x.flatten(2)
        attention = (-(channels @ channels.transpose(1, 2))).softmax(-1)
        return x + self.gamma * (attention @ channels).view_as(x)
