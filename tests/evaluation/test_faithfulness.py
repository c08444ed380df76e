"""Figures of how faithful a map is, against values that can be worked out by hand, and scipy's."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from videxp.evaluation.explaining.faithfulness import (
    STEPS,
    Blocks3D,
    block_order,
    curves_of,
    judge_map,
    point,
    rank_correlation,
)
from videxp.evaluation.explaining.removal import blank, shuffled_order
from videxp.tasks.questions import Question

SHAPE = (8, 10, 10)


def share_of_blocks(video: Tensor, *numbers: int) -> Question:
    """The measure is how much of these blocks is still there, from 0 to 1."""
    blocks, empty = Blocks3D(SHAPE), blank(video)
    inside = torch.isin(blocks.number_THW, torch.tensor(numbers))[:, None]

    def measure(clips: Tensor) -> Tensor:
        is_there = (clips - video).abs() < (clips - empty).abs()
        return (is_there & inside).flatten(1).float().sum(1) / (3 * inside.sum())

    return Question("block", video, measure, measure)


@pytest.fixture
def video() -> Tensor:
    return torch.rand(1, 8, 3, 10, 10, generator=torch.Generator().manual_seed(0))


def test_the_areas_under_insertion_and_deletion_are_those_worked_out_by_hand(video: Tensor):
    blocks = Blocks3D(SHAPE)
    assert blocks.counts == (8, 5, 5) and len(blocks) == 200
    question = share_of_blocks(video, 7)
    first = torch.tensor([7, *(n for n in range(200) if n != 7)])
    best, worst = curves_of(question, [first, first.flip(0)], blocks)
    assert best.insertion == pytest.approx(1 - 0.5 / STEPS)  # there from the first step on
    assert best.deletion == pytest.approx(0.5 / STEPS)
    assert worst.insertion == pytest.approx(0.5 / STEPS)
    assert worst.deletion == pytest.approx(1 - 0.5 / STEPS)
    assert best.gain == pytest.approx(1 - 1 / STEPS)


def test_a_map_is_judged_beside_random_ones_and_the_gradient(video: Tensor):
    numbers = range(40, 80)
    question = share_of_blocks(video, *numbers)
    right = torch.isin(Blocks3D(SHAPE).number_THW, torch.tensor(numbers)).float()
    judged = judge_map(question, right, torch.ones(SHAPE), seed=0)
    assert judged["better_than_random"] and judged["better_than_gradient"]
    assert judged["gain"] == pytest.approx(1 - 40 / 200)  # all of it after a fifth of the blocks
    assert abs(judged["random"]["gain"]) < 0.1 and judged["random"]["maps"] == 10
    assert judged == judge_map(question, right, torch.ones(SHAPE), seed=0)
    wrong = judge_map(question, 1 - right, right, seed=0)
    assert not wrong["better_than_random"] and not wrong["better_than_gradient"]


def test_blocks_of_equal_importance_come_in_random_order():
    order = block_order(torch.zeros(50, dtype=torch.float64), np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(50)) and order.tolist() != list(range(50))
    assert block_order(torch.tensor([0.0, 3.0, 1.0]), np.random.default_rng(0)).tolist() == [1, 2, 0]


def test_rank_correlation_is_scipys_with_equal_values_too():
    rng = np.random.default_rng(0)
    for _ in range(5):
        one, other = rng.integers(6, size=(2, 40)).astype(float)
        expected = spearmanr(one, other).statistic
        assert rank_correlation(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(expected)
    constant = torch.zeros(40, dtype=torch.float64)
    assert rank_correlation(constant, constant) == 1
    assert rank_correlation(constant, torch.rand(40).double()) == 0


def test_pointing_says_whether_the_maximum_is_on_the_object_and_how_much_of_the_map():
    cause = torch.zeros(4, 30, 30, dtype=torch.bool)
    cause[2, 10:20, 10:20] = True
    found = point(cause.float(), cause)
    assert found["hit"] and found["share_on_object"] == 1
    assert found["share_of_clip"] == pytest.approx(100 / 3600)
    assert found["chance"] == pytest.approx(14 * 14 / 3600)  # 2 of 30 pixels beside it count
    elsewhere = torch.zeros(4, 30, 30)
    elsewhere[1, 15, 15] = 1  # the place, at another time
    assert not point(elsewhere, cause)["hit"]
    beside = torch.zeros(4, 30, 30)
    beside[2, 8, 15] = 1
    assert point(beside, cause)["hit"] and point(beside, cause)["share_on_object"] == 0
    assert not point(torch.ones(4, 30, 30), cause)["hit"]  # points nowhere


def test_what_is_removed_is_replaced_by_the_clips_own_blurred_mean(video: Tensor):
    empty = blank(video)
    assert empty.shape == video.shape
    assert torch.equal(empty[:, 0], empty[:, 7])
    assert empty.std() < 0.3 * video.mean(1).std() and abs(float(empty.mean() - video.mean())) < 0.02
    still = torch.full((1, 4, 3, 9, 9), 0.7)
    torch.testing.assert_close(blank(still), still)


def test_shuffled_frames_are_never_in_order():
    for index in range(50):
        order = shuffled_order(3, seed=0, index=index)
        assert sorted(order.tolist()) == [0, 1, 2] and order.tolist() != [0, 1, 2]
    assert shuffled_order(1, seed=0, index=0).tolist() == [0]
