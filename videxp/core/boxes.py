"""Boxes and their overlap. xyxy float [...,4]: left, top, right, bottom; areas are products of differences (no +1)."""

from typing import NamedTuple

import numpy as np


class FrameBoxes(NamedTuple):
    """D boxes that were found on one frame of a video, the surest first. A box that belongs to several classes is there
    once for each, with the same track."""

    xyxy: np.ndarray
    """float32 [D,4], in pixels of the video as it is shown"""
    label: np.ndarray
    """int64 [D], number of its class"""
    score: np.ndarray
    """float32 [D], probability"""
    track: np.ndarray
    """int64 [D], the same for one thing in all frames; -1: none (yet)"""


def box_iou(one_A4: np.ndarray, other_B4: np.ndarray) -> np.ndarray:
    """Intersection over union, float64 [A,B]; 0 of boxes that do not meet, and of two without area."""
    one_A14, other_1B4 = np.asarray(one_A4, float)[:, None], np.asarray(other_B4, float)[None]
    return paired_iou(*np.broadcast_arrays(one_A14, other_1B4))


def paired_iou(one_M4: np.ndarray, other_M4: np.ndarray) -> np.ndarray:
    """The same of pairs: [...,4] and [...,4] -> [...]."""
    sides = np.minimum(one_M4[..., 2:], other_M4[..., 2:]) - np.maximum(one_M4[..., :2], other_M4[..., :2])
    shared = np.clip(sides, 0, None).prod(-1)
    union = box_area(one_M4) + box_area(other_M4) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def box_area(xyxy: np.ndarray) -> np.ndarray:
    return (xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1])
