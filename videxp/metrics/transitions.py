"""Transitions between the shots of videos: found, missed and invented ones, and F1.

A transition is two frame numbers: the last frame of the shot before it and the first frame of the shot after it. They
follow each other in a hard cut; in a gradual transition (dissolve, fade, wipe) there are frames between them. A scene
is the first and the last frame of a shot, inclusive. The rules are those of `evaluate_scenes` and
`predictions_to_scenes` of soCzech/TransNetV2, which TransNetV2's and AutoShot's figures were made with.

Legend: T frames of one video, H thresholds, K kinds (`KINDS`). Counts are int64 [...,3]: true positives, false
positives (predictions that match nothing), false negatives (transitions that nothing matches).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from videxp.core.errors import VidexpError
from videxp.video.shots import Transition

KINDS = ("cut", "gradual")
TOLERANCE_FRAMES = 2
THRESHOLDS = tuple(step / 100 for step in range(1, 100))


# ---- from probabilities to transitions ------------------------------------------------------------------------------


def predict_transitions(probability_T: Tensor, *, threshold: float) -> list[Transition]:
    """[0 0 1 0 0] -> [(2, 3)]; [0 1 1 1 0] -> [(1, 4)]: runs of frames whose probability is above the threshold.

    A run that the video begins or ends with separates nothing, and is left out.
    """
    runs = _runs(probability_T, threshold)
    return [(start, end) for start, end in runs if start > 0 and end < len(probability_T)]


def predict_scenes(probability_T: Tensor, *, threshold: float) -> list[tuple[int, int]]:
    """The scenes between those runs, [(first frame, last frame)], inclusive; one, if all frames are above.

    A run's first frame is counted to the scene before it, as in the public evaluation.
    """
    length = len(probability_T)
    runs = _runs(probability_T, threshold)
    starts = [end for _, end in runs if end < length]
    ends = [start for start, _ in runs if start > 0]
    if not runs or runs[0][0] > 0:
        starts.insert(0, 0)
    if not runs or runs[-1][1] < length:
        ends.append(length - 1)
    return list(zip(starts, ends, strict=True)) or [(0, length - 1)]


def transitions_between(scenes: Sequence[tuple[int, int]]) -> list[Transition]:
    """[(0, 41), (42, 80), (91, 120)] -> [(41, 42), (80, 91)]."""
    return [(before[1], after[0]) for before, after in pairwise(scenes)]


def _runs(probability_T: Tensor, threshold: float) -> list[tuple[int, int]]:
    """[start, end) of each run of frames above the threshold."""
    above = np.zeros(len(probability_T) + 2, dtype=np.int8)
    above[1:-1] = probability_T.detach().double().cpu().numpy() > threshold
    change = np.diff(above)
    return list(zip(np.flatnonzero(change == 1).tolist(), np.flatnonzero(change == -1).tolist(), strict=True))


# ---- counting -------------------------------------------------------------------------------------------------------


def match_transitions(
    true: Sequence[Transition], predicted: Sequence[Transition], *, tolerance: int = TOLERANCE_FRAMES
) -> list[tuple[int, int]]:
    """(number of a true, number of a predicted one) for each transition that was found; both are in order of time.

    The gap between the last frame before and the first frame after, made wider by tolerance / 2 frames at either end,
    must touch the other's; each is matched once, the earliest first. True (4, 5) is found by (5, 6) with a tolerance
    of 1 frame, but not with 0.
    """
    pairs = []
    i = j = 0
    while i < len(true) and j < len(predicted):
        (last, first), (guessed_last, guessed_first) = true[i], predicted[j]
        # In half frames: the gap is [2 * last + 1 - tolerance, 2 * first - 1 + tolerance].
        if guessed_first - last < 1 - tolerance:
            j += 1
        elif first - guessed_last < 1 - tolerance:
            i += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def count_transitions(
    probability_T: Tensor,
    true: Sequence[Transition],
    *,
    threshold: float,
    many_hot_T: Tensor | None = None,
    tolerance: int = TOLERANCE_FRAMES,
) -> Tensor:
    """Counts of one video, int64 [K,3].

    A transition that is there counts for its own kind, whether it is found or not. A false positive counts for the kind
    it looks like: gradual if `many_hot_T`, the probability of lying within a transition, is above one half for more
    than one frame on end (without it, if the predicted run is longer than one frame).
    """
    predicted = predict_transitions(probability_T, threshold=threshold)
    pairs = match_transitions(true, predicted, tolerance=tolerance)
    found, right = {i for i, _ in pairs}, {j for _, j in pairs}
    spans = predicted if many_hot_T is None else _runs(many_hot_T, 0.5)
    counts_K3 = torch.zeros(len(KINDS), 3, dtype=torch.long)
    for i, (last, first) in enumerate(true):
        counts_K3[int(first - last > 1), 0 if i in found else 2] += 1
    for j, (start, end) in enumerate(predicted):
        if j not in right:
            longest = max((b - a for a, b in spans if a < end and b > start), default=0)
            counts_K3[int(longest > 1), 1] += 1
    return counts_K3


# ---- from counts to figures -----------------------------------------------------------------------------------------


def transition_scores(counts: Tensor) -> dict[str, Tensor]:
    """counts [...,3] -> `precision`, `recall`, `f1`, float64 [...] in [0,1].

    Precision is 0 where nothing was predicted, as in the public evaluation; recall and F1 are NaN where there is no
    transition to be found.
    """
    tp, fp, fn = counts.double().unbind(-1)
    return {
        "precision": tp / (tp + fp).clamp(min=1),
        "recall": tp / (tp + fn),
        "f1": torch.where(tp + fn > 0, 2 * tp / (2 * tp + fp + fn), torch.nan),
    }


def transition_figures(counts_K3: Tensor) -> dict[str, Tensor]:
    """`precision`, `recall`, `f1` of all kinds together, and of each: `f1_cut`, `recall_gradual`, ...; scalars."""
    every = {"": counts_K3.sum(0), **{f"_{kind}": counts_K3[k] for k, kind in enumerate(KINDS)}}
    return {name + kind: value for kind, counts in every.items() for name, value in transition_scores(counts).items()}


def best_threshold(counts_HK3: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> float:
    """The threshold of the greatest F1; of several, the one nearest to one half. One half where F1 is not defined."""
    f1_H = transition_scores(counts_HK3.sum(1))["f1"]
    best = [threshold for threshold, f1 in zip(thresholds, f1_H, strict=True) if f1 == f1_H.max()]
    return min(best, key=lambda threshold: abs(threshold - 0.5), default=0.5)


def threshold_curve(counts_HK3: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> list[dict[str, float]]:
    """A row for each threshold: `threshold`, `precision`, `recall`, `f1`, `tp`, `fp`, `fn`, of all kinds together."""
    counts_H3 = counts_HK3.sum(1)
    columns = {
        "threshold": torch.tensor(thresholds, dtype=torch.float64),
        **transition_scores(counts_H3),
        **dict(zip(("tp", "fp", "fn"), counts_H3.unbind(-1))),
    }
    return [{name: values[row].item() for name, values in columns.items()} for row in range(len(thresholds))]


class TransitionCounts(Metric):
    """Counts summed over videos, int64 [H,K,3], at each threshold.

    Updated with whole videos; ranks of unequal length add up to what one process has, provided that no video is given
    twice. The state is not persistent: a checkpoint is written between evaluations, when it is empty.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    counts_HK3: Tensor

    def __init__(self, *, thresholds: Sequence[float] = THRESHOLDS, tolerance: int = TOLERANCE_FRAMES) -> None:
        super().__init__()
        self.thresholds = tuple(thresholds)
        self.tolerance = tolerance
        zeros = torch.zeros(len(self.thresholds), len(KINDS), 3, dtype=torch.long)
        self.add_state("counts_HK3", zeros, dist_reduce_fx="sum")

    def update(self, probability_T: Tensor, true: Sequence[Transition], *, many_hot_T: Tensor | None = None) -> None:
        """Of one video: float [T] in [0,1], its transitions in order of time. Raises `VidexpError` for a NaN."""
        if not probability_T.isfinite().all():
            raise VidexpError("the network gave probabilities that are not finite: its training has diverged")
        of_video = [
            count_transitions(probability_T, true, threshold=threshold, many_hot_T=many_hot_T, tolerance=self.tolerance)
            for threshold in self.thresholds
        ]
        self.counts_HK3 += torch.stack(of_video).to(self.counts_HK3.device)

    def compute(self) -> Tensor:
        """int64 [H,K,3]; for `best_threshold`, `transition_figures` of one of them, `threshold_curve`."""
        return self.counts_HK3
