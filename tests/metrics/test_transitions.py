"""Transitions counted as the public evaluation of TransNetV2 and AutoShot counts them."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from videxp.core.errors import VidexpError
from videxp.metrics.transitions import (
    KINDS,
    TransitionCounts,
    best_threshold,
    count_transitions,
    match_transitions,
    predict_scenes,
    predict_transitions,
    threshold_curve,
    transition_figures,
    transition_scores,
    transitions_between,
)

GOLDEN = Path(__file__).parents[2].parent / "shared" / "data" / "golden"


def public_scenes(above: list[int]) -> list[tuple[int, int]]:
    """`predictions_to_scenes` as its state machine reads, frame by frame."""
    scenes, before, start = [], 0, 0
    for i, now in enumerate(above):
        if before and not now:
            start = i
        if now and not before and i:
            scenes.append((start, i))
        before = now
    if not before:
        scenes.append((start, len(above) - 1))
    return scenes or [(0, len(above) - 1)]


def public_counts(
    true: list[tuple[int, int]], predicted: list[tuple[int, int]], tolerance: int
) -> tuple[int, int, int]:
    """`evaluate_scenes` of two lists of scenes, in its own arithmetic: gaps that are made narrower or wider."""
    half = tolerance / 2

    def gaps(scenes: list[tuple[int, int]]) -> list[tuple[float, float]]:
        return [(a[1] + 0.5 - half, b[0] - 0.5 + half) for a, b in pairwise(scenes)]

    waiting, hits = gaps(predicted), 0
    missed = 0
    for start, end in gaps(true):
        while waiting and waiting[0][1] < start:
            waiting.pop(0)
        if waiting and waiting[0][0] <= end:
            waiting.pop(0)
            hits += 1
        else:
            missed += 1
    return hits, len(gaps(predicted)) - hits, missed


@pytest.mark.parametrize(
    ("tolerance", "last_frame", "hit"),
    [
        *((0, 5, True), (0, 4, False)),
        *((1, 5, True), (1, 4, True), (1, 3, False)),
        *((2, 5, True), (2, 4, True), (2, 3, True), (2, 2, False)),
    ],
)
def test_the_published_worked_examples(tolerance: int, last_frame: int, hit: bool):
    true = transitions_between([(0, last_frame), (last_frame + 1, 9)])
    predicted = transitions_between([(0, 5), (6, 9)])
    assert match_transitions(true, predicted, tolerance=tolerance) == ([(0, 0)] if hit else [])
    probability = torch.zeros(10).index_fill(0, torch.tensor([5]), 0.9)
    assert predict_transitions(probability, threshold=0.5) == predicted
    counts = count_transitions(probability, true, threshold=0.5, tolerance=tolerance)
    assert counts.tolist() == [[1, 0, 0] if hit else [0, 1, 1], [0, 0, 0]]


def test_runs_are_cut_into_the_scenes_of_the_public_code():
    for number in range(2**9):
        above = [number >> bit & 1 for bit in range(9)]
        scenes = public_scenes(above)
        probability = torch.tensor(above) * 0.6
        assert predict_scenes(probability, threshold=0.5) == scenes
        assert predict_transitions(probability, threshold=0.5) == transitions_between(scenes)
    assert predict_scenes(torch.zeros(1), threshold=0.5) == [(0, 0)]
    assert predict_transitions(torch.tensor([0.0, 0.5, 0.0]), threshold=0.5) == []  # above, not at


def test_random_videos_count_as_in_the_public_code():
    draw = torch.Generator().manual_seed(0)
    for _ in range(60):
        true, guess = (torch.rand(60, generator=draw) < 0.2 for _ in range(2))
        for tolerance in range(5):
            scenes = public_scenes(true.tolist())
            counts = count_transitions(guess.float(), transitions_between(scenes), threshold=0.5, tolerance=tolerance)
            assert tuple(counts.sum(0).tolist()) == public_counts(scenes, public_scenes(guess.tolist()), tolerance)


def test_hard_cuts_and_gradual_transitions_apart():
    true = [(9, 10), (20, 30), (39, 40), (60, 70)]
    one_hot, many_hot = torch.zeros(2, 100)
    one_hot[[9, 25, 50, 80, 90]] = 0.9  # finds the first two; 50, 80 and 90 are false
    many_hot[[9, *range(20, 30), *range(78, 83), 90]] = 0.9
    counts = count_transitions(one_hot, true, threshold=0.5, many_hot_T=many_hot)
    assert dict(zip(KINDS, counts.tolist())) == {"cut": [1, 2, 1], "gradual": [1, 1, 1]}
    figures = {name: value.item() for name, value in transition_figures(counts).items()}
    assert figures == pytest.approx(
        {"precision": 2 / 5, "recall": 1 / 2, "f1": 4 / 9}
        | {"precision_cut": 1 / 3, "recall_cut": 1 / 2, "f1_cut": 2 / 5}
        | {"precision_gradual": 1 / 2, "recall_gradual": 1 / 2, "f1_gradual": 1 / 2}
    )
    one_hot[51] = 0.9  # a run of two frames
    assert count_transitions(one_hot, true, threshold=0.5).tolist() == [[1, 2, 1], [1, 1, 1]]


def test_nothing_predicted_is_no_precision_and_nothing_to_find_no_recall():
    assert [value.item() for value in transition_scores(torch.tensor([0, 0, 3])).values()] == [0, 0, 0]
    precision, recall, f1 = transition_scores(torch.tensor([0, 2, 0])).values()
    assert precision == 0 and recall.isnan() and f1.isnan()


def test_the_threshold_is_the_best_one_and_of_equals_the_nearest_to_one_half():
    metric = TransitionCounts(thresholds=(0.1, 0.3, 0.45, 0.5, 0.8))
    metric.update(torch.tensor([0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.47, 0.0, 0.0]), [(6, 7)])
    counts = metric.compute()
    assert counts.sum(1).tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert best_threshold(counts, metric.thresholds) == 0.45
    rows = threshold_curve(counts, metric.thresholds)
    assert rows[0] == pytest.approx(
        {"threshold": 0.1, "precision": 0.5, "recall": 1, "f1": 2 / 3, "tp": 1, "fp": 1, "fn": 0}
    )
    assert best_threshold(torch.zeros(99, 2, 3, dtype=torch.long)) == 0.5


def test_what_is_not_a_number_is_refused():
    with pytest.raises(VidexpError, match="not finite"):
        TransitionCounts().update(torch.tensor([0.1, torch.nan]), [])


def video(number: int) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    draw = torch.Generator().manual_seed(number)
    scenes = public_scenes((torch.rand(50, generator=draw) < 0.1).tolist())
    return torch.rand(50, generator=draw), transitions_between(scenes)


def counted(numbers: range) -> TransitionCounts:
    metric = TransitionCounts(thresholds=(0.4, 0.8))
    for number in numbers:
        metric.update(*video(number))
    return metric


def test_ranks_of_unequal_length_and_one_without_videos_add_up_to_one_process():
    whole = counted(range(5)).compute()
    for ranks in ([range(0, 5, 2), range(1, 5, 2)], [range(5), range(0)]):
        metrics = [counted(numbers) for numbers in ranks]
        gathered = torch.stack([metric.counts_HK3 for metric in metrics])  # what torchmetrics hands to the reduction
        assert torch.equal(metrics[0]._reductions["counts_HK3"](gathered), whole)
    assert TransitionCounts().state_dict() == {}


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="AutoShot's published figures are not checked: no predictions")
def test_autoshots_published_figures_on_200_videos_to_the_unit():
    stored = np.load(GOLDEN / "shot_predictions.npz")
    probabilities = torch.from_numpy(stored["probabilities"]).split(stored["lengths"].tolist())
    metric = TransitionCounts(thresholds=(0.296, 0.5))
    for probability, truth in zip(probabilities, json.loads((GOLDEN / "shot_scenes.json").read_text()), strict=True):
        metric.update(probability, transitions_between(truth["scenes"]))
    counts = metric.compute()
    assert counts[0].sum(0).tolist() == [2098, 378, 418]
    scores = transition_scores(counts.sum(1))
    assert scores["f1"].tolist() == pytest.approx([0.8405448717948718, 0.8295], abs=5e-5)
    assert [value[0].item() for value in scores.values()] == pytest.approx(
        [0.8473344103392568, 0.8338632750397457, 0.8405448717948718], abs=1e-12
    )
