"""Actions of given boxes: which frame and box of a clip is asked about, what is counted, and in which words."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.data.annotations.ragged import Ragged
from videxp.losses.actions import action_loss
from videxp.models.classification.small import SmallCNN3D
from videxp.models.detection.roi_head import RoiActions
from videxp.tasks import ActionDetection
from videxp.tasks.action_detection import AVA_LEFT_OUT, counted_classes
from videxp.tasks.given_boxes import boxes_at, windows_around
from videxp.tasks.schedules import Constant

CLASSES = ["run", "sit", "wave"]
SIZE, FRAMES = 32, 4
LEFT, RIGHT = (2.0, 4.0, 12.0, 20.0), (18.0, 8.0, 30.0, 28.0)


class Reads(nn.Module):
    """Tells the class that the pixel in the middle of the box has, in the clip's frame `at`."""

    def __init__(self, network: nn.Module, *, at: int = FRAMES // 2, **_: Any) -> None:
        super().__init__()
        self.at, self.anything = at, nn.Parameter(torch.zeros(()))

    def forward(self, video: Tensor, boxes: Tensor, clip: Tensor) -> Tensor:
        x, y = ((boxes[:, 0::2].mean(1)).long(), (boxes[:, 1::2].mean(1)).long())
        label = video[clip, self.at, 0, y, x].round().long()
        return 5.0 * F.one_hot(label, len(CLASSES)) + self.anything


def task(head: Any = Reads, **options: Any) -> ActionDetection:
    torch.manual_seed(0)
    found = ActionDetection(
        network=SmallCNN3D(num_classes=3, width=4),
        optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1),
        scheduler=Constant(),
        classes=options.pop("classes", CLASSES),
        head=head,
        num_frames=FRAMES,
        size=SIZE,
        **options,
    )
    found.trainer = SimpleNamespace(datamodule=SimpleNamespace(annotations=()))
    return found


def film(labels_T2: list[list[int]]) -> dict[str, Any]:
    """A film of two things, whose classes change from frame to frame and are written into their boxes' pixels."""
    video = torch.zeros(1, len(labels_T2), 3, SIZE, SIZE)
    rows: dict[str, list[Any]] = {"xyxy": [], "frame": [], "label": [], "track": []}
    for frame, labels in enumerate(labels_T2):
        for track, (box, label) in enumerate(zip((LEFT, RIGHT), labels)):
            x0, y0, x1, y1 = map(int, box)
            video[0, frame, :, y0:y1, x0:x1] = label
            for name, value in (("xyxy", box), ("frame", frame), ("label", label), ("track", track)):
                rows[name].append(value)
    boxes = Ragged.of_one({name: torch.tensor(values) for name, values in rows.items()})
    return {"video": video, "boxes": boxes, "index": torch.tensor([0])}


CHANGING = [[0, 1], [1, 2], [2, 0], [1, 0], [0, 2], [2, 1], [1, 1]]


def evaluate(one: ActionDetection, *batches: dict[str, Any], split: Any = "test") -> dict[str, float]:
    one.eval().on_test_epoch_start()
    with torch.no_grad():
        for batch in batches:
            one.evaluation_step(batch, split)
    return {name: float(value) for name, value in one.evaluation_metrics(split).items()}


def test_rows_of_one_box_with_several_labels_are_one_box() -> None:
    xyxy = torch.tensor([LEFT, LEFT, RIGHT, LEFT, RIGHT])
    rows = {"xyxy": xyxy, "frame": torch.tensor([2, 2, 2, 1, 2]), "label": torch.tensor([0, 2, 1, 1, 0]),
            "track": torch.tensor([7, 7, 3, 7, 3])}  # fmt: skip
    boxes = Ragged(rows, torch.tensor([0, 0, 0, 0, 1]), 2)
    found = boxes_at(boxes, torch.tensor([2, 2]), num_classes=3)
    assert found.clip.tolist() == [0, 0, 1] and found.track.tolist() == [3, 7, 3]
    assert found.classes.tolist() == [[0, 1, 0], [1, 0, 1], [1, 0, 0]]
    assert found.xyxy.tolist() == [list(RIGHT), list(LEFT), list(RIGHT)]


def test_a_film_is_gone_over_by_clips_around_each_frame() -> None:
    video = torch.arange(12.0)[:, None, None, None].expand(12, 3, 1, 1)
    windows = list(windows_around(video, list(range(0, 12)), length=4))
    assert [window.frames for window in windows] == [list(range(8)), list(range(8, 12))]
    told = torch.cat([window.video for window in windows])[:, :, 0, 0, 0]
    assert (
        told[5].tolist() == [3, 4, 5, 6] and told[0].tolist() == [0, 0, 0, 1] and told[11].tolist() == [9, 10, 11, 11]
    )


