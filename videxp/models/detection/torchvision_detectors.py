"""torchvision's detectors of pictures, on single frames of a video: what a network that sees motion is compared with.

State-dict keys below `detector` are torchvision's, so its COCO checkpoints load by name: `weights=COCO_V1` (a member of
`torchvision.models.detection.*_Weights`) or the URL fetches them; a path is read. COCO's 90 classes,
numbered with gaps; torchvision counts the background, too.

    SSDLite     Howard et al. 2019, "Searching for MobileNetV3", section 6.3
    RetinaNet   Lin et al. 2017, "Focal Loss for Dense Object Detection"; Zhang et al. 2020 (ATSS)
    FasterRCNN  Ren et al. 2015; Li et al. 2021, "Benchmarking Detection Transfer Learning"
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

import torch
import torchvision.models.detection as tv
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from videxp.core.limits import Ge, accepts
from videxp.models.classification.torchvision_video import published
from videxp.models.detection.interface import BoxTargets, DetectedBoxes
from videxp.models.weights import load_weights

PARTS = {
    "objectness": ("loss_objectness",),
    "class": ("classification", "loss_classifier"),
    "box": ("bbox_regression", "loss_box_reg", "loss_rpn_box_reg"),
}
"""What torchvision calls the losses that add up to each of ours."""


class FrameDetector(nn.Module):
    """`DetectionNetwork` of single frames: a detector of torchvision, which suppresses overlapping boxes itself."""

    network_parameter: ClassVar[str] = "clip_frames"
    clip_frames: ClassVar[int] = 1
    key_frame: ClassVar[int] = 0

    def __init__(
        self, build: Callable[..., nn.Module], *, num_classes: int, weights: str | None, head: str, **options: Any
    ) -> None:
        """build: torchvision's function, whose name its published weights go by. head: where the classes are told."""
        super().__init__()
        self.num_classes = num_classes
        self.detector = build(weights=None, weights_backbone=None, num_classes=num_classes + 1, **options)
        load_weights(self.detector, weights, head=head, published=published(build.__name__))

    def forward(self, video: Tensor, targets: BoxTargets | None = None) -> DetectedBoxes | dict[str, Tensor]:
        """In evaluation mode, too, targets tell that losses are asked for."""
        frames = list(video[:, self.key_frame])
        for part in self._parts_with_losses():
            part.training = targets is not None  # of them alone: norms and dropout stay as they are
        if targets is None:
            return pad_boxes(self.detector(frames), num_classes=self.num_classes)
        losses = self.detector(frames, [_of_clip(targets, number) for number in range(len(frames))])
        return {
            name: torch.stack([losses[part] for part in parts if part in losses]).sum()
            for name, parts in PARTS.items()
            if not losses.keys().isdisjoint(parts)
        }

    def _parts_with_losses(self) -> list[nn.Module]:
        named = dict(self.detector.named_children())
        return [self.detector, *(named[name] for name in ("rpn", "roi_heads") if name in named)]


def _of_clip(targets: BoxTargets, number: int) -> dict[str, Tensor]:
    """torchvision's targets of one picture. A box that belongs to several classes is there once for each."""
    mine = targets.clip == number
    box, label = targets.classes[mine].nonzero(as_tuple=True)
    return {"boxes": targets.xyxy[mine][box], "labels": label + 1}


def pad_boxes(found: Sequence[dict[str, Tensor]], *, num_classes: int) -> DetectedBoxes:
    """torchvision's answers, of each picture another number of boxes."""
    xyxy = pad_sequence([one["boxes"] for one in found], batch_first=True)
    scores = [
        one["scores"]
        .new_zeros(len(one["scores"]), num_classes)
        .scatter(1, one["labels"][:, None] - 1, one["scores"][:, None])
        for one in found
    ]
    return DetectedBoxes(xyxy, pad_sequence(scores, batch_first=True))


def _sized(input_size: int | None) -> dict[str, Any]:
    return {} if input_size is None else {"min_size": input_size, "max_size": 2 * input_size}


@accepts()
class SSDLite(FrameDetector):
    """Frames are squeezed into 320x320. Trains on two clips a batch or more (a norm over single places)."""

    def __init__(self, *, num_classes: Annotated[int, Ge(1)] = 90, weights: str | None = None) -> None:
        build = tv.ssdlite320_mobilenet_v3_large
        super().__init__(build, num_classes=num_classes, weights=weights, head="head.classification_head")


@accepts()
class RetinaNet(FrameDetector):
    """input_size: pixels that the shorter side of a frame is made; None: the published 800."""

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] = 90,
        weights: str | None = None,
        input_size: Annotated[int, Ge(32)] | None = None,
    ) -> None:
        head = "head.classification_head.cls_logits"
        build = tv.retinanet_resnet50_fpn_v2
        super().__init__(build, num_classes=num_classes, weights=weights, head=head, **_sized(input_size))


@accepts()
class FasterRCNN(FrameDetector):
    """input_size: pixels that the shorter side of a frame is made; None: the published 800.
    proposals: kept of a frame in evaluation, twice as many in training, of which 512 at most are learned from."""

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] = 90,
        weights: str | None = None,
        input_size: Annotated[int, Ge(32)] | None = None,
        proposals: Annotated[int, Ge(1)] = 1000,
    ) -> None:
        super().__init__(
            tv.fasterrcnn_resnet50_fpn_v2,
            num_classes=num_classes,
            weights=weights,
            head="roi_heads.box_predictor",
            rpn_post_nms_top_n_test=proposals,
            rpn_post_nms_top_n_train=2 * proposals,
            box_batch_size_per_image=min(512, proposals),
            **_sized(input_size),
        )
