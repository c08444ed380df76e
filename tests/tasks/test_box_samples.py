"""Pictures of what a detector found: what is hit, missed and falsely found, worked out by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from videxp.core.boxes import FrameBoxes
from videxp.metrics.answered_boxes import told_classes
from videxp.metrics.detected_videos import DetectedVideo, DetectionFigures, VideoBoxes
from videxp.tasks.box_marks import count_confusions, mark_boxes
from videxp.tasks.box_sheet import FALSE_ALARM, HIT, MISSED, MarkedVideo, sheet_frames
from videxp.tasks.detection_samples import BoxSamples, save_detection_samples
from videxp.tasks.drawn_boxes import draw_boxes, found_boxes, track_color
from videxp.video import open_video

CLASSES = ["cat", "dog"]


def boxes(*rows: tuple[int, int, float, int, list[float]]) -> VideoBoxes:
    """frame, class, score, track, x0 y0 x1 y1"""
    columns = list(zip(*rows)) or [()] * 5
    numbers = [np.array(column, np.int64) for column in (columns[0], columns[1], columns[3])]
    return VideoBoxes(
        numbers[0], numbers[1], np.array(columns[2], float), numbers[2], np.array(columns[4], float).reshape(-1, 4)
    )


LEFT, RIGHT = [10, 20, 60, 90], [100, 20, 150, 90]
TRUE = boxes((0, 0, 1, 0, LEFT), (0, 1, 1, 1, RIGHT), (1, 0, 1, 0, LEFT), (1, 1, 1, 1, RIGHT), (3, 1, 1, 1, RIGHT))
FOUND = boxes(
    (0, 0, 0.9, 5, [12, 20, 60, 90]),  # the cat
    (0, 0, 0.8, 6, [10, 22, 60, 90]),  # and again
    (0, 0, 0.7, 7, RIGHT),  # the dog for a cat
    (1, 1, 0.9, 8, [100, 20, 150, 60]),  # the dog, IoU 4/7
    (2, 1, 0.6, 8, RIGHT),  # nothing is there
    (3, 1, 0.1, -1, RIGHT),  # not sure enough
)
VIDEO = DetectedVideo(0, TRUE, FOUND, [])


def told() -> VideoBoxes:
    return FOUND.where(FOUND.score_M >= 0.4)


def test_each_box_is_a_hit_missed_or_a_false_alarm():
    marks = mark_boxes(TRUE, told())
    assert marks.hits == ((0, 0), (3, 3)) and marks.missed == (1, 2, 4) and marks.false_alarms == (1, 2, 4)
    assert str(marks) == "2 hits, 3 missed, 3 false alarms"
    assert mark_boxes(TRUE, TRUE).mistakes == 0
    assert str(mark_boxes(boxes(), boxes())) == "0 hits, 0 missed, 0 false alarms"


def test_confusion_has_a_row_and_a_column_of_the_background():
    expected = [[1, 0, 1], [1, 1, 1], [1, 1, 0]]  # true cat, dog, nothing
    assert count_confusions([VIDEO], num_classes=2, threshold=0.4).tolist() == expected
    both = count_confusions([VIDEO, VIDEO], num_classes=2, threshold=0.4)
    assert both.tolist() == (2 * np.array(expected)).tolist()
    assert count_confusions([VIDEO], num_classes=2, threshold=0.0)[1].tolist() == [1, 2, 0]


def test_of_a_box_with_several_classes_each_is_paired_with_itself():
    two = boxes((0, 0, 1.0, 1, LEFT), (0, 1, 1.0, 1, LEFT))
    turned = boxes((0, 1, 0.9, 1, LEFT), (0, 0, 0.8, 1, LEFT))
    found = count_confusions([DetectedVideo(0, two, turned, [])], num_classes=2, threshold=0.5)
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_what_is_told_of_a_given_box_is_its_likeliest_class_or_those_that_are_likely():
    scores = boxes(
        (0, 0, 0.2, 1, LEFT), (0, 1, 0.8, 1, LEFT), (0, 0, 0.6, 2, RIGHT), (1, 0, 0.4, 1, LEFT), (1, 1, 0.3, 1, LEFT)
    )
    video = DetectedVideo(0, TRUE, scores, [])
    likeliest = told_classes(video, least=None).found
    assert [*zip(likeliest.frame_M, likeliest.track_M, likeliest.label_M)] == [(0, 1, 1), (0, 2, 0), (1, 1, 0)]
    likely = told_classes(video, least=0.5).found
    assert [*zip(likely.frame_M, likely.track_M, likely.label_M)] == [(0, 1, 1), (0, 2, 0)]


def test_pictures_are_of_frames_with_mistakes():
    marked = MarkedVideo(
        "v.mp4", 100, 25.0, TRUE, boxes((30, 0, 1, 0, LEFT)), mark_boxes(TRUE, boxes((30, 0, 1, 0, LEFT)))
    )
    frames = sheet_frames(marked)
    assert len(frames) == 12 and frames == sorted(frames)
    assert frames[0] == 0 and 30 in frames and frames[-1] == 95  # the middle of the last part


def test_boxes_have_their_colors(tmp_path: Path):
    marked = MarkedVideo("v.mp4", 4, 25.0, TRUE, told(), mark_boxes(TRUE, told()))
    grey = np.full((180, 200, 3), 128, np.uint8)
    picture = marked.picture(1, grey, (200, 180), CLASSES)
    assert tuple(picture[40, 100]) == HIT and tuple(picture[40, 50]) == (128, 128, 128)
    assert {tuple(picture[y, 10]) for y in range(25, 85)} == {MISSED, (128, 128, 128)}  # dashes
    assert {tuple(marked.picture(0, grey, (200, 180), CLASSES)[y, 149]) for y in range(25, 85)} == {MISSED, FALSE_ALARM}
    assert tuple(marked.picture(2, grey, (200, 180), CLASSES)[60, 100]) == FALSE_ALARM
    assert tuple(marked.picture(1, grey, (400, 360), CLASSES)[80, 200]) == HIT  # scaled with the picture


def test_names_and_tracks_can_be_read_on_small_pictures():
    """The text is drawn on the track's color, in letters of the size that they have on large ones."""
    small = FrameBoxes(
        np.array([[2, 12, 20, 30]] * 2, np.float32),
        np.array([0, 1]),
        np.array([0.9, 0.6], np.float32),
        np.array([3, 3]),
    )
    (box,) = found_boxes(small, CLASSES)
    assert (box.text, box.color) == ("cat 0.90, dog 0.60 #3", track_color(3))
    drawn = draw_boxes(np.zeros((40, 40, 3), np.uint8), [box])
    assert drawn.shape == (160, 160, 3)
    of_color = (drawn == np.array(track_color(3))).all(-1)
    assert of_color[48:120, 8].all() and of_color[36:47].sum() > 500  # its side; the ground of its name above it
    assert len({track_color(number) for number in range(50)}) == 50


