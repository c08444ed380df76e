"""How well things are found and kept apart over time: MOTA, IDF1 and HOTA.

CLEAR MOT: Bernardin and Stiefelhagen 2008. IDF1: Ristani et al. 2016. HOTA: Luiten et al. 2021, equations 13 to 20.
The rules where the papers leave a choice are those of TrackEval: in CLEAR a match of the frame before is kept while its
boxes overlap enough, and a switch is counted against the last match, however long ago.

Legend: M boxes of one video, F frames, G true tracks, P predicted tracks, A = 19 thresholds (`ALPHAS`), g and p boxes
of one frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from videxp.core.boxes import box_iou
from videxp.core.errors import VidexpError
from videxp.metrics.detection import rows_of

ALPHAS = np.arange(1, 20) / 20
IOU = 0.5
"""From which two boxes may match, in CLEAR MOT and IDF1."""
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2
EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Tracks:
    """Boxes of one video. Raises VidexpError for a track with two boxes on one frame."""

    frame_M: np.ndarray
    """int"""
    track_M: np.ndarray
    """int: the same for one thing in all frames"""
    xyxy_M4: np.ndarray
    """float, in pixels"""

    def __post_init__(self) -> None:
        pairs = np.stack([self.frame_M, self.track_M], 1)
        unique, counts = np.unique(pairs, axis=0, return_counts=True)
        if (counts > 1).any():
            frame, track = unique[counts > 1][0]
            raise VidexpError(f"track {track} has {counts.max()} boxes on frame {frame}: a thing is in one place")


@dataclass(frozen=True)
class TrackingCounts:
    """What is counted in videos; sums over videos are exact, `figures` are made of the sum."""

    true: int = 0
    """Boxes, and so on: numbers of boxes, but for `switches` and what counts tracks."""
    predicted: int = 0
    matched: int = 0
    overlap: float = 0.0
    """Sum of the matches' IoU."""
    switches: int = 0
    fragments: int = 0
    mostly_tracked: int = 0
    mostly_lost: int = 0
    tracks: int = 0
    identified: int = 0
    """IDTP: boxes that match under the best one-to-one assignment of tracks."""
    matched_A: np.ndarray | float = 0.0
    """HOTA's TP at each threshold, [A]."""
    overlap_A: np.ndarray | float = 0.0
    association_A: np.ndarray | float = 0.0
    """Sums over TP of |TPA| / (|TPA| + |FNA| + |FPA|)."""

    def __add__(self, other: "TrackingCounts") -> "TrackingCounts":
        return TrackingCounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def figures(self) -> dict[str, float]:
        """`mota`, `motp` (mean IoU of matches), `idf1`, `hota`, `deta`, `assa`, `loca`, and counts.

        MOTA, IDF1 and HOTA of no box at all, true or predicted, are not defined: they are left out.
        """
        counts = {
            "misses": self.true - self.matched,
            "false_alarms": self.predicted - self.matched,
            "switches": self.switches,
            "fragments": self.fragments,
            "mostly_tracked": self.mostly_tracked,
            "mostly_lost": self.mostly_lost,
        }
        found: dict[str, float] = {name: float(value) for name, value in counts.items()}
        if self.true:
            wrong = counts["misses"] + counts["false_alarms"] + self.switches
            found["mota"] = 1 - wrong / self.true
        if self.matched:
            found["motp"] = self.overlap / self.matched
        if self.true + self.predicted:
            found["idf1"] = 2 * self.identified / (self.true + self.predicted)
            found |= self._hota()
        return found

    def _hota(self) -> dict[str, float]:
        matched_A, overlap_A, association_A = (
            np.broadcast_to(value, ALPHAS.shape) for value in (self.matched_A, self.overlap_A, self.association_A)
        )
        some = matched_A > 0
        deta_A = matched_A / (self.true + self.predicted - matched_A)
        assa_A = np.divide(association_A, matched_A, out=np.zeros_like(deta_A), where=some)
        loca_A = np.divide(overlap_A, matched_A, out=np.ones_like(deta_A), where=some)
        curves = {"hota": np.sqrt(deta_A * assa_A), "deta": deta_A, "assa": assa_A, "loca": loca_A}
        return {name: float(curve.mean()) for name, curve in curves.items()}


def count_tracking(true: Tracks, predicted: Tracks) -> TrackingCounts:
    """Counts of one video."""
    frames = list(_frames(true, predicted))
    sizes = (len(np.unique(true.track_M)), len(np.unique(predicted.track_M)))
    boxes = TrackingCounts(true=len(true.frame_M), predicted=len(predicted.frame_M), tracks=sizes[0])
    return boxes + _clear(frames, tracks=sizes[0]) + _identities(frames, sizes) + _higher_order(frames, sizes)


