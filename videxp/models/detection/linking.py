"""Detections of frame after frame linked to action tubes: Singh et al. 2017, "Online Real-time Multiple Spatiotemporal
Action Localisation and Prediction", section 3.4.

K classes, N boxes of a frame, T frames of a path.
"""

from dataclasses import dataclass, field

import numpy as np

from videxp.core.boxes import box_iou
from videxp.core.tubes import Tube, without_gaps


@dataclass
class _Path:
    frames: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, frame: int, xyxy: np.ndarray, score: float) -> None:
        self.frames.append(frame)
        self.boxes.append(xyxy)
        self.scores.append(score)

    def expected(self, frame: int) -> np.ndarray:
        """Where its box would be at the velocity of its last two, [4]."""
        if len(self.boxes) < 2:
            return self.boxes[-1]
        speed_4 = (self.boxes[-1] - self.boxes[-2]) / (self.frames[-1] - self.frames[-2])
        return self.boxes[-1] + speed_4 * (frame - self.frames[-1])


class TubeLinker:
    """Told one frame after the other; of each class on its own.

    min_iou: overlap with a path's expected box from which a box goes on with it (0.25 for UCF101-24, 0.1 elsewhere).
    patience: frames without a box after which a path ends, so a gap is shorter.
    recent: frames whose mean score puts live paths in order.
    by_overlap: whether the box that a path takes is the one of the greatest score + IoU, not of the greatest score.
    """

    def __init__(self, *, min_iou: float = 0.1, patience: int = 5, recent: int = 15, by_overlap: bool = False) -> None:
        self.min_iou, self.patience, self.recent, self.by_overlap = min_iou, patience, recent, by_overlap
        self.live: dict[int, list[_Path]] = {}
        self.ended: list[tuple[int, _Path]] = []

    def update(self, frame: int, xyxy_N4: np.ndarray, score_NK: np.ndarray, *, least: float = 0.05) -> None:
        """least: score from which a box belongs to a class at all."""
        for label in range(score_NK.shape[1]):
            of_class = np.flatnonzero(score_NK[:, label] >= least)
            self._link(label, frame, xyxy_N4[of_class], score_NK[of_class, label])

    def _link(self, label: int, frame: int, xyxy_N4: np.ndarray, score_N: np.ndarray) -> None:
        paths = self.live.get(label, [])
        self.ended += [(label, path) for path in paths if frame - path.frames[-1] > self.patience]
        paths = self.live[label] = [path for path in paths if frame - path.frames[-1] <= self.patience]
        paths.sort(key=lambda path: -float(np.mean(path.scores[-self.recent :])))
        free_N = np.ones(len(xyxy_N4), bool)
        for path in paths:
            overlap_N = box_iou(path.expected(frame)[None], xyxy_N4.reshape(-1, 4))[0]
            worth_N = np.where(free_N & (overlap_N >= self.min_iou), score_N + self.by_overlap * overlap_N, -np.inf)
            if len(worth_N) and np.isfinite(worth_N.max()):
                best = int(worth_N.argmax())
                path.add(frame, xyxy_N4[best], float(score_N[best]))
                free_N[best] = False
        for number in np.flatnonzero(free_N):
            paths.append(_Path([frame], [xyxy_N4[number]], [float(score_N[number])]))

    def tubes(self, *, top: int = 10, min_frames: int = 2) -> list[Tube]:
        """All so far, with a box on each of their frames, the surest first.

        A tube's score is the mean of its `top` greatest. Shorter ones than `min_frames` are left out.
        """
        paths = self.ended + [(label, path) for label, live in self.live.items() for path in live]
        found = [
            without_gaps(Tube(np.array(path.frames), np.stack(path.boxes), label, _mean_of_best(path.scores, top)))
            for label, path in paths
            if path.frames[-1] - path.frames[0] + 1 >= min_frames
        ]
        return sorted(found, key=lambda tube: (-tube.score, tube.label, int(tube.frame_T[0])))


def _mean_of_best(scores: list[float], count: int) -> float:
    return float(np.mean(sorted(scores)[-count:]))


def spans_of_action(score_T: np.ndarray, *, alpha: float = 3.0) -> list[tuple[int, int]]:
    """[start, end) of the frames of a path on which its class is seen: the labeling, action or not, that is likeliest
    where each change costs `alpha`; by Viterbi's algorithm. Equation 3 of Saha et al. 2016.

    score_T: the class's probability on each frame.
    """
    gain_T2 = np.stack([1 - score_T, score_T], 1)
    best_2 = gain_T2[0]
    came_from_T2 = np.zeros((len(score_T), 2), int)
    change_22 = alpha * (1 - np.eye(2))
    for time in range(1, len(score_T)):
        reached_22 = best_2[:, None] - change_22
        came_from_T2[time] = reached_22.argmax(0)
        best_2 = reached_22.max(0) + gain_T2[time]
    labels = [int(best_2.argmax())]
    for time in range(len(score_T) - 1, 0, -1):
        labels.append(int(came_from_T2[time, labels[-1]]))
    edges = np.diff(np.r_[0, labels[::-1], 0])
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))
