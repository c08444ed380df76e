"""Average precision of boxes on frames and of tubes in videos.

A unit is what boxes are compared within: a frame, or for tubes a video. Each detection of a class, the surest first,
takes a true box of its unit or is a false alarm.

Legend: D detections and N true boxes or tubes of one class, d and n of one unit of it, H thresholds of overlap.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from videxp.core.boxes import box_iou
from videxp.core.tubes import Tube, tube_iou

Rule = Literal["pascal", "coco"]
"""Which true box a detection takes: the one it overlaps most, and is a false alarm if that is taken (PASCAL VOC), or
the one that it overlaps most of those not yet taken (COCO)."""

Interpolation = Literal["all_point", "trapezoid", "coco"]
"""Area under precision over recall. all_point: PASCAL VOC 2010 and after, precision made monotone. trapezoid: no
envelope, straight lines between points, from precision 1 at recall 0, as ACT's and ROAD's evaluation of tubes does: the
same detections have a lower figure. coco: the mean of the envelope at recall 0, 0.01, ..., 1."""

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


@dataclass(frozen=True)
class Matched:
    """Of one class, the surest first."""

    score_D: np.ndarray
    correct_HD: np.ndarray
    """bool"""
    true: int
    """N"""

    def precision_and_recall(self, threshold: int) -> tuple[np.ndarray, np.ndarray]:
        """After each detection, [D] and [D], at the threshold of this number."""
        right_D = self.correct_HD[threshold].cumsum()
        return right_D / np.arange(1, len(right_D) + 1), right_D / max(self.true, 1)

    def average_precision(self, interpolation: Interpolation) -> np.ndarray:
        """[H]; NaN where there is no true box."""
        if not self.true:
            return np.full(len(self.correct_HD), np.nan)
        return np.array([_area(*self.precision_and_recall(i), interpolation) for i in range(len(self.correct_HD))])


def match_detections(
    units: Iterable[tuple[np.ndarray, np.ndarray]], thresholds: Sequence[float], *, rule: Rule = "pascal"
) -> Matched:
    """units: of each, the scores [d] of its detections and their overlap with its true boxes, [d,n].

    Of equal scores the earlier one comes first. An overlap equal to the threshold suffices.
    """
    scores, correct, true = [np.zeros(0)], [np.zeros((len(thresholds), 0), bool)], 0
    for score_d, overlap_dn in units:
        order = np.argsort(-score_d, kind="stable")
        scores.append(score_d[order])
        correct.append(np.stack([_taken(overlap_dn[order], least, rule) for least in thresholds]))
        true += overlap_dn.shape[1]
    score_D, correct_HD = np.concatenate(scores), np.concatenate(correct, 1)
    order = np.argsort(-score_D, kind="stable")
    return Matched(score_D[order], correct_HD[:, order], true)


def _taken(overlap_dn: np.ndarray, least: float, rule: Rule) -> np.ndarray:
    """bool [d]: whether each got a true box."""
    detections, true = overlap_dn.shape
    correct_d = np.zeros(detections, bool)
    free_n = np.ones(true, bool)
    for number in range(detections if true else 0):
        overlap_n = overlap_dn[number] if rule == "pascal" else np.where(free_n, overlap_dn[number], -1)
        best = int(overlap_n.argmax())
        correct_d[number] = overlap_n[best] >= least and free_n[best]
        free_n[best] &= not correct_d[number]
    return correct_d


def _area(precision_D: np.ndarray, recall_D: np.ndarray, interpolation: Interpolation) -> float:
    if interpolation == "trapezoid":
        return float(np.trapezoid(np.r_[1.0, precision_D], np.r_[0.0, recall_D]))
    envelope_D = np.maximum.accumulate(precision_D[::-1])[::-1]
    if interpolation == "all_point":
        return float((np.diff(recall_D, prepend=0.0) * envelope_D).sum())
    places = np.searchsorted(recall_D, np.linspace(0, 1, 101), side="left")
    return float(np.r_[envelope_D, 0.0][places].mean())


# ---- frames ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PooledBoxes:
    """Boxes of many units: detections, or what is true (then `score_M` is of no account)."""

    unit_M: np.ndarray
    """int: the same for boxes on one frame of one video"""
    label_M: np.ndarray
    """int"""
    score_M: np.ndarray
    xyxy_M4: np.ndarray

    def of(self, keep_M: np.ndarray) -> "PooledBoxes":
        return PooledBoxes(self.unit_M[keep_M], self.label_M[keep_M], self.score_M[keep_M], self.xyxy_M4[keep_M])


def match_boxes(
    true: PooledBoxes,
    detected: PooledBoxes,
    *,
    classes: Iterable[int],
    thresholds: Sequence[float] = (0.5,),
    rule: Rule = "pascal",
) -> dict[int, Matched]:
    """Of each class. Units without a true box of any class count, too: what is found there is a false alarm; leave out
    what was not annotated (of UCF101-24 and AVA, whole frames)."""
    return {
        label: match_detections(
            _units(true.of(true.label_M == label), detected.of(detected.label_M == label)), thresholds, rule=rule
        )
        for label in classes
    }


def _units(true: PooledBoxes, detected: PooledBoxes) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    units = np.union1d(true.unit_M, detected.unit_M)
    for found, there in zip(rows_of(detected.unit_M, units), rows_of(true.unit_M, units), strict=True):
        yield detected.score_M[found], box_iou(detected.xyxy_M4[found], true.xyxy_M4[there])


def rows_of(unit_M: np.ndarray, units: np.ndarray) -> list[np.ndarray]:
    """Numbers of the rows of each unit, in their order. units: sorted, all that there are; one sort serves them all."""
    order_M = np.argsort(unit_M, kind="stable")
    return np.split(order_M, np.searchsorted(unit_M[order_M], units[1:]))[: len(units)]


# ---- tubes ----------------------------------------------------------------------------------------------------------


def match_tubes(
    videos: Iterable[tuple[Sequence[Tube], Sequence[Tube]]],
    *,
    classes: Iterable[int],
    thresholds: Sequence[float] = (0.2, 0.5, 0.75),
    overlap: Callable[[Tube, Tube], float] = tube_iou,
) -> dict[int, Matched]:
    """videos: of each, its true tubes and those that were found."""
    videos = list(videos)
    matched = {}
    for label in classes:
        units = []
        for true, found in videos:
            mine, theirs = ([tube for tube in tubes if tube.label == label] for tubes in (found, true))
            overlap_dn = np.array([[overlap(one, other) for other in theirs] for one in mine])
            units.append((np.array([one.score for one in mine]), overlap_dn.reshape(len(mine), len(theirs))))
        matched[label] = match_detections(units, thresholds)
    return matched


def mean_average_precision(matched: dict[int, Matched], interpolation: Interpolation = "all_point") -> np.ndarray:
    """[H]: over the classes that have a true box; NaN where none has."""
    ap_KH = np.array([one.average_precision(interpolation) for one in matched.values() if one.true])
    return ap_KH.mean(0) if len(ap_KH) else np.full(len(next(iter(matched.values())).correct_HD), np.nan)
