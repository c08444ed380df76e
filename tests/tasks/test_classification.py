"""What classification does with logits and rows."""

import torch

from videxp.tasks.classification import chosen_examples, video_probabilities


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