class Films:
    """Two short films as a test reads them."""

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return {"clip": torch.full((1, 4 + key[1], 180, 200, 3), 90, dtype=torch.uint8)}

    def path(self, index: int) -> Path:
        return Path(f"films/{'ab'[index]}.mp4")

    def clip_fps(self, index: int) -> float:
        return 10.0


@pytest.mark.slow
def test_a_test_is_shown_as_sheets_curves_confusion_and_the_worst_videos(tmp_path: Path):
    samples = BoxSamples(CLASSES, 0.4, SimpleNamespace(dataset=lambda split: Films()), "test")
    videos = [VIDEO, DetectedVideo(1, TRUE, FOUND, [])]
    paths = save_detection_samples(tmp_path, videos, samples, figures=DetectionFigures(2), sheets=1)
    assert [path.name for path in paths] == ["confusion_matrix.png", "precision_recall.png", "00000_a.png"]
    assert all(path.exists() for path in paths)
    validated = BoxSamples(CLASSES, 0.4, samples.datamodule, "val")
    assert save_detection_samples(tmp_path, videos, validated, figures=DetectionFigures(2), sheets=0) == []
    assert save_detection_samples(tmp_path, [], samples, figures=DetectionFigures(2), sheets=4) == []
    with open_video(samples.save_worst(tmp_path / "worst.mp4", videos)) as video:
        assert video.num_frames == 5 and video.size == (288 + 40, 640)
