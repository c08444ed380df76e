"""Which differences between scores chance alone would seldom make: bootstrap intervals, paired and one-sided tests.

The unit is what is drawn independently: a video, or a recording of which there are several cuts. Scores within a unit
are no independent evidence, so units are resampled whole and tested by their means. No function depends on the order
of its samples: what is drawn is drawn of sorted values.

Legend: N samples, U units, K columns, R resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from videxp.core.randomness import Stream, generator

RESAMPLES = 10_000
LEVEL = 0.05
"""Of error: intervals are of 95 %."""
AT_ONCE = 2**22  # numbers that are drawn at once

Floats = NDArray[np.float64]


def number_units(names_N: Sequence[str]) -> NDArray[np.int64]:
    """The number of each sample's unit, counted in the order of their names, int64 [N]."""
    numbers = {name: number for number, name in enumerate(sorted({*names_N}))}
    return np.array([numbers[name] for name in names_N], dtype=np.int64)


def sums_of_units(unit_N: NDArray[np.int64], *columns: ArrayLike) -> Floats:
    """Each unit's sums of columns [N], float64 [U,K]."""
    values = [np.asarray(column, dtype=np.float64) for column in columns]
    order = np.lexsort((*values, unit_N))  # a sum's last digit depends on the order of what is added
    return np.column_stack([np.bincount(unit_N[order], weights=column[order]) for column in values])


def resample_sums(sums_UK: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Sums over as many units as there are, drawn with replacement, float64 [R,K]: the bootstrap of Efron (1979)."""
    sums = np.asarray(sums_UK, dtype=np.float64)
    sums = sums[np.lexsort(sums.T)]
    count = len(sums)
    rng = generator(seed, stream=Stream.BOOTSTRAP)
    found = np.empty((resamples, sums.shape[1]))
    block = max(1, AT_ONCE // max(count, 1))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times_RU = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        found[start : start + rows] = times_RU @ sums
    return found


def interval(values_R: ArrayLike, *, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of a resampled figure; NaN, of resamples that do not define it, is left out."""
    low, high = np.nanquantile(np.asarray(values_R, dtype=np.float64), [level / 2, 1 - level / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): of those below 0.05, one in twenty sets has a false one at
    most, however they depend on one another."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


# ---- two runs on the same samples -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paired:
    """The difference of two runs' mean scores on the same samples, second minus first."""

    difference: float
    low: float
    high: float
    """Ends of its 95 % bootstrap interval over units."""
    p: float
    """Two-sided, of `test`."""
    test: str
    units: int
    samples: int
    wins: int
    """Units of which the second has the higher score."""
    losses: int


def compare_paired(
    first_N: ArrayLike, second_N: ArrayLike, *, unit_N: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = 0
) -> Paired:
    """McNemar's exact test where all scores are 0 or 1 and each sample is a unit, else Wilcoxon's signed-rank test of
    the units' mean differences."""
    first, second = np.asarray(first_N, dtype=np.float64), np.asarray(second_N, dtype=np.float64)
    sums = sums_of_units(unit_N, second - first, np.ones(len(first)))
    mean_U = sums[:, 0] / sums[:, 1]
    is_exact = len(sums) == len(first) and is_binary(first) and is_binary(second)
    resampled = resample_sums(sums, resamples=resamples, seed=seed)
    low, high = interval(resampled[:, 0] / resampled[:, 1])
    wins, losses = int((mean_U > 0).sum()), int((mean_U < 0).sum())
    return Paired(
        difference=math.fsum(sums[:, 0]) / math.fsum(sums[:, 1]),
        low=low,
        high=high,
        p=mcnemar(wins, losses) if is_exact else signed_rank(mean_U),
        test="McNemar's exact test" if is_exact else "Wilcoxon's signed-rank test",
        units=len(sums),
        samples=len(first),
        wins=wins,
        losses=losses,
    )


def is_binary(values: NDArray[np.float64]) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact p-value: of the samples that only one of two has right, as many would go either way."""
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0


def signed_rank(differences_U: ArrayLike) -> float:
    """Two-sided p-value of Wilcoxon's (1945) test that differences lie symmetrically about 0; those of 0 are left out,
    as he did."""
    from scipy.stats import wilcoxon

    differences = np.asarray(differences_U, dtype=np.float64)
    differences = differences[differences != 0]
    return float(wilcoxon(differences).pvalue) if len(differences) else 1.0


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value of Welch's t-test, for figures of repeated runs; NaN of fewer than two, or all equal."""
    from scipy.stats import ttest_ind

    if min(len(first), len(second)) < 2 or len({*first}) == len({*second}) == 1:
        return float("nan")
    return float(ttest_ind(first, second, equal_var=False).pvalue)


# ---- some samples against the rest ----------------------------------------------------------------------------------


def p_lower(inside: ArrayLike, rest: ArrayLike) -> float:
    """One-sided p-value that units `inside` have lower scores than the rest: Fisher's exact test where all are 0 or 1,
    else that of Mann and Whitney."""
    from scipy.stats import hypergeom, mannwhitneyu

    a, b = np.sort(np.asarray(inside, dtype=np.float64)), np.sort(np.asarray(rest, dtype=np.float64))
    if is_binary(a) and is_binary(b):
        return float(hypergeom.cdf(a.sum(), len(a) + len(b), a.sum() + b.sum(), len(a)))
    return float(mannwhitneyu(a, b, alternative="less").pvalue)
