"""How the boxes that were found in a video compare with the true ones.

Legend: M boxes of one video, K classes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from videxp.core.boxes import box_iou
from videxp.metrics.detected_videos import DetectedVideo, VideoBoxes
from videxp.metrics.detection import rows_of

LEAST_OVERLAP = 0.5
"""IoU from which a box that was found is a true one."""


@dataclass(frozen=True)
class BoxMarks:
    """Numbers of boxes: each true one is a hit or missed, each found one a hit or a false alarm."""

    hits: tuple[tuple[int, int], ...]
    """(true, found)"""
    missed: tuple[int, ...] = ()
    false_alarms: tuple[int, ...] = ()

    @property
    def mistakes(self) -> int:
        return len(self.missed) + len(self.false_alarms)

    def __str__(self) -> str:
        """`231 hits, 1 missed, 2 false alarms`"""
        hits, false_alarms = len(self.hits), len(self.false_alarms)
        return (
            f"{hits:,} hit{'s' * (hits != 1)}, {len(self.missed):,} missed, "
            f"{false_alarms:,} false alarm{'s' * (false_alarms != 1)}"
        )


def mark_boxes(true: VideoBoxes, found: VideoBoxes, *, least: float = LEAST_OVERLAP) -> BoxMarks:
    """The surest box of each frame takes the true one of its class that it overlaps most, of those that are left."""
    hits: list[tuple[int, int]] = []
    for there, ours in _frames(true, found):
        overlap = box_iou(found.xyxy_M4[ours], true.xyxy_M4[there])
        overlap[found.label_M[ours][:, None] != true.label_M[there][None]] = 0
        for row in np.argsort(-found.score_M[ours], kind="stable") if len(there) else ():
            best = int(overlap[row].argmax())
            if overlap[row, best] >= least:
                hits.append((int(there[best]), int(ours[row])))
                overlap[:, best] = 0
    seen, right = {i for i, _ in hits}, {j for _, j in hits}
    return BoxMarks(
        hits=tuple(hits),
        missed=tuple(i for i in range(len(true.label_M)) if i not in seen),
        false_alarms=tuple(j for j in range(len(found.label_M)) if j not in right),
    )


def count_confusions(
    videos: Iterable[DetectedVideo], *, num_classes: int, threshold: float, least: float = LEAST_OVERLAP
) -> np.ndarray:
    """int64 [K+1,K+1], true class by found class; the last row and column are the background: what was found where
    nothing is, and what was missed. Boxes from `threshold` on are paired whatever their class, those that overlap most
    first; of a box with several classes, a class with itself."""
    counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for video in videos:
        true, found = video.true, video.found.where(video.found.score_M >= threshold)
        for there, ours in _frames(true, found):
            overlap = box_iou(true.xyxy_M4[there], found.xyxy_M4[ours])
            free_true, free_found = np.ones(len(there), bool), np.ones(len(ours), bool)
            differs = true.label_M[there][:, None] != found.label_M[ours]
            for place in np.lexsort((differs.ravel(), -overlap.ravel())):
                i, j = np.unravel_index(place, overlap.shape)
                if overlap[i, j] < least:
                    break
                if free_true[i] and free_found[j]:
                    free_true[i] = free_found[j] = False
                    counts[true.label_M[there[i]], found.label_M[ours[j]]] += 1
            np.add.at(counts, (true.label_M[there[free_true]], num_classes), 1)
            np.add.at(counts, (num_classes, found.label_M[ours[free_found]]), 1)
    return counts


def _frames(true: VideoBoxes, found: VideoBoxes) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Numbers of the true and of the found boxes of each frame that has any."""
    frames = np.union1d(true.frame_M, found.frame_M)
    return list(zip(rows_of(true.frame_M, frames), rows_of(found.frame_M, frames)))
