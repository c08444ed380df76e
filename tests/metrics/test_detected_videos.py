"""Figures of whole videos: perfect input, one swapped identity, and what is judged."""

from dataclasses import replace

import numpy as np
import pytest

from videxp.core.boxes import FrameBoxes
from videxp.core.tubes import Tube
from videxp.metrics.detected_videos import DetectedVideo, DetectionFigures, VideoBoxes

EVERY = {"frame_map_50", "frame_map_75", "frame_map", "video_map_20", "video_map_50", "video_map_75", "video_map"}
TRACKED = {"mota", "idf1", "hota", "deta", "assa"}
FIGURES = DetectionFigures(2)


def video(index: int = 0, *, frames: int = 10) -> DetectedVideo:
    """Two things that pass each other, one below the other, found as they are."""
    rows = [
        (frame, label, label, x, 40 * label, x + 20, 40 * label + 20)
        for frame in range(frames)
        for label, x in ((0, 10.0 * frame), (1, 10.0 * (frames - frame)))
    ]
    table = np.array(rows)
    numbers = table[:, :3].astype(int)
    true = VideoBoxes(numbers[:, 0], numbers[:, 1], np.full(len(table), 0.9), numbers[:, 2], table[:, 3:])
    return DetectedVideo(index, true, true, true.tubes())


def test_perfect_input_has_one_everywhere():
    found = FIGURES.of([video(), video(1, frames=4)])
    assert found.keys() == EVERY | TRACKED
    assert list(found.values()) == pytest.approx([1.0] * len(found), abs=1e-12)


def test_one_swapped_identity_lowers_idf1_and_assa_and_not_deta():
    right = video()
    track = right.true.track_M.copy()
    after = right.true.frame_M >= 5
    track[after] = 1 - track[after]
    swapped = replace(right, found=replace(right.found, track_M=track))
    found = FIGURES.of([swapped])
    assert found["deta"] == pytest.approx(1) and found["frame_map_50"] == 1 == found["video_map"]
    assert found["idf1"] == pytest.approx(0.5) and found["assa"] == pytest.approx(1 / 3)
    assert found["mota"] == pytest.approx(1 - 2 / 20)


def test_the_order_of_videos_is_of_no_account_where_scores_are_equal():
    one, other = video(0), video(1)
    wrong = replace(other, found=replace(other.found, xyxy_M4=other.found.xyxy_M4 + 100))
    assert FIGURES.of([one, wrong]) == FIGURES.of([wrong, one])
    assert FIGURES.of([one, wrong])["frame_map_50"] == pytest.approx(0.5)  # the right ones first


def test_frames_that_were_not_annotated_are_judged_or_not():
    seen = video()
    few = seen.true.frame_M < 5
    partly = replace(seen, true=seen.true.where(few))
    # Of each class 10 boxes are found and 5 are there, equally sure: those of the first frames come first.
    assert FIGURES.of([partly])["frame_map_50"] == 1
    late = replace(partly, found=replace(seen.found, score_M=seen.found.frame_M / 10))
    assert FIGURES.of([late])["frame_map_50"] == pytest.approx(0.5)
    annotated = DetectionFigures(2, on="annotated").of([late])
    assert annotated["frame_map_50"] == 1 == annotated["mota"] and FIGURES.of([late])["mota"] == 0


def test_what_cannot_be_measured_is_left_out():
    nameless = video()
    true = replace(nameless.true, track_M=np.full(20, -1))
    assert FIGURES.of([replace(nameless, true=true)]).keys() == {"frame_map_50", "frame_map_75", "frame_map"}
    empty = VideoBoxes.of_frames([])
    assert FIGURES.of([DetectedVideo(0, empty, empty, [])]) == {}
    assert FIGURES.of([]) == {}
    assert FIGURES.class_table([], ["walk", "run"]) == [
        {"class": name, "videos": 0, "frame_map_50": None} for name in ("walk", "run")
    ]


def test_a_thing_of_two_classes_is_one_track_and_two_tubes():
    frames = [
        (t, FrameBoxes(np.full((2, 4), [0, 0, 9, 9.0]), np.array([0, 1]), np.array([0.9, 0.8]), np.array([4, 4])))
        for t in range(3)
    ]
    boxes = VideoBoxes.of_frames(frames)
    assert len(boxes.label_M) == 6 and len(boxes.tracks().frame_M) == 3
    assert [(tube.label, len(tube.frame_T)) for tube in boxes.tubes()] == [(0, 3), (1, 3)]
    assert list(FIGURES.of([DetectedVideo(0, boxes, boxes, boxes.tubes())]).values()) == pytest.approx([1.0] * 12)


def test_tubes_are_judged_at_three_overlaps_and_their_mean():
    seen = video()
    half = [Tube(tube.frame_T[:6], tube.xyxy_T4[:6], tube.label) for tube in seen.tubes]  # IoU 0.6
    found = FIGURES.of([replace(seen, tubes=half)])
    assert [found[name] for name in ("video_map_20", "video_map_50", "video_map_75")] == [1, 1, 0]
    assert found["video_map"] == pytest.approx(0.3)
