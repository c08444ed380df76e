"""Boxes of frame after frame given names, so that one thing keeps its name: overlap alone, SORT, and ByteTrack.

Trackers are told one frame after the other and answer at once; nothing is drawn at random, and equal input has equal
names. N boxes of a frame, L live tracks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from videxp.core.boxes import box_area, box_iou

NO_TRACK = -1


@dataclass
class Track:
    """One thing that was seen."""

    name: int
    xyxy: np.ndarray
    """float [4], of the last frame it was seen on"""
    last_frame: int
    hits: int = 1
    """Frames on which it was seen, without a gap before them."""
    motion: "ConstantVelocity | None" = None


class Tracker:
    """Base: live tracks, and how long one lives unseen.

    max_gap: frames for which a track is unseen at most and still goes on.
    """

    def __init__(self, *, max_gap: int) -> None:
        self.max_gap = max_gap
        self.tracks: list[Track] = []
        self.next_name = 0

    def update(self, frame: int, xyxy_N4: np.ndarray, score_N: np.ndarray) -> np.ndarray:
        """int [N]: the name of each box's track, NO_TRACK of a box that belongs to none (yet).

        frame: its number, larger than that of the call before; frames between were empty.
        """
        raise NotImplementedError

    def begin(self, frame: int, xyxy: np.ndarray, *, motion: "ConstantVelocity | None" = None) -> Track:
        track = Track(self.next_name, xyxy, frame, motion=motion)
        self.next_name += 1
        self.tracks.append(track)
        return track

    def forget(self, frame: int) -> None:
        """Drops the tracks that cannot go on at a frame."""
        self.tracks = [track for track in self.tracks if frame - track.last_frame <= self.max_gap + 1]


class GreedyIou(Tracker):
    """The pair of track and box that overlap most, then the next: Bochinski et al. 2017, with a memory.

    min_iou: overlap with the track's last box from which a box goes on with it.
    """

    def __init__(self, *, min_iou: float = 0.3, max_gap: int = 5) -> None:
        super().__init__(max_gap=max_gap)
        self.min_iou = min_iou

    def update(self, frame: int, xyxy_N4: np.ndarray, score_N: np.ndarray) -> np.ndarray:
        self.forget(frame)
        names_N = np.full(len(xyxy_N4), NO_TRACK)
        overlap_LN = _overlaps(self.tracks, xyxy_N4)
        while overlap_LN.size and overlap_LN.max() >= self.min_iou:
            row, column = np.unravel_index(overlap_LN.argmax(), overlap_LN.shape)
            track = self.tracks[row]
            track.xyxy, track.last_frame = xyxy_N4[column], frame
            names_N[column] = track.name
            overlap_LN[row], overlap_LN[:, column] = -1, -1
        for number in np.flatnonzero(names_N == NO_TRACK):
            names_N[number] = self.begin(frame, xyxy_N4[number]).name
        return names_N


class Sort(Tracker):
    """Bewley et al. 2016: a Kalman filter of constant velocity for each track, and the best assignment by IoU.

    min_hits: a track is told of once it was seen on so many frames on end; in the first frames at once.
    """

    def __init__(self, *, min_iou: float = 0.3, max_gap: int = 1, min_hits: int = 3) -> None:
        super().__init__(max_gap=max_gap)
        self.min_iou = min_iou
        self.min_hits = min_hits
        self.first_frame: int | None = None
        self.frame: int | None = None

    def update(self, frame: int, xyxy_N4: np.ndarray, score_N: np.ndarray) -> np.ndarray:
        self.predict(frame)
        names_N = np.full(len(xyxy_N4), NO_TRACK)
        matched = assign(_overlaps(self.tracks, xyxy_N4), least=self.min_iou)
        for row, column in matched:
            names_N[column] = self.see(self.tracks[row], frame, xyxy_N4[column])
        taken = {column for _, column in matched}
        for number in range(len(xyxy_N4)):
            if number not in taken:
                self.begin(frame, xyxy_N4[number], motion=ConstantVelocity(xyxy_N4[number]))
                if self.is_told(1, frame):
                    names_N[number] = self.tracks[-1].name
        return names_N

    def predict(self, frame: int) -> None:
        """Moves the tracks that can go on to a frame."""
        self.forget(frame)
        self.first_frame = frame if self.first_frame is None else self.first_frame
        steps = 0 if self.frame is None else frame - self.frame
        self.frame = frame
        for track in self.tracks:
            assert track.motion is not None
            for _ in range(steps):
                track.xyxy = track.motion.predict()

    def see(self, track: Track, frame: int, xyxy: np.ndarray) -> int:
        """The name by which a track is told of that is seen here."""
        assert track.motion is not None
        track.hits = track.hits + 1 if frame - track.last_frame == 1 else 1
        track.xyxy, track.last_frame = track.motion.correct(xyxy), frame
        return track.name if self.is_told(track.hits, frame) else NO_TRACK

    def is_told(self, hits: int, frame: int) -> bool:
        assert self.first_frame is not None
        return hits >= self.min_hits or frame - self.first_frame < self.min_hits


class ByteTrack(Sort):
    """Zhang et al. 2022: sure boxes are assigned first, then unsure ones to the tracks that are left: what is half
    hidden has a low score, and is no false alarm.

    high, low: scores from which a box is sure, and from which it is looked at. begin_from: a box without a track begins
    one.
    """

    def __init__(
        self,
        *,
        high: float = 0.5,
        low: float = 0.1,
        begin_from: float = 0.6,
        min_iou: float = 0.2,
        min_iou_unsure: float = 0.5,
        max_gap: int = 30,
    ) -> None:
        super().__init__(min_iou=min_iou, max_gap=max_gap, min_hits=1)
        self.high, self.low, self.begin_from, self.min_iou_unsure = high, low, begin_from, min_iou_unsure

    def update(self, frame: int, xyxy_N4: np.ndarray, score_N: np.ndarray) -> np.ndarray:
        before = frame if self.frame is None else self.frame
        self.predict(frame)
        names_N = np.full(len(xyxy_N4), NO_TRACK)
        sure_N = score_N >= self.high
        free = list(self.tracks)
        for chosen, candidates, least in (
            (np.flatnonzero(sure_N), lambda track: True, self.min_iou),
            (np.flatnonzero(~sure_N & (score_N >= self.low)), lambda t: t.last_frame >= before, self.min_iou_unsure),
        ):
            rows = [track for track in free if candidates(track)]
            for row, column in assign(_overlaps(rows, xyxy_N4[chosen]), least=least):
                names_N[chosen[column]] = self.see(rows[row], frame, xyxy_N4[chosen[column]])
                free.remove(rows[row])
        for number in np.flatnonzero((names_N == NO_TRACK) & (score_N >= self.begin_from)):
            motion = ConstantVelocity(xyxy_N4[number])
            names_N[number] = self.begin(frame, xyxy_N4[number], motion=motion).name
        return names_N


def assign(overlap_LN: np.ndarray, *, least: float) -> list[tuple[int, int]]:
    """Pairs whose overlaps have the greatest sum; those below `least` are no pairs."""
    rows, columns = linear_sum_assignment(-overlap_LN)
    return [(int(row), int(column)) for row, column in zip(rows, columns) if overlap_LN[row, column] >= least]


def _overlaps(tracks: list[Track], xyxy_N4: np.ndarray) -> np.ndarray:
    boxes_L4 = np.array([track.xyxy for track in tracks], float).reshape(-1, 4)
    return box_iou(boxes_L4, np.asarray(xyxy_N4, float).reshape(-1, 4))


@dataclass
class ConstantVelocity:
    """SORT's Kalman filter: center x, y, area and aspect ratio of a box, and how fast the first three change a frame.

    Its noise is that of the authors' code.
    """

    xyxy: np.ndarray
    mean_7: np.ndarray = field(init=False)
    covariance_77: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.mean_7 = np.r_[_measured(self.xyxy), 0, 0, 0]
        self.covariance_77 = np.diag([10.0, 10, 10, 10, 1e4, 1e4, 1e4])

    def predict(self) -> np.ndarray:
        """The box of the next frame, [4]."""
        if self.mean_7[2] + self.mean_7[6] <= 0:  # an area cannot fall below 0
            self.mean_7[6] = 0
        self.mean_7 = MOTION @ self.mean_7
        self.covariance_77 = MOTION @ self.covariance_77 @ MOTION.T + MOTION_NOISE
        return self.box()

    def correct(self, xyxy: np.ndarray) -> np.ndarray:
        """The box that was seen, and what was predicted, weighed by how sure each is, [4]."""
        wrong_4 = _measured(xyxy) - self.mean_7[:4]
        gain_74 = self.covariance_77[:, :4] @ np.linalg.inv(self.covariance_77[:4, :4] + MEASURING_NOISE)
        self.mean_7 = self.mean_7 + gain_74 @ wrong_4
        self.covariance_77 = self.covariance_77 - gain_74 @ self.covariance_77[:4]
        return self.box()

    def box(self) -> np.ndarray:
        x, y, area, ratio = self.mean_7[:4]
        width = np.sqrt(max(area * ratio, 0))
        height = area / width if width else 0
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


MOTION = np.eye(7) + np.eye(7, k=4) * np.array([1, 1, 1, 0, 0, 0, 0])[:, None]
MOTION_NOISE = np.diag([1, 1, 1, 1, 0.01, 0.01, 1e-4])
MEASURING_NOISE = np.diag([1.0, 1, 10, 10])


def _measured(xyxy: np.ndarray) -> np.ndarray:
    width, height = xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]
    return np.array([xyxy[0] + width / 2, xyxy[1] + height / 2, box_area(xyxy), width / height])


TRACKERS: dict[str, Callable[[], Tracker]] = {"iou": GreedyIou, "sort": Sort, "bytetrack": ByteTrack}
