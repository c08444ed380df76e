"""Slices of the tested samples that go significantly worse than the rest: by class, folder, length, brightness, ...

A slice is all samples of one value, or a quarter of them by a number. Each is tested against the rest, one-sided, by
units: recordings where the data set names them, else videos; and p-values are adjusted for the number of slices that
were looked at.

Legend: N samples, U units, S slices.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from videxp.core.contract import Contract
from videxp.core.printable import aligned
from videxp.metrics.significance import LEVEL, holm, interval, number_units, p_lower, resample_sums

LEAST_UNITS = 5  # in a slice, and outside of it
FEW_VALUES = 4  # of a number: each is a slice; of more values, each quarter
SHOWN = 6
RESAMPLED = 2_000  # times, for each interval: there may be a hundred, over 20,000 videos

Values = Sequence[float] | Sequence[tuple[str, ...]]
"""Of each sample a number, NaN where unknown, or the texts that it goes by: its class, or classes; its folders."""


@dataclass(frozen=True)
class SampleSlice:
    """Samples that have something in common."""

    by: str
    """`brightness`."""
    value: str
    """`< 0.12`."""
    inside_N: NDArray[np.bool_]


def score_of(rows: Sequence[Mapping[str, Any]], contract: Contract) -> tuple[str, bool] | None:
    """(column that says how well each sample went, whether more is better): the first of the contract's headline that
    rows have, else the loss; None where they have neither."""
    for name in (*contract.headline, "loss"):
        if any(isinstance(row.get(name), int | float) for row in rows):
            return name, contract.better(name) != "min" and name != "loss"
    return None


# ---- cutting --------------------------------------------------------------------------------------------------------


def cut_slices(attributes: Mapping[str, Values], *, unit_N: NDArray[np.int64]) -> list[SampleSlice]:
    """Slices with at least 5 units inside and outside; of those with the same samples the first one."""
    found: dict[bytes, SampleSlice] = {}
    for by, values in attributes.items():
        for value, inside_N in _parts(values).items():
            if min(np.count_nonzero(np.bincount(unit_N[side])) for side in (inside_N, ~inside_N)) >= LEAST_UNITS:
                found.setdefault(inside_N.tobytes(), SampleSlice(by, value, inside_N))
    return list(found.values())


def _parts(values: Values) -> dict[str, NDArray[np.bool_]]:
    if len(values) and isinstance(values[0], tuple):
        return _named_parts(cast(Sequence[tuple[str, ...]], values))
    numbers = np.asarray(values, dtype=np.float64)
    known = numbers[~np.isnan(numbers)]
    distinct = np.unique(known)
    if len(distinct) <= FEW_VALUES:
        return {_text(value): numbers == value for value in distinct}
    edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75]))
    part_N = np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="right"))
    return {_range(edges, number): part_N == number for number in range(len(edges) + 1)}


def _named_parts(values: Sequence[tuple[str, ...]]) -> dict[str, NDArray[np.bool_]]:
    parts: dict[str, NDArray[np.bool_]] = {}
    for sample, names in enumerate(values):
        for name in names:
            parts.setdefault(name, np.zeros(len(values), dtype=bool))[sample] = True
    return dict(sorted(parts.items()))


def _range(edges: NDArray[np.float64], number: int) -> str:
    if number == 0:
        return f"< {_text(edges[0])}"
    if number == len(edges):
        return f">= {_text(edges[-1])}"
    return f"{_text(edges[number - 1])} to {_text(edges[number])}"


def _text(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


# ---- testing --------------------------------------------------------------------------------------------------------


def find_worse(
    slices: Sequence[SampleSlice], scores_N: NDArray[np.float64], *, unit_N: NDArray[np.int64], more_is_better: bool
) -> list[dict[str, Any]]:
    """Slices whose score is worse than that of the rest with an adjusted p-value below 0.05, the surest first.

    Each: `by`, `value`, `videos`, `units`, `score`, `rest`, `difference`, its 95 % bootstrap interval `low` to `high`
    over units, not adjusted, and `p`, adjusted (Holm).
    """
    sign = 1.0 if more_is_better else -1.0
    order = np.lexsort((scores_N, unit_N))  # a sum's last digit depends on the order of what is added
    sides = [_sides(one.inside_N[order], scores_N[order], unit_N[order]) for one in slices]
    p_values = holm([p_lower(*(_means(side, sign) for side in pair)) for pair in sides])
    worse = sorted((p, number) for number, p in enumerate(p_values) if p < LEVEL)
    return [{**_described(slices[number], sides[number], scores_N), "p": p} for p, number in worse]


def _sides(
    inside_N: NDArray[np.bool_], scores_N: NDArray[np.float64], unit_N: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each unit's sum of scores and number of samples inside, and the same outside: float64 [U,2] both."""
    columns = [scores_N * inside_N, inside_N, scores_N * ~inside_N, ~inside_N]
    sums = np.array([np.bincount(unit_N, weights=column) for column in columns], dtype=np.float64).T
    return sums[:, :2], sums[:, 2:]


