"""What a detector found in whole videos, held against what is there: frames, tubes and tracks.

Legend: M boxes of one video, T frames, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import numpy as np
from torch import distributed

from videxp.core.boxes import FrameBoxes
from videxp.core.tubes import Tube
from videxp.metrics.detection import (
    COCO_THRESHOLDS,
    Interpolation,
    Matched,
    PooledBoxes,
    Rule,
    match_boxes,
    match_tubes,
    mean_average_precision,
)
from videxp.metrics.tracking import TrackingCounts, Tracks, count_tracking

Judged = Literal["all", "annotated"]
"""Which frames detections are judged on: all, or those with a true box (UCF101-24, AVA), where others were not looked
at."""
THRESHOLDS = (0.2, *COCO_THRESHOLDS)
FIGURES = {
    "20": [0],
    "50": [THRESHOLDS.index(0.5)],
    "75": [THRESHOLDS.index(0.75)],
    "": list(range(1, len(THRESHOLDS))),
}
"""What a mean AP is called by -> numbers of the thresholds it is a mean over."""


@dataclass(frozen=True)
class VideoBoxes:
    """Boxes of a video, in order of frames."""

    frame_M: np.ndarray
    """int64"""
    label_M: np.ndarray
    """int64"""
    score_M: np.ndarray
    track_M: np.ndarray
    """int64, negative: none"""
    xyxy_M4: np.ndarray

    @classmethod
    def of_frames(cls, frames: Sequence[tuple[int, FrameBoxes]]) -> "VideoBoxes":
        numbers, boxes = [number for number, _ in frames], [of_frame for _, of_frame in frames]
        return cls(
            np.repeat(np.array(numbers, np.int64), [len(one.label) for one in boxes]),
            np.concatenate([np.zeros(0, np.int64), *(one.label for one in boxes)]),
            np.concatenate([np.zeros(0, np.float32), *(one.score for one in boxes)]),
            np.concatenate([np.zeros(0, np.int64), *(one.track for one in boxes)]),
            np.concatenate([np.zeros((0, 4), np.float32), *(one.xyxy for one in boxes)]),
        )

    def where(self, keep_M: np.ndarray) -> "VideoBoxes":
        return VideoBoxes(*(values[keep_M] for values in vars(self).values()))

    def tracks(self) -> Tracks:
        """A box that belongs to several classes counts once."""
        named = self.where(self.track_M >= 0)
        _, first = np.unique(np.stack([named.frame_M, named.track_M]), axis=1, return_index=True)
        once = named.where(np.sort(first))
        return Tracks(once.frame_M, once.track_M, once.xyxy_M4)

    def tubes(self) -> list[Tube]:
        """One for each track and class."""
        named = self.where(self.track_M >= 0)
        names = np.unique(np.stack([named.track_M, named.label_M], 1), axis=0)
        parts = [named.where((named.track_M == track) & (named.label_M == label)) for track, label in names]
        return [Tube(part.frame_M, part.xyxy_M4, int(part.label_M[0])) for part in parts]


@dataclass(frozen=True)
class DetectedVideo:
    """What is in a video, and what was found."""

    index: int
    true: VideoBoxes
    found: VideoBoxes
    tubes: list[Tube]

    def judged(self, on: Judged) -> "DetectedVideo":
        """With the boxes of judged frames alone; tubes are judged as they are."""
        if on == "all":
            return self
        among_M = np.isin(self.found.frame_M, self.true.frame_M)
        return DetectedVideo(self.index, self.true, self.found.where(among_M), self.tubes)

    def count_tracking(self) -> TrackingCounts | None:
        """None where not all of its true boxes have tracks."""
        if len(self.true.frame_M) and (self.true.track_M < 0).any():
            return None
        return count_tracking(self.true.tracks(), self.found.tracks())


@dataclass(frozen=True)
class DetectionFigures:
    """Of whole data sets, by one set of rules."""

    num_classes: int
    on: Judged = "all"
    rule: Rule = "pascal"
    interpolation: Interpolation = "all_point"

    def of(self, videos: Sequence[DetectedVideo]) -> dict[str, float]:
        """`frame_map` and `video_map` (means over IoU 0.5, 0.55, ..., 0.95), `frame_map_50`, `video_map_20` and so on,
        `mota`, `idf1`, `hota`, `deta`, `assa`; those alone that these videos define.

        Of equal scores that of the video with the lower index comes first, so the order of `videos` is of no account.
        """
        videos = [video.judged(self.on) for video in sorted(videos, key=lambda video: video.index)]
        found = self._named("frame_map", ("50", "75", ""), self.match_frames(videos))
        tracked = [(video, counts) for video in videos if (counts := video.count_tracking()) is not None]
        found |= self._named("video_map", tuple(FIGURES), self.match_tubes([video for video, _ in tracked]))
        total = sum((counts for _, counts in tracked), TrackingCounts())
        if total.true:
            found |= {name: total.figures()[name] for name in ("mota", "idf1", "hota", "deta", "assa")}
        return found

    def by_class(self, videos: Sequence[DetectedVideo]) -> np.ndarray:
        """AP of frames at IoU 0.5, [K]; NaN of a class without a true box."""
        videos = [video.judged(self.on) for video in sorted(videos, key=lambda video: video.index)]
        matched = self.match_frames(videos, thresholds=(0.5,))
        return np.array([matched[label].average_precision(self.interpolation)[0] for label in range(self.num_classes)])

    def class_table(self, videos: Sequence[DetectedVideo], classes: Sequence[str]) -> list[dict[str, Any]]:
        """`{"class": "run", "videos": 12, "frame_map_50": 0.75}`, ...; None of a class without a true box."""
        return [
            {
                "class": name,
                "videos": sum(label in video.true.label_M for video in videos),
                "frame_map_50": None if isnan(ap) else round(float(ap), 6),
            }
            for label, (name, ap) in enumerate(zip(classes, self.by_class(videos), strict=True))
        ]

    def match_frames(
        self, videos: Sequence[DetectedVideo], *, thresholds: Sequence[float] = THRESHOLDS
    ) -> dict[int, Matched]:
        true, found = _pool([video.true for video in videos]), _pool([video.found for video in videos])
        return match_boxes(true, found, classes=range(self.num_classes), thresholds=thresholds, rule=self.rule)

    def match_tubes(self, videos: Sequence[DetectedVideo]) -> dict[int, Matched]:
        pairs = [(video.true.tubes(), video.tubes) for video in videos]
        return match_tubes(pairs, classes=range(self.num_classes), thresholds=THRESHOLDS)

    def _named(self, name: str, which: Sequence[str], matched: dict[int, Matched]) -> dict[str, float]:
        map_H = mean_average_precision(matched, self.interpolation)
        means = {f"{name}_{key}".rstrip("_"): float(map_H[FIGURES[key]].mean()) for key in which}
        return {key: value for key, value in means.items() if not np.isnan(value)}


def gather_videos(videos: list[DetectedVideo]) -> list[DetectedVideo]:
    """Those of all processes."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return videos
    parts: list[list[DetectedVideo]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(parts, videos)
    return [video for part in parts for video in part]


def _pool(videos: Sequence[VideoBoxes]) -> PooledBoxes:
    """Boxes of all videos, each frame of each a unit of its own."""
    frames = 1 + max((int(video.frame_M.max()) for video in videos if len(video.frame_M)), default=0)
    none = np.zeros(0, np.int64)
    empty = VideoBoxes(none, none, np.zeros(0), none, np.zeros((0, 4)))
    videos = [*videos, empty]
    return PooledBoxes(
        np.concatenate([number * frames + video.frame_M for number, video in enumerate(videos)]),
        np.concatenate([video.label_M for video in videos]),
        np.concatenate([video.score_M for video in videos]),
        np.concatenate([video.xyxy_M4 for video in videos]),
    )
