"""The task of detection: windows over films, boxes kept and left out, tracks, tubes, and figures over processes."""

import inspect
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from videxp.core.boxes import box_iou
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.windows import windows_of_each
from videxp.data.annotations.ragged import Ragged
from videxp.deploy.exporting.exporting import one_window
from videxp.deploy.exporting.parity import compare_answers
from videxp.metrics.detected_videos import DetectedVideo, DetectionFigures, VideoBoxes
from videxp.models.detection.interface import BoxTargets, DetectedBoxes
from videxp.models.detection.suppression import choose_boxes
from videxp.models.detection.tracking import Sort
from videxp.tasks import Detection
from videxp.tasks.base import Split
from videxp.tasks.schedules import Cosine


class Bright(nn.Module):
    """Finds, in the key frame, the 8x8 cell that is brightest in red and that in green: classes 0 and 1, as sure as it
    is bright; and adds a hundredth of how many frames of its window differ, by which a window is known."""

    num_classes = 2

    def __init__(self, clip_frames: int = 3, key_frame: int = 2) -> None:
        super().__init__()
        self.clip_frames, self.key_frame = clip_frames, key_frame
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, video: Tensor, targets: BoxTargets | None = None) -> Any:
        assert video.shape[1] == self.clip_frames
        if targets is not None:
            return {"box": self.weight * len(targets.xyxy), "class": self.weight * targets.classes.sum()}
        cells = nn.functional.avg_pool2d(video[:, self.key_frame, :2], 8)  # [B,2,h,w]
        score, at = cells.flatten(2).max(2)
        x, y = at % cells.shape[-1] * 8, at // cells.shape[-1] * 8
        xyxy = torch.stack([x, y, x + 8, y + 8], -1).float()
        seen = (video.diff(dim=1).abs().amax((2, 3, 4)) > 0).sum(1) / 100
        scores = torch.diag_embed((score * 0.9 + seen[:, None]) * (score > 0)) * self.weight
        return DetectedBoxes(xyxy, scores)


def task(network: nn.Module | None = None, **changes: Any) -> Detection:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    made: Any = network or Bright()
    return Detection(network=made, optimizer=optimizer, scheduler=Cosine(), classes=["red", "green"], **changes)


