"""Robustness in numbers, from a metric clean and under each corruption at each severity.

mPC and rPC: Hendrycks and Dietterich 2019 (ImageNet-C) as Michaelis et al. 2019 and Yi et al. 2021 write them. mCE:
Hendrycks and Dietterich 2019, section 4. Relative and absolute robustness: Schiappa et al. 2023, section 4.
"""

from collections.abc import Iterable, Mapping

Scores = Mapping[str, Mapping[str, float]]
"""Corruption -> severity -> the metric."""


def mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def mean_of_each(scores: Scores) -> dict[str, float]:
    """Of each corruption the mean over its severities."""
    return {name: mean(of_severity.values()) for name, of_severity in scores.items()}


def performance_under_corruption(scores: Scores) -> float:
    """mPC: the mean over severities, then over corruptions."""
    return mean(mean_of_each(scores).values())


def relative_performance(scores: Scores, clean: float) -> float | None:
    """rPC = mPC / clean; None of a clean 0."""
    return performance_under_corruption(scores) / clean if clean else None


def relative_robustness(corrupted: float, clean: float) -> float | None:
    """1 - (A_clean - A_corrupted) / A_clean; None of a clean 0."""
    return 1 - (clean - corrupted) / clean if clean else None


def absolute_robustness(corrupted: float, clean: float) -> float:
    """1 - (A_clean - A_corrupted) / 100 of percents, here of parts of 1."""
    return 1 - (clean - corrupted)


def corruption_errors(scores: Scores, baseline: Scores) -> dict[str, float | None]:
    """CE of each corruption: the errors 1 - x summed over severities, over the baseline's; None where that has none."""
    errors = {name: sum(1 - value for value in of.values()) for name, of in scores.items()}
    of_baseline = {name: sum(1 - baseline[name][severity] for severity in of) for name, of in scores.items()}
    return {name: errors[name] / of_baseline[name] if of_baseline[name] else None for name in scores}


def mean_corruption_error(scores: Scores, baseline: Scores) -> float | None:
    """mCE: the mean of CE over corruptions, as a part of 1; None where the baseline makes no error under one."""
    errors = list(corruption_errors(scores, baseline).values())
    known = [error for error in errors if error is not None]
    return mean(known) if len(known) == len(errors) else None
