"""Average precision of boxes beside pycocotools and scikit-learn, and of tubes by hand."""

import contextlib
import io
from typing import Any, get_args

import numpy as np
import pytest

from videxp.core.tubes import Tube, tube_iou
from videxp.metrics.detection import (
    COCO_THRESHOLDS,
    Interpolation,
    Matched,
    PooledBoxes,
    match_boxes,
    match_detections,
    match_tubes,
    mean_average_precision,
)


def random_boxes(rng: np.random.Generator, *, frames: int, classes: int) -> tuple[PooledBoxes, PooledBoxes]:
    """What is true, and detections of it: shifted, missing, invented, of a wrong class."""
    true: list[list[float]] = []
    found: list[list[float]] = []
    for frame in range(frames):
        for _ in range(rng.integers(0, 5)):
            left, top = rng.uniform(0, 60, 2)
            label = rng.integers(classes)
            box = np.array([left, top, left + 30, top + 24])
            true.append([frame, label, 1, *box])
            for _ in range(rng.integers(0, 3)):
                guess = label if rng.random() < 0.8 else rng.integers(classes)
                found.append([frame, guess, rng.random(), *(box + rng.normal(0, 4, 4))])
    return as_boxes(true), as_boxes(found)


def as_boxes(rows: list[list[float]]) -> PooledBoxes:
    table = np.array(rows, float).reshape(-1, 7)
    return PooledBoxes(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2], table[:, 3:])


def coco_map(true: PooledBoxes, found: PooledBoxes, *, frames: int, classes: int) -> np.ndarray:
    coco = pytest.importorskip(
        "pycocotools.coco", reason="COCO's own figures are not compared: pip install pycocotools"
    )
    evaluation = pytest.importorskip("pycocotools.cocoeval")

    def annotations(boxes: PooledBoxes) -> list[dict[str, Any]]:
        rows = zip(boxes.unit_M, boxes.label_M, boxes.score_M, boxes.xyxy_M4)
        return [
            {
                **{"id": number + 1, "image_id": int(unit), "category_id": int(label), "score": float(score)},
                **{"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0},
            }
            for number, (unit, label, score, (x0, y0, x1, y1)) in enumerate(rows)
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco.COCO()
        reference.dataset = {
            "images": [{"id": frame} for frame in range(frames)],
            "categories": [{"id": label} for label in range(classes)],
            "annotations": annotations(true),
        }
        reference.createIndex()
        found_coco = coco.COCO()
        found_coco.dataset = {**reference.dataset, "annotations": annotations(found)}
        found_coco.createIndex()
        tool = evaluation.COCOeval(reference, found_coco, "bbox")
        tool.evaluate()
        tool.accumulate()
    return tool.eval["precision"][:, :, :, 0, 2].mean((1, 2))  # [thresholds, recalls, classes] of all areas, 100 boxes


@pytest.mark.parametrize("seed", range(3))
def test_random_boxes_have_cocos_figures(seed: int):
    true, found = random_boxes(np.random.default_rng(seed), frames=20, classes=3)
    matched = match_boxes(true, found, classes=range(3), thresholds=COCO_THRESHOLDS, rule="coco")
    reference = coco_map(true, found, frames=20, classes=3)
    np.testing.assert_allclose(mean_average_precision(matched, "coco"), reference, atol=1e-9)
    assert 0.05 < reference[0] < 0.95


def test_areas_under_one_curve():
    """right, wrong, right, wrong of 4: precision 1, 1/2, 2/3, 1/2 at recall 1/4, 1/4, 1/2, 1/2."""
    matched = Matched(np.array([0.9, 0.8, 0.7, 0.6]), np.array([[True, False, True, False]]), 4)
    assert matched.average_precision("all_point") == pytest.approx((1 + 2 / 3) / 4)
    assert matched.average_precision("trapezoid") == pytest.approx((1 + 1) / 2 / 4 + (1 / 2 + 2 / 3) / 2 / 4)
    assert matched.average_precision("coco") == pytest.approx((26 + 25 * 2 / 3) / 101)


def test_a_second_detection_of_one_box_is_a_false_alarm_and_pascal_does_not_look_for_another():
    overlap_dn = np.array([[0.9, 0.6], [0.8, 0.7]])
    score_d = np.array([0.9, 0.8])
    pascal, coco = (match_detections([(score_d, overlap_dn)], [0.5], rule=rule) for rule in ("pascal", "coco"))
    assert pascal.correct_HD.tolist() == [[True, False]] and coco.correct_HD.tolist() == [[True, True]]
    assert match_detections([(score_d, overlap_dn[:, :1])], [0.9, 0.95]).correct_HD.tolist() == [
        [True, False],
        [False] * 2,
    ]


def test_perfect_boxes_have_one_and_a_class_without_true_boxes_is_not_counted():
    true, _ = random_boxes(np.random.default_rng(3), frames=10, classes=2)
    matched = match_boxes(true, true, classes=range(3), thresholds=COCO_THRESHOLDS)
    for interpolation in get_args(Interpolation):
        np.testing.assert_allclose(mean_average_precision(matched, interpolation), 1.0)
    assert np.isnan(matched[2].average_precision("all_point")).all()
    away = PooledBoxes(true.unit_M, true.label_M, true.score_M, true.xyxy_M4 + 500)
    assert mean_average_precision(match_boxes(true, away, classes=range(2))) == 0


def tube(first: int, last: int, box: tuple[float, float, float, float], *, label: int = 0, score: float = 1.0) -> Tube:
    frames = np.arange(first, last + 1)
    return Tube(frames, np.tile(np.array(box, float), (len(frames), 1)), label, score)


def test_overlap_of_tubes_is_that_in_time_times_the_mean_of_that_in_space():
    one = tube(0, 9, (0, 0, 10, 10))
    assert tube_iou(one, one) == 1
    assert tube_iou(one, tube(5, 14, (0, 0, 10, 10))) == pytest.approx(5 / 15)
    assert tube_iou(one, tube(5, 14, (5, 0, 15, 10))) == pytest.approx(5 / 15 / 3)
    assert tube_iou(one, tube(10, 19, (0, 0, 10, 10))) == 0
    assert tube_iou(one, tube(0, 9, (20, 20, 30, 30))) == 0  # 1.0 where the intersection of boxes is not clamped


def test_video_map_by_threshold_and_interpolation():
    true = [tube(0, 9, (0, 0, 10, 10)), tube(0, 9, (50, 50, 60, 60), label=1)]
    found = [
        tube(0, 9, (0, 0, 10, 10), score=0.9),
        tube(4, 9, (0, 0, 10, 10), score=0.95),  # overlaps by 0.6, and is the surest
        tube(0, 9, (50, 50, 60, 60), label=1, score=0.3),
        tube(0, 9, (80, 80, 90, 90), label=1, score=0.4),
    ]
    matched = match_tubes([(true, found)], classes=range(2), thresholds=(0.5, 0.75))
    np.testing.assert_allclose(mean_average_precision(matched), [(1 + 0.5) / 2, (0.5 + 0.5) / 2])
    np.testing.assert_allclose(mean_average_precision(matched, "trapezoid"), [(1 + 0.25) / 2, (0.25 + 0.25) / 2])
