"""The loss of single-stage detectors without anchors: which places answer for which true box, and how wrong they are.

YOLOX (Ge et al. 2021, sections 2.1 and 3), as YOWOv2 (Yang et al. 2023) has it. Legend: B clips, A places, G true boxes
of the clip that has most of them (the others are padded), M of all clips, P places that answer for a box, K classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from videxp.models.detection.interface import BoxTargets, DenseAnswer

RADIUS = 2.5
"""Strides around a box's center within which a place lies at its center."""
CANDIDATES = 10
"""A box gets as many places as the IoU with its best `CANDIDATES` adds up to, at least one."""
IOU_WEIGHT = 3.0
"""Of -log(IoU) in what a place costs a box, beside the cross-entropy of its classes."""
BOX_WEIGHT = 5.0
OUTSIDE = 1e5
"""Added to the cost of a place that does not lie in the box and at its center."""


class Assignment(NamedTuple):
    """Places that answer for a true box, in order of clip and place."""

    clip: Tensor
    """int64 [P]"""
    place: Tensor
    """int64 [P]"""
    target: Tensor
    """int64 [P], number of the true box among all M"""
    iou: Tensor
    """float [P], of the answered with the true box"""


def dense_detection_loss(answer: DenseAnswer, targets: BoxTargets) -> dict[str, Tensor]:
    """`objectness`, `class` and `box`, weighted, scalars: sums over places per place that answers for a box.

    Binary cross-entropy of whether a place answers for a box; of its classes, whose target is the IoU of its box with
    the true one; and 5 times the GIoU loss.
    """
    assigned = assign_places(answer, targets)
    count = max(1, len(assigned.place))
    is_object_BA = torch.zeros_like(answer.objectness)
    is_object_BA[assigned.clip, assigned.place] = 1
    class_PK = targets.classes[assigned.target].to(answer.classes) * assigned.iou[:, None]
    found_P4 = answer.xyxy[assigned.clip, assigned.place]
    true_P4 = targets.xyxy[assigned.target].to(found_P4)
    logits_PK = answer.classes[assigned.clip, assigned.place]
    return {
        "objectness": F.binary_cross_entropy_with_logits(answer.objectness, is_object_BA, reduction="sum") / count,
        "class": F.binary_cross_entropy_with_logits(logits_PK, class_PK, reduction="sum") / count,
        "box": BOX_WEIGHT * generalized_box_iou_loss(found_P4, true_P4, reduction="sum") / count,
    }


@torch.no_grad()
def assign_places(answer: DenseAnswer, targets: BoxTargets) -> Assignment:
    """SimOTA: each box takes the places that cost it least, and a place that several take goes to the one that it costs
    least."""
    number_BG, is_box_BG = _in_rows(targets.clip, clips=len(answer.xyxy))
    if not number_BG.numel():
        none = targets.clip[:0]
        return Assignment(none, none, none, answer.xyxy.new_zeros(0))
    boxes_BG4 = targets.xyxy.float()[number_BG]
    inside_BGA, central_BGA = _where_places_lie(answer, boxes_BG4)
    is_box_BG1 = is_box_BG[:, :, None]
    near_B1A = ((inside_BGA | central_BGA) & is_box_BG1).any(1, keepdim=True)

    iou_BGA = _iou(boxes_BG4, answer.xyxy.float()) * (near_B1A & is_box_BG1)
    wrong_BGA = _class_cost(answer, targets.classes.float()[number_BG])
    cost_BGA = wrong_BGA - IOU_WEIGHT * (iou_BGA + 1e-8).log() + OUTSIDE * ~(inside_BGA & central_BGA)
    cost_BGA = cost_BGA.masked_fill(~(near_B1A & is_box_BG1), torch.inf)

    best_BGC = iou_BGA.topk(min(CANDIDATES, iou_BGA.shape[2]), dim=2).values
    places_BG = best_BGC.sum(2).int().clamp_min(1)
    rank_BGA = cost_BGA.argsort(dim=2, stable=True).argsort(dim=2)
    takes_BGA = (rank_BGA < places_BG[:, :, None]) & cost_BGA.isfinite()
    takers_BA = takes_BGA.sum(1)
    taker_BA = torch.where(takers_BA > 1, cost_BGA.argmin(1), takes_BGA.int().argmax(1))
    clip, place = takers_BA.nonzero(as_tuple=True)
    row = taker_BA[clip, place]
    return Assignment(clip, place, number_BG[clip, row], iou_BGA[clip, row, place])


def _in_rows(clip_M: Tensor, *, clips: int) -> tuple[Tensor, Tensor]:
    """Numbers of each clip's boxes, int64 [B,G], 0 where it has no more, and whether there is one, bool [B,G]."""
    counts_B = torch.bincount(clip_M, minlength=clips)
    place_G = torch.arange(int(counts_B.max()) if len(clip_M) else 0, device=clip_M.device)
    is_box_BG = place_G < counts_B[:, None]
    first_B = counts_B.cumsum(0) - counts_B
    return (first_B[:, None] + place_G) * is_box_BG, is_box_BG


def _where_places_lie(answer: DenseAnswer, boxes_BG4: Tensor) -> tuple[Tensor, Tensor]:
    """bool [B,G,A] each: whether a place lies in a box, and whether within `RADIUS` strides of its center."""
    places_A2 = answer.centers.float()
    low_BG12, high_BG12 = boxes_BG4[:, :, None, :2], boxes_BG4[:, :, None, 2:]
    inside = torch.minimum(places_A2 - low_BG12, high_BG12 - places_A2).amin(-1) > 0
    away = (places_A2 - (low_BG12 + high_BG12) / 2).abs().amax(-1)
    return inside, away < RADIUS * answer.strides.float()


def _iou(boxes_BG4: Tensor, found_BA4: Tensor) -> Tensor:
    """float [B,G,A]"""
    one, other = boxes_BG4[:, :, None], found_BA4[:, None]
    sides = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])
    shared = sides.clamp_min(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp_min(0).prod(-1) for box in (one, other)]
    return shared / (areas[0] + areas[1] - shared).clamp_min(1e-9)


def _class_cost(answer: DenseAnswer, classes_BGK: Tensor) -> Tensor:
    """Cross-entropy of each place's class scores with each box's classes, float [B,G,A]: the scores are square roots of
    the probabilities that there is a thing, and of which class."""
    score_BAK = (answer.classes.float().sigmoid() * answer.objectness.float().sigmoid()[..., None]).sqrt()
    yes_BAK, no_BAK = score_BAK.log().clamp_min(-100), (1 - score_BAK).log().clamp_min(-100)
    return -(classes_BGK @ yes_BAK.mT + (1 - classes_BGK) @ no_BAK.mT)
