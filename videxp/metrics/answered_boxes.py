"""Videos in which the classes of given boxes were told."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from videxp.core.tubes import Tube
from videxp.metrics.detected_videos import DetectedVideo, VideoBoxes


@dataclass(frozen=True)
class AnsweredVideo(DetectedVideo):
    """Of true boxes also how well their classes are told."""

    asked: int = 0
    loss: float = 0.0
    """Sum over boxes."""
    right: float = 0.0
    """Boxes whose likeliest class is a true one."""


def join_boxes(parts: list[VideoBoxes]) -> VideoBoxes:
    """Of one video, in order of frames."""
    none = np.zeros(0, np.int64)
    parts = [VideoBoxes(none, none, np.zeros(0, np.float32), none, np.zeros((0, 4), np.float32)), *parts]
    joined = VideoBoxes(*(np.concatenate(columns) for columns in zip(*(vars(part).values() for part in parts))))
    return joined.where(joined.frame_M.argsort(kind="stable"))


def join_parts(index: int, parts: list[AnsweredVideo]) -> AnsweredVideo:
    """Of one sample, seen in several batches of windows."""
    true, found = (join_boxes([getattr(part, name) for part in parts]) for name in ("true", "found"))
    sums = (sum(getattr(part, name) for part in parts) for name in ("asked", "loss", "right"))
    return AnsweredVideo(index, true, found, tubes_of_tracks(found), *sums)


def told_right(videos: list[AnsweredVideo]) -> dict[str, Any]:
    """`accuracy` and `loss`, means over true boxes; nothing where there are none."""
    asked = sum(video.asked for video in videos)
    if not asked:
        return {}
    return {
        name: sum(getattr(video, of) for video in videos) / asked
        for name, of in (("accuracy", "right"), ("loss", "loss"))
    }


def told_classes(video: DetectedVideo, *, least: float | None) -> DetectedVideo:
    """With what is told of each box that was found: the classes with at least this score or, of None, the likeliest."""
    if least is not None:
        return replace(video, found=video.found.where(video.found.score_M >= least))
    boxes = video.found.where(video.found.score_M.argsort(kind="stable")[::-1])  # the surest first
    _, first = np.unique(np.column_stack([boxes.frame_M, boxes.track_M, boxes.xyxy_M4]), axis=0, return_index=True)
    told = boxes.where(np.sort(first))
    return replace(video, found=told.where(told.frame_M.argsort(kind="stable")))


def tubes_of_tracks(boxes: VideoBoxes) -> list[Tube]:
    """One for each track and class, with the mean of its boxes' scores."""
    tubes = []
    for track in np.unique(boxes.track_M[boxes.track_M >= 0]):
        mine = boxes.where(boxes.track_M == track)
        for label in np.unique(mine.label_M):
            part = mine.where(mine.label_M == label)
            tubes.append(Tube(part.frame_M, part.xyxy_M4, int(label), float(part.score_M.mean())))
    return tubes
