"""mPC, rPC, mCE and relative robustness by hand, and where the last two have none."""

import pytest

from videxp.evaluation.corrupting.scores import (
    absolute_robustness,
    corruption_errors,
    mean_corruption_error,
    performance_under_corruption,
    relative_performance,
    relative_robustness,
)
from videxp.evaluation.corrupting.summary import gains_of, summarize

OURS = {"fog": {"1": 0.8, "3": 0.6}, "jpeg": {"1": 0.5, "3": 0.3}}
THEIRS = {"fog": {"1": 0.6, "3": 0.4}, "jpeg": {"1": 0.5, "3": 0.1}}


def test_means_are_over_severities_then_over_corruptions():
    # fog 0.7, jpeg 0.4; with a third severity of fog alone, fog (0.8 + 0.6 + 0.1) / 3 = 0.5.
    assert performance_under_corruption(OURS) == pytest.approx(0.55)
    assert relative_performance(OURS, 0.88) == pytest.approx(0.625)
    uneven = {**OURS, "fog": {**OURS["fog"], "5": 0.1}}
    assert performance_under_corruption(uneven) == pytest.approx(0.45)
    assert relative_performance(OURS, 0.0) is None


def test_ce_is_the_ratio_of_summed_errors():
    # fog: (0.2 + 0.4) / (0.4 + 0.6) = 0.6; jpeg: (0.5 + 0.7) / (0.5 + 0.9) = 6/7. Not the mean of ratios: 0.5, 0.667.
    assert corruption_errors(OURS, THEIRS) == {"fog": pytest.approx(0.6), "jpeg": pytest.approx(6 / 7)}
    assert mean_corruption_error(OURS, THEIRS) == pytest.approx((0.6 + 6 / 7) / 2)
    assert mean_corruption_error(OURS, OURS) == pytest.approx(1)
    perfect = {**THEIRS, "fog": {"1": 1.0, "3": 1.0}}
    assert corruption_errors(OURS, perfect)["fog"] is None
    assert mean_corruption_error(OURS, perfect) is None


def test_relative_and_absolute_robustness_of_schiappa():
    assert relative_robustness(0.6, 0.8) == pytest.approx(0.75)
    assert absolute_robustness(0.6, 0.8) == pytest.approx(0.8)
    assert relative_robustness(0.6, 0.0) is None


def section(direction: str = "max") -> dict:
    def figures(value: float, **baselines: float) -> dict:
        return {"value": value, "baselines": baselines}

    return {
        "direction": direction,
        "clean": figures(30, input=27, median=28),
        "figures": {"fog": {"1": figures(25, input=24, median=23), "3": figures(20, input=21, median=22)}},
    }


def test_gains_are_over_the_input_and_over_the_best_baseline_under_the_same_corruption():
    found = summarize(section(), is_error=False, baseline=None)
    assert found["mpc"] == 22.5 and "rpc" not in found
    assert found["clean_gain"] == {"gain": 3, "gain_over_best": 2}
    # Severity 1: 25 - 24 = 1, 25 - 24 = 1; severity 3: 20 - 21 = -1, 20 - 22 = -2.
    assert (found["gain"], found["gain_over_best"]) == (0, -0.5)
    assert found["worse_than_input"] == {"fog": ["3"]}
    # Where less is better, the same figures are losses.
    assert gains_of({"value": 25, "baselines": {"input": 24, "median": 23}}, sign=-1) == {
        "gain": -1,
        "gain_over_best": -2,
    }
    assert "mean" in summarize(section("min"), is_error=False, baseline=None)