def film(length: int = 12, *, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    """float [T,3,16,48]: a red cell that moves right and back, a step each 2 to 4 frames, and a green one that stays;
    and their boxes."""
    video, rows, wait = torch.zeros(length, 3, 16, 48), [], 2 + seed % 3
    level = 0.5 + 0.5 * torch.rand(length, generator=torch.Generator().manual_seed(seed))
    for frame in range(length):
        x = 8 * min(frame // wait % 10, 10 - frame // wait % 10)
        video[frame, 0, 8:, x : x + 8] = level[frame]
        video[frame, 1, :8, :8] = 0.8
        rows += [(frame, 0, 5, x, 8, x + 8, 16), (frame, 1, 6, 0, 0, 8, 8)]
    table = torch.tensor(rows)
    boxes = {"frame": table[:, 0], "label": table[:, 1], "track": table[:, 2], "xyxy": table[:, 3:].float()}
    return video, boxes | {"visible": torch.ones(len(table))}


def batch_of(indices: list[int]) -> dict[str, Any]:
    films = [film(seed=index) for index in indices]
    boxes = Ragged.join([Ragged.of_one(rows) for _, rows in films])
    return {"video": torch.stack([video for video, _ in films]), "boxes": boxes, "index": torch.tensor(indices)}


def test_each_item_has_a_window_in_which_it_stands_at_its_place():
    assert list(windows_of_each(range(3), length=3, place=2)) == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    assert list(windows_of_each(range(3), length=4, place=1)) == [[0, 0, 1, 2], [0, 1, 2, 2], [1, 2, 2, 2]]
    for length in (1, 4, 5):
        for place in range(length):
            for count in (0, 1, 2, 9):
                expected = [
                    [min(max(i + offset - place, 0), count - 1) for offset in range(length)] for i in range(count)
                ]
                assert list(windows_of_each(range(count), length=length, place=place)) == expected


@pytest.mark.parametrize("key_frame", [0, 1, 2])
def test_every_frame_of_a_film_is_answered_once_in_order(key_frame: int):
    video, boxes = film(11)
    found = list(task(Bright(key_frame=key_frame)).detect_film(video))
    assert [number for number, _ in found] == list(range(11))
    for number, of_frame in found:
        order = of_frame.label.argsort()
        np.testing.assert_array_equal(of_frame.xyxy[order], boxes["xyxy"][boxes["frame"] == number].numpy())
    if key_frame == 2:  # the frames before are its window's: those before the film repeat the first
        seen = [round(100 * float(of_frame.score[of_frame.label == 1][0]) - 72) for _, of_frame in found]
        assert seen == [0, 1, *[2] * 9]


def test_a_film_is_never_held_whole():
    taken = 0

    def frames() -> Iterator[Tensor]:
        nonlocal taken
        for frame in film(200)[0]:
            taken += 1
            yield frame

    for number, _ in task().detect_film(frames(), windows_at_once=8):
        assert taken <= number + 8
    assert taken == 200


def test_tracks_go_on_and_unsure_boxes_have_none():
    video, _ = film(12)
    names = {label: set() for label in (0, 1)}
    for _, boxes in task().detect_film(video):
        for label, name in zip(boxes.label.tolist(), boxes.track.tolist()):
            names[label].add(name)
    assert names[1] == {0} or names[1] == {1}
    dim = video.clone()
    dim[:, 1] *= 0.3  # 0.22 to 0.24
    for _, boxes in task(track_threshold=0.3).detect_film(dim):
        assert (boxes.track[boxes.label == 1] == -1).all() and len(boxes.label) == 2
    told = [int((boxes.track >= 0).sum()) for _, boxes in task(tracker=partial(Sort, min_hits=3)).detect_film(video)]
    assert told[:3] == [2, 2, 2]


def slow_nms(xyxy: np.ndarray, scores: np.ndarray, *, threshold: float, iou: float, most: int) -> list[int]:
    """Boxes that are left, the surest first, of exclusive classes."""
    order = sorted(range(len(xyxy)), key=lambda d: -scores[d].max())
    kept: list[int] = []
    for d in order:
        rivals = [other for other in kept if scores[other].argmax() == scores[d].argmax()]
        if scores[d].max() >= threshold and all(box_iou(xyxy[d : d + 1], xyxy[[o]])[0, 0] <= iou for o in rivals):
            kept.append(d)
    return kept[:most]


def test_boxes_of_a_class_give_way_to_surer_ones_and_are_cut_to_the_picture():
    rng = np.random.default_rng(0)
    low = rng.uniform(-10, 50, (2, 60, 2))
    xyxy = np.concatenate([low, low + rng.uniform(5, 30, (2, 60, 2))], -1).astype(np.float32)
    scores = rng.uniform(0, 1, (2, 60, 3)).astype(np.float32) ** 2
    scores[:, 50:] = 0  # padding
    chosen = choose_boxes(
        DetectedBoxes(torch.from_numpy(xyxy), torch.from_numpy(scores)),
        size=(48, 56),
        score_threshold=0.3,
        nms_iou=0.4,
        boxes_per_frame=12,
        exclusive=True,
    )
    for number, boxes in enumerate(chosen):
        cut = np.clip(xyxy[number], 0, [56, 48, 56, 48])
        there = (cut[:, 2:] > cut[:, :2]).all(1)
        kept = slow_nms(cut, scores[number] * there[:, None], threshold=0.3, iou=0.4, most=12)
        assert 5 < len(kept) <= 12
        np.testing.assert_array_equal(boxes.xyxy, cut[kept])
        one = np.eye(3, dtype=np.float32)[scores[number][kept].argmax(1)]
        np.testing.assert_array_equal(boxes.scores, scores[number][kept] * one)


def test_where_classes_are_not_exclusive_a_box_has_a_row_for_each_and_one_track():
    xyxy = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 10, 10], [30, 0, 40, 10]]])
    scores = torch.tensor([[[0.9, 0.6], [0.1, 0.8], [0.0, 0.2]]])
    options: dict[str, Any] = {"size": (20, 40), "score_threshold": 0.15, "nms_iou": 0.5, "boxes_per_frame": 9}
    (boxes,) = choose_boxes(DetectedBoxes(xyxy, scores), exclusive=False, **options)
    rows = boxes.with_tracks(np.array([3, -1]))
    assert rows.label.tolist() == [0, 1, 1] and rows.track.tolist() == [3, 3, -1]
    assert rows.score.tolist() == pytest.approx([0.9, 0.6, 0.2])
    (boxes,) = choose_boxes(DetectedBoxes(xyxy, scores), exclusive=True, **options)
    assert boxes.with_tracks(np.array([0, 1, 2])).label.tolist() == [0, 1, 1]  # the second is of another class


def test_the_network_is_trained_on_the_boxes_of_its_key_frame():
    batch = batch_of([0, 1])
    targets = task().targets(batch, frame=4)
    assert targets.clip.tolist() == [0, 0, 1, 1] and targets.classes.tolist() == [[1, 0], [0, 1]] * 2
    assert targets.xyxy[0].tolist() == [16, 8, 24, 16]
    batch["boxes"].rows["xyxy"][:] = torch.tensor([0.0, 0, 8, 8])
    joined = task(exclusive=False).targets(batch, frame=4)
    assert joined.classes.tolist() == [[1, 1], [1, 1]] and joined.clip.tolist() == [0, 1]
    step = inspect.unwrap(Detection.training_step)  # beneath the guard
    result = step(task(), batch_of([0, 1]), 0)
    assert result["loss"].item() == 8 and result["log"].keys() == {"train/loss", "train/box", "train/class"}


