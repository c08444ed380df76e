"""What classification does with logits and rows."""

import pytest
import torch
from torch import nn

from videxp.core.errors import BadRequest
from videxp.tasks.classification import Classification, chosen_examples, video_probabilities
from videxp.tasks.freezing import train_only


def task(*, classes: int, monitor: str) -> Classification:
    names = [str(number) for number in range(classes)]
    return Classification(network=nn.Linear(1, classes), optimizer=None, scheduler=None, classes=names, monitor=monitor)


def test_what_is_monitored_is_what_will_be_measured():
    assert task(classes=6, monitor="val/accuracy_top5").monitor == "val/accuracy_top5"
    with pytest.raises(BadRequest, match="accuracy_top5: not measured of 5 classes; measured are val/accuracy, "):
        task(classes=5, monitor="val/accuracy_top5")


def test_a_process_all_of_whose_videos_are_left_out_has_no_rows():
    one = task(classes=6, monitor="val/loss")
    one.on_test_epoch_start()
    assert one.prediction_rows(None) == []


def test_training_nothing_is_refused():
    with pytest.raises(BadRequest, match="null trains all"):
        train_only(nn.Linear(1, 1), [])


def test_probabilities_are_averaged_over_the_views_of_a_video_not_over_logits():
    logits = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.2, 0.8]]).log()  # 2 videos of 2 views
    torch.testing.assert_close(video_probabilities(logits, videos=2), torch.tensor([[0.7, 0.3], [0.2, 0.8]]))


def row(index: int, right: bool) -> dict[str, object]:
    return {"index": index, "label": "a", "predicted": "a" if right else "b"}


def test_half_of_the_examples_are_mistakes_if_there_are_enough():
    rows = [row(i, right=i % 10 != 0) for i in range(100)]
    chosen = chosen_examples(rows, count=8)
    assert [r["index"] for r in chosen if r["predicted"] == "b"] == [0, 20, 50, 70]
    assert len(chosen) == 8


def test_examples_are_never_more_than_there_are():
    assert len(chosen_examples([row(0, right=True)], count=8)) == 1
    assert len(chosen_examples([row(0, right=False), row(1, right=False)], count=8)) == 2
    assert chosen_examples([], count=8) == []
