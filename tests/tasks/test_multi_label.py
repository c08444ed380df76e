"""What the task of several labels does with logits, views and names."""

from argparse import Namespace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from videxp.core.errors import BadRequest, VidexpError
from videxp.data import Clips
from videxp.deploy.label_files import predict
from videxp.losses import binary_cross_entropy, binary_distillation
from videxp.models.classification.small import SmallCNN3D
from videxp.tasks import Classification, MultiLabelClassification
from videxp.tasks.blame import require_scores
from videxp.tasks.schedules import Cosine

CLASSES = ["run", "sit", "wave"]


def task(**options: Any) -> MultiLabelClassification:
    torch.manual_seed(0)
    return MultiLabelClassification(
        network=SmallCNN3D(num_classes=3, width=4),
        optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1),
        scheduler=Cosine(),
        classes=CLASSES,
        monitor="val/mAP",
        **options,
    )


def test_sigmoids_are_averaged_over_the_views_of_a_video_not_logits():
    probabilities = torch.tensor([[0.9, 0.1, 0.5], [0.5, 0.5, 0.5]])
    video = task().probabilities(probabilities.logit(), videos=1)
    torch.testing.assert_close(video, torch.tensor([[0.7, 0.3, 0.5]]))
    assert not torch.allclose(video, probabilities.logit().mean(0).sigmoid())  # negative control


def test_a_test_of_two_videos_of_two_views_counted_by_hand(monkeypatch: pytest.MonkeyPatch):
    one = task().eval()
    one.trainer = SimpleNamespace(
        datamodule=SimpleNamespace(clips=Clips(test_clips=2), test_transform=SimpleNamespace(crops=1))
    )
    scores = torch.tensor([[0.9, 0.2, 0.1], [0.7, 0.2, 0.1], [0.4, 0.6, 0.1], [0.4, 0.8, 0.1]])
    monkeypatch.setattr(one, "_scores", lambda batch, split: scores.logit())
    one.on_test_epoch_start()
    label = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    one.evaluation_step({"video": torch.zeros(4), "label": label, "index": torch.arange(2)}, "test")
    values = one.evaluation_metrics("test")
    assert values["mAP"].item() == 1  # of two classes: nobody waves
    loss = -(torch.tensor([[0.8, 0.2, 0.9], [0.6, 0.7, 0.9]]).log().mean())
    torch.testing.assert_close(values["loss"], loss)
    assert one.classes_tested == [
        {"class": "run", "videos": 1, "average_precision": 1.0},
        {"class": "sit", "videos": 2, "average_precision": 1.0},
        {"class": "wave", "videos": 0, "average_precision": None},
    ]
    assert one.evaluation_protocol == (
        "2x1: 2 clips x 1 crop of each video, probabilities averaged; mAP over 2 of 3 classes (1 without a positive)"
    )
    videos = SimpleNamespace(file=lambda index: f"{index}.mp4", part=lambda index: {})
    data = SimpleNamespace(dataset=lambda split: videos)
    rows = one.prediction_rows(data)
    assert [(row["path"], row["label"], row["predicted"]) for row in rows] == [
        ("0.mp4", "run|sit", "run"),
        ("1.mp4", "sit", "sit"),
    ]


def test_without_any_positive_there_is_no_map_rather_than_nan():
    one = task().eval()
    one.trainer = SimpleNamespace(datamodule=SimpleNamespace(clips=Clips(), test_transform=SimpleNamespace(crops=1)))
    label = torch.zeros(2, 3)
    one.evaluation_step({"video": torch.rand(2, 4, 3, 24, 24), "label": label, "index": torch.arange(2)}, "val")
    assert set(one.evaluation_metrics("val")) == {"loss"}


def test_training_mixes_smooths_and_learns_from_a_teacher():
    one = task(label_smoothing=0.1, teacher="runs/big", teacher_weight=0.3, temperature=2.0).eval()
    torch.manual_seed(1)
    teacher = SmallCNN3D(num_classes=3, width=4).eval()
    one.__dict__["_teaching"] = teacher
    one.trainer = SimpleNamespace(datamodule=None)
    label = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    mixing = {"mix_label": label.roll(1, 0), "mix_weight": torch.tensor([0.7, 0.5])}
    batch = {"video": torch.rand(2, 4, 3, 24, 24), "label": label, "index": torch.arange(2), **mixing}
    out = one.training_step(batch, 0)
    ours, theirs = one(batch["video"]), teacher(batch["video"])
    mixed = {"mix_target": mixing["mix_label"], "mix_weight": mixing["mix_weight"]}
    wanted = 0.7 * binary_cross_entropy(ours, label, label_smoothing=0.1, **mixed)
    torch.testing.assert_close(out["loss"], wanted + 0.3 * binary_distillation(ours, theirs, temperature=2.0))
    assert set(out["log"]) == {"train/loss", "train/distillation"}


def test_data_with_one_label_each_is_read_as_a_case_of_several():
    one, numbers = task(), torch.tensor([2, 0])
    assert one.target({"label": numbers}).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_too_few_scores_name_the_videos_whose_labels_lie_outside():
    label = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    batch = {"video": torch.zeros(2), "label": label, "index": torch.tensor([4, 5])}
    quiet: Any = SimpleNamespace(trainer=SimpleNamespace())
    with pytest.raises(VidexpError, match=r"gives 2 scores .* 3 classes; samples outside: such as val sample 5\n"):
        require_scores(torch.zeros(2, 2), classes=3, batch=batch, task=quiet, split="val")


def test_a_threshold_is_for_several_labels():
    several = task()
    one = Classification(
        network=several.network,
        optimizer=several.make_optimizer,
        scheduler=several.schedule,
        classes=CLASSES,
        monitor="val/loss",
    )
    nothing: Any = None
    with pytest.raises(BadRequest, match="the likeliest"):
        predict(one, nothing, Namespace(inputs=[], output=None, threshold=0.5))
