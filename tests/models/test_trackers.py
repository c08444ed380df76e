"""Things keep their names, and detections become tubes."""

import numpy as np
import pytest

from tests.metrics.test_tracking import sequence
from videxp.core.tubes import Tube, suppress_tubes, tube_iou, without_gaps
from videxp.metrics.tracking import Tracks, count_tracking
from videxp.models.detection.linking import TubeLinker, spans_of_action
from videxp.models.detection.tracking import (
    NO_TRACK,
    TRACKERS,
    ByteTrack,
    ConstantVelocity,
    GreedyIou,
    Sort,
    Tracker,
    assign,
)


def box(x: float, y: float = 0.0, size: float = 20.0) -> np.ndarray:
    return np.array([x, y, x + size, y + size])


def names(tracker: Tracker, frames: list[list[np.ndarray]], scores: list[list[float]] | None = None) -> list[list[int]]:
    told = []
    for number, boxes in enumerate(frames):
        score_N = np.array(scores[number] if scores else [0.9] * len(boxes))
        told.append(tracker.update(number, np.array(boxes).reshape(-1, 4), score_N).tolist())
    return told


@pytest.mark.parametrize("name", ["TUD-Campus", "TUD-Stadtmitte"])
@pytest.mark.parametrize("tracker", TRACKERS)
def test_true_boxes_of_real_streets_keep_their_people(name: str, tracker: str):
    true = sequence(name, "gt")
    online = TRACKERS[tracker]()
    track_M = np.full(len(true.frame_M), NO_TRACK)
    for frame in np.unique(true.frame_M):
        here = true.frame_M == frame
        track_M[here] = online.update(int(frame), true.xyxy_M4[here], np.ones(here.sum()))
    told = track_M != NO_TRACK
    figures = count_tracking(true, Tracks(true.frame_M[told], track_M[told], true.xyxy_M4[told])).figures()
    assert figures["mota"] > 0.96 and figures["idf1"] > 0.9 and figures["false_alarms"] == 0


def test_things_that_meet_and_pass_are_told_apart_by_their_motion_and_not_by_overlap_alone():
    crossing = [[box(8.0 * t), box(120 - 8.0 * t, 6)] for t in range(16)]
    assert names(GreedyIou(), crossing)[-1] == [1, 0]  # swapped where they met
    assert names(Sort(), crossing)[-1] == [0, 1]
    assert names(ByteTrack(), crossing)[-1] == [0, 1]


def test_what_is_half_hidden_is_kept_by_bytetrack_and_begins_nothing():
    frames = [[box(2.0 * t)] for t in range(12)]
    scores = [[0.9] if t < 5 or t > 8 else [0.3] for t in range(12)]
    assert names(ByteTrack(), frames, scores) == [[0]] * 12
    sure_alone = names(ByteTrack(low=0.5), frames, scores)
    assert sure_alone[5:9] == [[NO_TRACK]] * 4
    assert names(ByteTrack(), [[box(0)]] * 3, [[0.3]] * 3) == [[NO_TRACK]] * 3


def test_a_track_is_told_of_when_it_was_seen_often_enough_and_forgotten_when_unseen_too_long():
    late = names(Sort(), [[], [], [], [box(0)], [box(1)], [box(2)]])
    assert late[3:] == [[NO_TRACK], [NO_TRACK], [0]]
    for gap, last in ((6, [0]), (7, [1])):
        assert names(GreedyIou(max_gap=5), [[box(0)], *[[]] * (gap - 1), [box(0)]])[-1] == last


def test_a_velocity_is_learnt():
    motion = ConstantVelocity(box(0))
    for step in range(1, 10):
        motion.predict()
        motion.correct(box(3.0 * step))
    np.testing.assert_allclose(motion.predict(), box(30), atol=0.2)
    np.testing.assert_allclose(motion.mean_7[4:], [3, 0, 0], atol=0.05)


def test_the_best_assignment_is_not_the_greedy_one():
    overlap = np.array([[0.6, 0.5], [0.5, 0.0]])
    assert assign(overlap, least=0.3) == [(0, 1), (1, 0)]
    assert assign(overlap, least=0.55) == []


# ---- tubes ----------------------------------------------------------------------------------------------------------


def test_detections_of_two_classes_become_tubes_with_gaps_filled():
    linker = TubeLinker()
    for frame in range(10):
        boxes = [] if frame == 4 else [box(2.0 * frame), box(100)]
        score_NK = np.array([[0.9 - 0.01 * frame, 0.0], [0.02, 0.6]])[: len(boxes)]
        linker.update(frame, np.array(boxes).reshape(-1, 4), score_NK)
    moving, still = linker.tubes()
    assert (moving.label, still.label) == (0, 1)
    assert moving.frame_T.tolist() == still.frame_T.tolist() == list(range(10))
    np.testing.assert_allclose(moving.xyxy_T4[4], box(8))
    assert moving.score == pytest.approx(np.mean([0.9 - 0.01 * t for t in range(10) if t != 4]))


def test_a_path_that_is_unseen_for_long_ends_and_the_surest_path_chooses_first():
    linker = TubeLinker(patience=3)
    for frame in (0, 1, 5, 6):
        linker.update(frame, box(0)[None], np.array([[0.8]]))
    assert [tube.frame_T.tolist() for tube in linker.tubes()] == [[0, 1], [5, 6]]

    linker = TubeLinker()
    linker.update(0, np.stack([box(0), box(6)]), np.array([[0.5], [0.9]]))
    linker.update(1, np.stack([box(3)]), np.array([[0.9]]))
    assert [tube.xyxy_T4[0, 0] for tube in linker.tubes()] == [6.0]


def test_the_frames_of_an_action_are_those_that_a_few_doubts_do_not_part():
    score_T = np.array([0.1] * 6 + [0.9] * 5 + [0.2] + [0.9] * 5 + [0.1] * 6)
    assert spans_of_action(score_T, alpha=1.0) == [(6, 17)]
    assert spans_of_action(score_T, alpha=0.1) == [(6, 11), (12, 17)]
    assert spans_of_action(score_T, alpha=50) == []
    assert spans_of_action(np.ones(4)) == [(0, 4)]


def test_tubes_that_a_surer_one_of_their_class_covers_go():
    frames = np.arange(4)
    sure = Tube(frames, np.tile(box(0), (4, 1)), 0, 0.9)
    shifted = Tube(frames, np.tile(box(2), (4, 1)), 0, 0.8)
    other = Tube(frames, np.tile(box(0), (4, 1)), 1, 0.3)
    assert suppress_tubes([other, shifted, sure], iou=0.3) == [sure, other]
    gaps = Tube(np.array([0, 4]), np.stack([box(0), box(8)]), 0)
    np.testing.assert_allclose(without_gaps(gaps).xyxy_T4[:, 0], [0, 2, 4, 6, 8])
    assert tube_iou(gaps, without_gaps(gaps)) == pytest.approx(2 / 5)