def test_each_frame_of_a_film_is_answered_by_the_clip_around_it() -> None:
    one = task(exclusive=True)
    batch = film(CHANGING)
    right = evaluate(one, batch)
    assert right["frame_map_50"] == right["accuracy"] == 1
    files = SimpleNamespace(dataset=lambda split: SimpleNamespace(file="{}.mp4".format))
    told = {"index": 0, "path": "0.mp4", "boxes": 14, "accuracy": 1.0, "loss": pytest.approx(right["loss"])}
    assert one.prediction_rows(files) == [told]
    early = evaluate(task(lambda network, **_: Reads(network, at=1), exclusive=True), batch)
    same = sum(a == b for before, now in zip([CHANGING[0], *CHANGING], CHANGING) for a, b in zip(before, now))
    assert early["accuracy"] == pytest.approx(same / 14) and early["frame_map_50"] < 0.7  # a frame too early


def test_a_tube_is_a_track_with_the_mean_of_its_scores() -> None:
    steady = [film([[0, 1]] * 6), film([[2, 2]] * 6) | {"index": torch.tensor([1])}]
    assert evaluate(task(exclusive=True), *steady)["video_map_50"] == 1
    wrong = steady[1] | {"video": steady[1]["video"] * 0}  # whose pixels say "run", surer of nothing
    values = evaluate(task(exclusive=True), steady[0], wrong)
    # "wave": both true tubes come after two false ones of the same score: precision 2/4; the others: first of equals
    assert values["video_map_50"] == values["frame_map_50"] == pytest.approx((1 + 1 + 0.5) / 3)


def test_of_clips_the_frame_in_the_middle_is_asked_about_and_tubes_are_not() -> None:
    one = task(exclusive=True)
    batch = film(CHANGING[:FRAMES])
    one.trainer.datamodule.choice_of = lambda split: SimpleNamespace(num_frames=FRAMES)
    values = evaluate(one, batch, batch | {"index": torch.tensor([1])})
    assert values["frame_map_50"] == values["accuracy"] == 1 and "video_map_50" not in values
    assert [video.asked for video in one.seen] == [2, 2]
    assert {row["class"]: row["videos"] for row in one.classes_tested} == {"run": 2, "sit": 0, "wave": 2}


def test_precision_of_a_class_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    one = task()
    logits = iter([torch.tensor([[2.0, -9, -9], [1, -9, -9]]), torch.tensor([[0.0, -9, -9], [3, -9, -9]])])
    monkeypatch.setattr(one.network, "forward", lambda *_: next(logits))
    one.trainer.datamodule.choice_of = lambda split: SimpleNamespace(num_frames=FRAMES)
    values = evaluate(one, film([[0, 1]] * FRAMES), film([[0, 1]] * FRAMES) | {"index": torch.tensor([1])})
    # "run", by score: false (3), true (2), false (1), true (0); "sit": all alike, the true ones second
    assert one.classes_tested[0]["frame_map_50"] == 0.5
    assert values["frame_map_50"] == pytest.approx((0.5 + one.classes_tested[1]["frame_map_50"]) / 2)


def test_boxes_of_a_detector_are_counted_on_annotated_frames_and_have_no_loss() -> None:
    one = task(exclusive=True)
    batch = film(CHANGING)
    rows = batch["boxes"].rows
    late = rows["frame"] > 0
    batch["boxes"] = Ragged.of_one({name: value[late] for name, value in rows.items()})
    moved = rows | {"xyxy": rows["xyxy"] + 0.5, "track": torch.full_like(rows["track"], -1)}
    values = evaluate(one, batch | {"given": Ragged.of_one(moved)})
    assert values == {"frame_map_50": 1.0}  # no tracks, so no tubes; frame 0 was not annotated
    far = rows | {"xyxy": rows["xyxy"] * torch.tensor([1, 1, 0.7, 0.7])}
    assert evaluate(one, batch | {"given": Ragged.of_one(far)})["frame_map_50"] == 0


def test_a_batch_without_boxes_moves_no_weight_and_reaches_all() -> None:
    one = task(RoiActions)
    batch = film(CHANGING[:FRAMES])
    batch["boxes"] = Ragged.of_one({name: value[:0] for name, value in batch["boxes"].rows.items()})
    loss = one.training_step.__wrapped__(one, batch, 0)["loss"]
    loss.backward()
    assert loss.item() == 0 and all(p.grad is not None and not p.grad.any() for p in one.network.parameters())