@dataclass(frozen=True)
class _Frame:
    true_g: np.ndarray
    """Numbers of tracks, from 0 to G - 1."""
    predicted_p: np.ndarray
    iou_gp: np.ndarray


def _frames(true: Tracks, predicted: Tracks) -> Iterator[_Frame]:
    """The frames on which there is a box of either, in order of time."""
    numbers = [np.unique(tracks.track_M, return_inverse=True)[1].reshape(-1) for tracks in (true, predicted)]
    present = np.union1d(true.frame_M, predicted.frame_M)
    of_both = zip(rows_of(true.frame_M, present), rows_of(predicted.frame_M, present), strict=True)
    for of_true, of_predicted in of_both:
        overlap_gp = box_iou(true.xyxy_M4[of_true], predicted.xyxy_M4[of_predicted])
        yield _Frame(numbers[0][of_true], numbers[1][of_predicted], overlap_gp)


def _clear(frames: list[_Frame], *, tracks: int) -> TrackingCounts:
    last_G = np.full(tracks, -1)  # predicted track that each true one was matched with last
    previous_G = np.full(tracks, -1)  # the same in the frame before alone
    present_G, matched_G, begun_G = np.zeros((3, tracks), int)
    switches, overlap = 0, 0.0
    for frame in frames:
        np.add.at(present_G, frame.true_g, 1)
        if not frame.iou_gp.size:
            continue
        goes_on_gp = previous_G[frame.true_g][:, None] == frame.predicted_p[None]
        score_gp = np.where(frame.iou_gp >= IOU - EPS, 1000 * goes_on_gp + frame.iou_gp, 0)
        rows, columns = linear_sum_assignment(-score_gp)
        is_match = score_gp[rows, columns] > EPS
        rows, columns = rows[is_match], columns[is_match]
        true_m, predicted_m = frame.true_g[rows], frame.predicted_p[columns]
        switches += int(((last_G[true_m] >= 0) & (last_G[true_m] != predicted_m)).sum())
        overlap += float(frame.iou_gp[rows, columns].sum())
        matched_G[true_m] += 1
        begun_G[true_m] += previous_G[true_m] < 0
        last_G[true_m] = predicted_m
        previous_G[:] = -1
        previous_G[true_m] = predicted_m
    share_G = matched_G / np.maximum(present_G, 1)
    return TrackingCounts(
        matched=int(matched_G.sum()),
        overlap=overlap,
        switches=switches,
        fragments=int((begun_G[begun_G > 0] - 1).sum()),
        mostly_tracked=int((share_G > MOSTLY_TRACKED).sum()),
        mostly_lost=int((share_G < MOSTLY_LOST).sum()),
    )


def _identities(frames: list[_Frame], sizes: tuple[int, int]) -> TrackingCounts:
    together_GP = np.zeros(sizes, int)
    for frame in frames:
        rows, columns = np.nonzero(frame.iou_gp >= IOU)
        together_GP[frame.true_g[rows], frame.predicted_p[columns]] += 1
    return TrackingCounts(identified=int(together_GP[linear_sum_assignment(-together_GP)].sum()))


def _higher_order(frames: list[_Frame], sizes: tuple[int, int]) -> TrackingCounts:
    alike_GP, true_G1, predicted_1P = np.zeros(sizes), np.zeros((sizes[0], 1)), np.zeros((1, sizes[1]))
    for frame in frames:
        iou_gp = frame.iou_gp
        either_gp = iou_gp.sum(0, keepdims=True) + iou_gp.sum(1, keepdims=True) - iou_gp
        share_gp = np.divide(iou_gp, either_gp, out=np.zeros_like(iou_gp), where=either_gp > EPS)
        alike_GP[np.ix_(frame.true_g, frame.predicted_p)] += share_gp
        true_G1[frame.true_g] += 1
        predicted_1P[0, frame.predicted_p] += 1
    alignment_GP = alike_GP / np.maximum(true_G1 + predicted_1P - alike_GP, EPS)
    matched_A, overlap_A = np.zeros((2, len(ALPHAS)))
    together_AGP = np.zeros((len(ALPHAS), *sizes))
    for frame in frames:
        score_gp = alignment_GP[np.ix_(frame.true_g, frame.predicted_p)] * frame.iou_gp
        rows, columns = linear_sum_assignment(-score_gp)
        iou_m = frame.iou_gp[rows, columns]
        is_match_Am = iou_m[None] >= ALPHAS[:, None] - EPS
        matched_A += is_match_Am.sum(1)
        overlap_A += (is_match_Am * iou_m).sum(1)
        together_AGP[:, frame.true_g[rows], frame.predicted_p[columns]] += is_match_Am
    share_AGP = together_AGP / np.maximum(true_G1 + predicted_1P - together_AGP, 1)
    return TrackingCounts(
        matched_A=matched_A, overlap_A=overlap_A, association_A=(together_AGP * share_AGP).sum((1, 2))
    )
