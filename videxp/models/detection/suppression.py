"""From all that a detector answers to the boxes of a frame. Legend: B clips, D boxes, K classes."""

from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import batched_nms, nms

from videxp.core.boxes import FrameBoxes
from videxp.models.detection.interface import DetectedBoxes


class ChosenBoxes(NamedTuple):
    """Boxes of one frame, the surest first."""

    xyxy: np.ndarray
    """float32 [D,4], within the picture"""
    scores: np.ndarray
    """float32 [D,K], 0 of a class that the box is not said to belong to"""

    def with_tracks(self, track_D: np.ndarray) -> FrameBoxes:
        """A row for each box and each of its classes, the surest first."""
        box, label = self.scores.nonzero()
        score = self.scores[box, label]
        order = np.argsort(-score, kind="stable")
        box = box[order]
        return FrameBoxes(self.xyxy[box], label[order].astype(np.int64), score[order], track_D[box].astype(np.int64))


def choose_boxes(
    detected: DetectedBoxes,
    *,
    size: tuple[int, int],
    score_threshold: float,
    nms_iou: float,
    boxes_per_frame: int,
    exclusive: bool,
) -> list[ChosenBoxes]:
    """Of each clip, cut to its picture of (height, width).

    exclusive: a box belongs to its likeliest class, and gives way to a surer one of that class that it overlaps by more
    than `nms_iou`. Otherwise it belongs to each class whose score suffices, and gives way to any surer one.
    """
    height, width = size
    xyxy_BD4 = detected.xyxy.float().clone()
    xyxy_BD4[..., 0::2].clamp_(0, width)
    xyxy_BD4[..., 1::2].clamp_(0, height)
    found = []
    for xyxy_D4, score_DK in zip(xyxy_BD4, detected.scores.float(), strict=True):
        best_D, label_D = score_DK.max(1)
        is_box_D = (xyxy_D4[:, 2:] > xyxy_D4[:, :2]).all(1)
        among = ((best_D > 0) & (best_D >= score_threshold) & is_box_D).nonzero()[:, 0]
        kept = _suppressed(xyxy_D4[among], best_D[among], label_D[among] if exclusive else None, nms_iou)
        chosen = among[kept[:boxes_per_frame]]
        belongs_DK = score_DK >= score_threshold
        if exclusive:
            belongs_DK = F.one_hot(label_D, score_DK.shape[1]).bool()
        scores = (score_DK * belongs_DK)[chosen]
        found.append(ChosenBoxes(xyxy_D4[chosen].cpu().numpy(), scores.cpu().numpy()))
    return found


def _suppressed(xyxy_D4: Tensor, score_D: Tensor, label_D: Tensor | None, iou: float) -> Tensor:
    """Numbers of the boxes that are left, the surest first."""
    return nms(xyxy_D4, score_D, iou) if label_D is None else batched_nms(xyxy_D4, score_D, label_D, iou)