def test_losses_are_those_of_torch() -> None:
    logits, label = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 1, 1, 0])
    target = F.one_hot(label, 3).float()
    torch.testing.assert_close(action_loss(logits, target, exclusive=True).mean(), F.cross_entropy(logits, label))
    plain = F.binary_cross_entropy(logits.sigmoid(), target, reduction="none")
    torch.testing.assert_close(action_loss(logits, target, exclusive=False), plain.mean(-1))
    told = torch.where(target > 0, logits.sigmoid(), 1 - logits.sigmoid())
    focal = action_loss(logits, target, exclusive=False, focal_gamma=2)
    torch.testing.assert_close(focal, ((1 - told) ** 2 * plain).mean(-1))


def test_avas_sixty_classes_are_counted_by_name() -> None:
    names = [*(f"action {number}" for number in range(60)), *AVA_LEFT_OUT]
    assert counted_classes("ava", names) == list(range(60)) and counted_classes("all", names) == list(range(80))
    assert counted_classes(["wave"], CLASSES) == [2]
    with pytest.raises(BadRequest, match="'crawl', AVA's, is no class of the data"):
        counted_classes("ava", CLASSES)
    one = task(classes=names, evaluated="ava", head=RoiActions)
    assert one.evaluation_protocol == "mAP at IoU 0.5, all-point; true boxes; over 60 of 80 classes"


def test_one_clip_has_the_boxes_of_its_key_frame() -> None:
    one = task(RoiActions).eval()
    told = one.one_clip(film(CHANGING))
    assert told["video"].shape == (1, FRAMES, 3, SIZE, SIZE) and told["condition"].shape == (1, 2, 4)
    assert one.answer(told).shape == (2, 3)
    assert one.answer({"video": told["video"]}).shape == (1, 3)  # of the whole picture
    assert one.work_of_one_clip(num_frames=FRAMES, size=SIZE) > 0


def test_questions_are_about_the_surest_boxes_where_they_are() -> None:
    one = task(RoiActions, exclusive=True).eval()
    batch = film(CHANGING)
    found = one.questions(batch, asked={"class": "wave"})
    assert len(found) == 2 and {question.facts["class"] for question in found} == {"wave"}
    for question in found:
        assert question.frame is not None and question.video.shape[1] == FRAMES
        frames = batch["video"][:, question.span]
        assert torch.equal(question.video, frames) and question.facts["frame"] == question.first_frame + FRAMES // 2
        chance = question.measure(question.video).item()
        assert chance == pytest.approx(question.facts["probability"], abs=1e-5)
    assert {question.box for question in found} == {(4, 2, 20, 12), (8, 18, 28, 30)}
    (whole,) = one.questions({"video": batch["video"]}, asked={})
    assert whole.box == (0, 0, SIZE, SIZE)
    with pytest.raises(BadRequest, match="--class waev: did you mean wave"):
        one.questions(batch, asked={"class": "waev"})


class Films:
    """The film, as a test reads it."""

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return {"clip": torch.full((1, len(CHANGING), SIZE, SIZE, 3), 90, dtype=torch.uint8)}

    def path(self, index: int) -> Path:
        return Path(f"{index}.mp4")

    def clip_fps(self, index: int) -> float:
        return 5.0


@pytest.mark.slow
def test_what_is_told_of_films_is_shown(tmp_path: Path) -> None:
    one = task(exclusive=True)
    evaluate(one, film(CHANGING))
    data: Any = SimpleNamespace(
        dataset=lambda split: Films(), choice_of=lambda split: SimpleNamespace(num_frames="all")
    )
    paths = one.save_samples(tmp_path, data, "test")
    assert [path.name for path in paths] == ["confusion_matrix.png", "precision_recall.png", "00000_0.png"]
    assert all(path.stat().st_size > 3000 for path in paths)
    (told,) = (one._told(video) for video in one.videos)
    assert len(told.found.label_M) == 2 * len(CHANGING)  # one class a box
    assert one.save_worst([{"index": 0}], data, tmp_path / "worst.mp4") and (tmp_path / "worst.mp4").is_file()
    clips: Any = SimpleNamespace(choice_of=lambda split: SimpleNamespace(num_frames=FRAMES))
    assert one.save_samples(tmp_path, clips, "test") == []  # of single frames there is no film to show