def test_a_file_takes_as_many_frames_as_the_network_sees_and_each_boxs_class_is_compared():
    film_of_30 = {"clip": np.zeros((1, 30, 16, 48, 3), np.uint8)}
    assert one_window(task(), film_of_30)["clip"].shape == (1, 3, 16, 48, 3)
    rng = np.random.default_rng(0)
    ours = [{"scores": rng.random((1, boxes, 2))} for boxes in (5, 3)]  # of two sizes of pictures
    theirs = [ours[0], {"scores": ours[1]["scores"][..., ::-1]}]
    assert compare_answers(ours, theirs)["outputs"]["scores"]["agreement"] == 5 / 8


def direct(indices: list[int]) -> dict[str, float]:
    """The metrics called on all boxes at once."""
    videos = []
    for index in indices:
        video, rows = film(seed=index)
        detector = task()
        found = list(detector.detect_film(video))
        true = VideoBoxes(*(rows[name].numpy() for name in ("frame", "label", "visible", "track", "xyxy")))
        videos.append(DetectedVideo(index, true, VideoBoxes.of_frames(found), detector.link_tubes(found)))
    return DetectionFigures(2).of(videos)


def evaluate(indices: list[int]) -> dict[str, float]:
    detector = task()
    splits: tuple[Split, ...] = ("val", "test")
    for split in splits:
        detector.seen = []
        for first in range(0, len(indices), 2):  # the last batch is ragged
            detector.evaluation_step(batch_of(indices[first : first + 2]), split)
        metrics = {name: float(value) for name, value in detector.evaluation_metrics(split).items()}
    return metrics


def test_figures_are_those_of_the_metrics_on_all_boxes_at_once_with_ragged_batches():
    assert evaluate([0, 1, 2, 3, 4]) == pytest.approx(direct([0, 1, 2, 3, 4]), abs=1e-6)
    assert 0.5 < direct([0, 1])["idf1"] < 1 and direct([0, 1])["frame_map_50"] == pytest.approx(1)


def test_clips_that_are_too_short_for_the_network_are_refused(monkeypatch: pytest.MonkeyPatch):
    detector = task()
    monkeypatch.setattr(Detection, "trainer", None)
    for frames in (4, 3):
        monkeypatch.setattr("videxp.tasks.detection.datamodule_of", lambda _, n=frames: SimpleNamespace(num_frames=n))
        detector.on_fit_start()
    monkeypatch.setattr("videxp.tasks.detection.datamodule_of", lambda _: SimpleNamespace(num_frames=2))
    with pytest.raises(BadRequest, match=r"dataset\.num_frames=2: the network sees 3 frames .* dataset\.num_frames=3"):
        detector.on_fit_start()


def test_a_question_is_about_a_box_and_loses_its_answer_with_it():
    detector = task()
    questions = detector.questions(batch_of([3]) | {}, asked={})
    assert [question.about.split()[0] for question in questions] == ["red", "green"]
    for question in questions:
        assert question.video.shape == (1, 3, 3, 16, 48) and question.frame == 2
        assert torch.equal(question.video[0], batch_of([3])["video"][0][question.span])
        assert question.facts["frame"] == question.first_frame + 2
        assert question.measure(question.video).item() == pytest.approx(question.facts["probability"], abs=1e-4)
        assert question.box is not None
        y0, x0, y1, x1 = question.box
        without = question.video.clone()
        without[:, 2, :, y0:y1, x0:x1] = 0
        assert question.measure(without).item() < 1e-4
    with pytest.raises(BadRequest, match="--patch 1,1: a detector has none"):
        detector.questions(batch_of([3]), asked={"patch": "1,1"})


def test_a_film_without_a_sure_box_is_asked_about_the_surest():
    batch = batch_of([0])
    batch["video"] = batch["video"] * 0.01
    (question,) = task().questions(batch, asked={})
    assert 0 < question.facts["probability"] < 0.05


def test_several_views_of_a_video_are_refused_with_a_remedy():
    batch = batch_of([0, 1]) | {"index": torch.tensor([0])}
    with pytest.raises(VidexpError, match=r"dataset\.clips\.test_clips=1 dataset\.test_transform\.crops=1"):
        task().evaluation_step(batch, "test")


def test_classes_and_videos_are_told():
    detector = task()
    detector.evaluation_step(batch_of([0, 1]), "test")
    detector.evaluation_metrics("test")
    assert [(row["class"], row["videos"]) for row in detector.classes_tested] == [("red", 2), ("green", 2)]
    assert [row["frame_map_50"] for row in detector.classes_tested] == pytest.approx([1, 1])


def test_of_a_frozen_network_nothing_is_trained():
    network = nn.Linear(2, 2)
    network.clip_frames, network.key_frame = 1, 0
    assert any(p.requires_grad for p in task(network).parameters())
    assert not any(p.requires_grad for p in task(network, frozen=True).parameters())
