"""The means of an evaluation of robustness."""

from collections.abc import Mapping
from typing import Any

from videxp.evaluation.corrupting.scores import (
    Scores,
    absolute_robustness,
    corruption_errors,
    mean,
    mean_corruption_error,
    mean_of_each,
    performance_under_corruption,
    relative_performance,
    relative_robustness,
)

INPUT = "input"


def summarize(section: Mapping[str, Any], *, is_error: bool, baseline: Scores | None) -> dict[str, Any]:
    """`mpc` and, of metrics 0 to 1 (`is_error`: 1 - x is one), `rpc` and, with a baseline run's scores, `mce`; of
    metrics that untrained baselines have, too, `gain` and `gain_over_best`; `by_corruption` the same of each.

    A metric of which less is better has `mean` in place of `mpc`.
    """
    scores = {name: {s: one["value"] for s, one in of.items()} for name, of in section["figures"].items()}
    if not scores:
        return {"by_corruption": {}}
    means, clean = mean_of_each(scores), section["clean"]["value"]
    by_corruption: dict[str, dict[str, Any]] = {name: {"mean": value} for name, value in means.items()}
    found: dict[str, Any] = {"mpc" if section["direction"] == "max" else "mean": performance_under_corruption(scores)}
    if is_error:
        found["rpc"] = relative_performance(scores, clean)
        for name, row in by_corruption.items():
            row["relative"] = relative_robustness(means[name], clean)
            row["absolute"] = absolute_robustness(means[name], clean)
    if baseline is not None:
        found["mce"] = mean_corruption_error(scores, baseline)
        for name, error in corruption_errors(scores, baseline).items():
            by_corruption[name]["ce"] = error
    if "baselines" in section["clean"]:
        found |= _gains(section, by_corruption)
    return {**found, "by_corruption": by_corruption}


def _gains(section: Mapping[str, Any], by_corruption: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Over the input, and over the best of all baselines under the same corruption; where there is a loss, `worse`."""
    sign = 1 if section["direction"] == "max" else -1
    worse: dict[str, list[str]] = {}
    for name, of in section["figures"].items():
        gains = {severity: gains_of(one, sign=sign) for severity, one in of.items()}
        for key in ("gain", "gain_over_best"):
            by_corruption[name][key] = mean(gain[key] for gain in gains.values())
        if lost := [severity for severity, gain in gains.items() if gain["gain"] < 0]:
            worse[name] = lost
    overall = {key: mean(row[key] for row in by_corruption.values()) for key in ("gain", "gain_over_best")}
    return {**overall, "clean_gain": gains_of(section["clean"], sign=sign), "worse_than_input": worse}


def gains_of(figures: Mapping[str, Any], *, sign: int) -> dict[str, float]:
    """How much better the network is than its input, and than the best baseline; negative: worse."""
    baselines, value = figures["baselines"], figures["value"]
    return {
        "gain": sign * (value - baselines[INPUT]),
        "gain_over_best": min(sign * (value - of) for of in baselines.values()),
    }
