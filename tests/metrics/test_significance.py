"""Intervals and tests beside scipy's, and whether they keep their promises on made-up data."""

import numpy as np
import pytest
from scipy import stats

from videxp.metrics.significance import (
    compare_paired,
    holm,
    interval,
    mcnemar,
    number_units,
    p_lower,
    resample_sums,
    signed_rank,
    sums_of_units,
    welch,
)


def test_mcnemar_is_the_binomial_test_of_the_pairs_that_differ():
    for wins, losses in ((0, 0), (1, 0), (9, 2), (3, 3), (0, 12)):
        expected = stats.binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0
        assert mcnemar(wins, losses) == pytest.approx(expected)
    assert mcnemar(0, 6) == pytest.approx(2 * 0.5**6)  # by hand


def test_paired_scores_choose_their_test_by_what_they_are():
    first = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1.0])
    second = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 1.0])
    one = compare_paired(first, second, unit_N=np.arange(10))
    assert (one.test, one.wins, one.losses, one.units) == ("McNemar's exact test", 3, 1, 10)
    assert one.difference == pytest.approx(0.2) and one.p == pytest.approx(mcnemar(3, 1))
    continuous = compare_paired(first + 0.5, second, unit_N=np.arange(10))
    assert continuous.test == "Wilcoxon's signed-rank test"
    assert continuous.p == pytest.approx(stats.wilcoxon(second - first - 0.5).pvalue)
    cuts = compare_paired(first, second, unit_N=np.arange(10) // 2)  # two cuts of each recording
    means = (second - first).reshape(5, 2).mean(1)
    assert (cuts.test, cuts.units, cuts.samples) == ("Wilcoxon's signed-rank test", 5, 10)
    assert cuts.p == pytest.approx(stats.wilcoxon(means[means != 0]).pvalue)
    same = compare_paired(first, first, unit_N=np.arange(10))
    assert (same.p, same.low, same.high) == (1.0, 0.0, 0.0) and signed_rank([0.0, 0.0]) == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_some_against_the_rest_is_fishers_test_or_that_of_mann_and_whitney():
    inside, rest = [0, 0, 1, 0.0], [1, 1, 1, 0, 1, 1.0]
    table = [[1, 3], [5, 1]]  # right and wrong
    assert p_lower(inside, rest) == pytest.approx(stats.fisher_exact(table, alternative="less").pvalue)
    rng = np.random.default_rng(0)
    inside, rest = rng.normal(size=20), rng.normal(0.5, size=30)
    assert p_lower(inside, rest) == stats.mannwhitneyu(inside, rest, alternative="less").pvalue


def test_welch_beside_scipy_and_nothing_where_there_is_no_spread():
    first, second = [0.9, 0.91, 0.93], [0.85, 0.88]
    assert welch(first, second) == stats.ttest_ind(first, second, equal_var=False).pvalue
    assert np.isnan(welch([0.9], second)) and np.isnan(welch([0.9, 0.9], [0.9, 0.9]))


def test_sums_of_units_and_their_order():
    unit_N = number_units(["b", "a", "b"])
    assert unit_N.tolist() == [1, 0, 1]
    assert sums_of_units(unit_N, [1.0, 2.0, 3.0], np.ones(3)).tolist() == [[2.0, 1.0], [4.0, 2.0]]


def test_no_figure_depends_on_the_order_of_the_samples():
    rng = np.random.default_rng(1)
    first, second, unit_N = rng.normal(size=60), rng.normal(size=60), rng.permutation(np.arange(60) % 20)
    order = rng.permutation(60)
    one = compare_paired(first, second, unit_N=unit_N, resamples=500)
    other = compare_paired(first[order], second[order], unit_N=unit_N[order], resamples=500)
    assert one == other
    assert one == compare_paired(first, second, unit_N=19 - unit_N, resamples=500)  # nor on what units are called
    assert one != compare_paired(first, second, unit_N=unit_N, resamples=500, seed=1)


def test_the_bootstrap_draws_whole_units_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch):
    sums = np.arange(12.0).reshape(6, 2)
    whole = resample_sums(sums, resamples=50)
    monkeypatch.setattr("videxp.metrics.significance.AT_ONCE", 20)
    assert (resample_sums(sums, resamples=50) == whole).all()
    assert whole.mean(0) == pytest.approx(sums.sum(0), rel=0.1)
    assert (whole[:, 1] - whole[:, 0] == 6).all()  # each row is drawn as it is


def test_the_standard_deviation_of_the_bootstrap_is_that_of_the_mean():
    values = np.random.default_rng(2).normal(size=400)
    resampled = resample_sums(values[:, None], resamples=4000)[:, 0] / 400
    assert resampled.std() == pytest.approx(values.std() / 20, rel=0.05)
    low, high = interval(resampled)
    reference = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0))
    assert (low, high) == pytest.approx(tuple(reference.confidence_interval), abs=0.01)


@pytest.mark.slow
def test_intervals_over_recordings_hold_the_truth_where_those_over_cuts_do_not():
    """Six cuts of each of 30 recordings, which share most of what makes them easy or hard."""
    rng = np.random.default_rng(3)
    held = {"cuts": 0, "recordings": 0}
    for _ in range(200):
        recordings = np.repeat(rng.normal(size=30), 6) + 0.3 * rng.normal(size=180)
        for name, unit_N in (("cuts", np.arange(180)), ("recordings", np.arange(180) // 6)):
            one = compare_paired(np.zeros(180), recordings, unit_N=unit_N, resamples=400)
            held[name] += one.low <= 0 <= one.high
    assert held["cuts"] < 140  # of 200
    assert 180 <= held["recordings"] <= 198


def test_two_equal_runs_are_told_apart_no_more_often_than_the_level_says():
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(200):
        first, second = (rng.random((2, 80)) < 0.7).astype(float)
        one = compare_paired(first, second, unit_N=np.arange(80), resamples=200)
        wrong += one.p < 0.05
    assert wrong <= 18  # 10 expected; 19 or more: 1 in 200
