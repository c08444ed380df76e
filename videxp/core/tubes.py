"""Tubes: one thing through a video, a box on each of its frames."""

from dataclasses import dataclass

import numpy as np

from videxp.core.boxes import paired_iou


@dataclass(frozen=True)
class Tube:
    """T frames, which need not follow each other."""

    frame_T: np.ndarray
    """int, each once, in order of time"""
    xyxy_T4: np.ndarray
    label: int
    score: float = 1.0


def tube_iou(one: Tube, other: Tube) -> float:
    """Overlap in time (frames of both over frames of either) times the mean IoU of boxes on the frames of both."""
    common, of_one, of_other = np.intersect1d(one.frame_T, other.frame_T, assume_unique=True, return_indices=True)
    if not len(common):
        return 0.0
    in_time = len(common) / (len(one.frame_T) + len(other.frame_T) - len(common))
    return in_time * float(paired_iou(one.xyxy_T4[of_one], other.xyxy_T4[of_other]).mean())


def without_gaps(tube: Tube) -> Tube:
    """With a box on each frame from the first to the last: on a straight line between its neighbors in time."""
    frame_T = np.arange(tube.frame_T[0], tube.frame_T[-1] + 1)
    xyxy_T4 = np.stack([np.interp(frame_T, tube.frame_T, side_T) for side_T in tube.xyxy_T4.T], 1)
    return Tube(frame_T, xyxy_T4, tube.label, tube.score)


def suppress_tubes(tubes: list[Tube], *, iou: float) -> list[Tube]:
    """The surest first; one that overlaps a surer one of its class by more than `iou` goes."""
    kept: list[Tube] = []
    for tube in sorted(tubes, key=lambda one: -one.score):
        if all(tube.label != other.label or tube_iou(tube, other) <= iou for other in kept):
            kept.append(tube)
    return kept