def _means(side_U2: NDArray[np.float64], sign: float) -> NDArray[np.float64]:
    """Of the units that have samples on this side."""
    there = side_U2[side_U2[:, 1] > 0]
    return sign * there[:, 0] / there[:, 1]


def _described(
    one: SampleSlice, sides: tuple[NDArray[np.float64], NDArray[np.float64]], scores: NDArray[np.float64]
) -> dict[str, Any]:
    sums = resample_sums(np.column_stack(sides), resamples=RESAMPLED)
    with np.errstate(invalid="ignore"):  # no sample on one side
        low, high = interval(sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3])
    score, rest = (math.fsum(scores[side]) / int(side.sum()) for side in (one.inside_N, ~one.inside_N))
    return {
        "by": one.by,
        "value": one.value,
        "videos": int(one.inside_N.sum()),
        "units": int((sides[0][:, 1] > 0).sum()),
        "score": score,
        "rest": rest,
        "difference": score - rest,
        "low": low,
        "high": high,
    }


def describe_slices(
    rows: Sequence[Mapping[str, Any]], attributes: Mapping[str, Values], contract: Contract, *, unit: str
) -> dict[str, Any]:
    """The section of evaluation.json. rows: predictions, with the recording that each is from in the column `unit`, or
    in `path`. Samples without a score are left out."""
    if (found := score_of(rows, contract)) is None:
        return {"does_not_apply": "no score for each sample"}
    name, more_is_better = found
    kept = [i for i, row in enumerate(rows) if is_score(row.get(name))]
    names = [str(rows[i][unit]) for i in kept]
    unit_N = number_units(names)
    known = {by: cast(Values, [values[i] for i in kept]) for by, values in attributes.items()}
    slices = cut_slices(known, unit_N=unit_N)
    scores_N = np.array([float(rows[i][name]) for i in kept])
    return {
        "score": name,
        "looked_at": len(slices),
        "unit": "recording" if unit != "path" else "video",
        "units": len({*names}),
        "worse": find_worse(slices, scores_N, unit_N=unit_N, more_is_better=more_is_better),
    }


def is_score(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def slice_lines(section: Mapping[str, Any]) -> list[str]:
    """For the terminal; none where no slice was large enough to be looked at."""
    if not section.get("looked_at"):
        return []
    worse, unit = section["worse"], section["unit"]
    if not worse:
        return [f"slices: none of {section['looked_at']} is significantly worse in {section['score']}"]
    heading = (f"worse slices ({len(worse)} of {section['looked_at']})", f"{unit}s", section["score"], "rest")
    cells = [
        (
            f"{row['by']} {row['value']}",
            str(row["units"]),
            f"{row['score']:.4g}",
            f"{row['rest']:.4g}",
            f"{row['low']:+.3g} to {row['high']:+.3g}",
            f"{row['p']:.2g}",
        )
        for row in worse[:SHOWN]
    ]
    return aligned([(*heading, "difference, 95 %", "p"), *cells], right={1, 2, 3, 4, 5})
