"""Schedules are functions of the epoch."""

import pytest
import torch

from videxp.core.errors import BadRequest
from videxp.tasks.schedules import Constant, Cosine, CosineRestarts, MultiStep


def factors(schedule, epochs: list[float]) -> list[float]:
    return [round(schedule.factor(epoch, total_epochs=10), 4) for epoch in epochs]


def test_constant_warms_up_linearly_and_stays():
    assert factors(Constant(warmup_epochs=2), [0, 0.5, 1, 2, 9]) == [0.001, 0.25, 0.5, 1, 1]
    assert factors(Constant(), [0, 9]) == [1, 1]


def test_cosine_is_one_half_in_the_middle_and_ends_at_the_final_factor():
    assert factors(Cosine(), [0, 5, 10]) == [1, 0.5, 0]
    assert factors(Cosine(warmup_epochs=2, final_factor=0.1), [1, 2, 6, 10]) == [0.5, 1, 0.55, 0.1]


def test_multi_step_drops_at_each_milestone():
    assert factors(MultiStep(milestones=[4, 8]), [3.9, 4, 7.9, 8]) == [1, 0.1, 0.1, 0.01]


def test_restarts_agree_with_torch_and_stay_at_the_end_after_the_last_period():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2, eta_min=0.1)
    schedule = CosineRestarts(periods=[2, 4], final_factor=0.1)
    for epoch in [0.0, 0.5, 1.9, 2.0, 3.0, 5.9]:
        reference.step(epoch)
        assert schedule.factor(epoch, total_epochs=6) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert factors(schedule, [6, 7]) == [0.1, 0.1]
    for periods in ([], [2, -1]):
        with pytest.raises(BadRequest, match=r"scheduler\.periods"):
            CosineRestarts(periods=periods)


@pytest.mark.parametrize("epoch", [0, 1, 2.5, 7, 10])
def test_cosine_agrees_with_torch(epoch: float):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100, eta_min=0.2)
    for _ in range(int(epoch * 10)):
        optimizer.step()
        reference.step()
    expected = optimizer.param_groups[0]["lr"]
    assert Cosine(final_factor=0.2).factor(epoch, total_epochs=10) == pytest.approx(expected, abs=1e-6)
