"""Calibration: whether a classifier is right as often as it says it is.

Of one label for each video, what counts is the predicted class and its probability (Guo et al. 2017); of several
labels, each class of each video is an answer of its own. Probabilities are those of whole videos: means over views.

Legend: N videos, K classes, A answers (N, or N*K of several labels), D draws.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from videxp.core.randomness import Stream, generator

BINS = 15  # as Guo et al. have them
DRAWS, DRAWN = 1000, 20_000_000  # of made-up answers; numbers that are drawn altogether
LEAST = 1e-12  # probability, in logarithms: as the task's loss

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Probabilities:
    """What a test gave: of one label for each video the true class's number, int64 [N]; of several, 1 or 0 [N,K]."""

    given_NK: Floats
    target: NDArray[Any]

    @property
    def several(self) -> bool:
        return self.target.ndim == 2

    @property
    def answers(self) -> tuple[Floats, Floats]:
        """(confidence, 1 where it is right or the class is there) of each answer, float64 [A] both, sorted."""
        if self.several:
            confidence, right = self.given_NK.ravel(), self.target.ravel().astype(np.float64)
        else:
            confidence = self.given_NK.max(1)
            right = (self.given_NK.argmax(1) == self.target).astype(np.float64)
        order = np.lexsort((right, confidence))
        return confidence[order], right[order]

    @property
    def one_hot_NK(self) -> Floats:
        return self.target.astype(np.float64) if self.several else np.eye(self.given_NK.shape[1])[self.target]

    @property
    def brier(self) -> float:
        """Squared distance from what is the case (Brier 1950): of one label summed over classes, in [0,2]; of several
        the mean over them."""
        squares_NK = (self.given_NK - self.one_hot_NK) ** 2
        return mean(squares_NK.mean(1) if self.several else squares_NK.sum(1))

    @property
    def nll(self) -> float:
        """In nats, as the task's loss without label smoothing."""
        given_NK = np.where(self.one_hot_NK > 0, self.given_NK, 1 - self.given_NK if self.several else 1.0)
        logs_NK = np.log(np.maximum(given_NK, LEAST))
        return -mean(logs_NK.mean(1) if self.several else logs_NK.sum(1))

    def at(self, temperature: float) -> "Probabilities":
        """As of logits divided by `temperature`: softmax of log p / T, or sigmoid of logit p / T."""
        log_NK = np.log(np.clip(self.given_NK, LEAST, 1))
        if self.several:
            logit_NK = (log_NK - np.log(np.clip(1 - self.given_NK, LEAST, 1))) / temperature
            return Probabilities(0.5 * (1 + np.tanh(logit_NK / 2)), self.target)
        scaled_NK = log_NK / temperature
        powers_NK = np.exp(scaled_NK - scaled_NK.max(1, keepdims=True))
        return Probabilities(powers_NK / powers_NK.sum(1, keepdims=True), self.target)


def probabilities_of(answers: Mapping[str, Tensor]) -> Probabilities | None:
    """Of `VideoTask.class_probabilities`; None of a task without any."""
    if not answers:
        return None
    return Probabilities(answers["probabilities"].double().numpy(), answers["target"].numpy())


def mean(values_N: Floats) -> float:
    """The same whatever the order."""
    return math.fsum(values_N) / len(values_N)


# ---- errors of calibration ------------------------------------------------------------------------------------------


def reliability(probabilities: Probabilities) -> list[dict[str, float]]:
    """A row for each of 15 bins of equal width, (from, to], that has answers: their number, mean confidence and the
    share that is right."""
    confidence, right = probabilities.answers
    bin_A = bin_of(confidence)
    return [
        {
            "from": round(number / BINS, 6),
            "to": round((number + 1) / BINS, 6),
            "count": int((bin_A == number).sum()),
            "confidence": float(confidence[bin_A == number].mean()),
            "accuracy": float(right[bin_A == number].mean()),
        }
        for number in np.unique(bin_A)
    ]


def bin_of(confidence_A: Floats) -> NDArray[np.int64]:
    """The bin of each, int64 [A]; one that lies on an edge belongs to the lower one."""
    return np.searchsorted(np.arange(1, BINS) / BINS, confidence_A, side="left")


def ece(probabilities: Probabilities) -> float:
    """With 15 bins of equal width."""
    confidence, right = probabilities.answers
    return expected_error(confidence, right, bin_of(confidence))


def expected_error(confidence_A: Floats, right_A: Floats, bin_A: NDArray[np.int64]) -> float:
    """ECE (Guo et al. 2017, equation 3): |right - confidence| of each bin's mean, weighted by its answers."""
    gaps = np.bincount(bin_A, weights=right_A - confidence_A, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence_A))


def adaptive_error(confidence_A: Floats, right_A: Floats) -> float:
    """The same with 15 bins of equally many answers (Nguyen and O'Connor 2015); of sorted answers."""
    parts = np.array_split(np.arange(len(confidence_A)), BINS)
    return expected_error(confidence_A, right_A, np.repeat(np.arange(BINS), [len(part) for part in parts]))


def chance_errors(confidence_A: Floats, *, seed: int = 0) -> Floats:
    """ECE of made-up answers that are right exactly as often as `confidence_A` says, float64 [D]: what so few answers
    give of a network that is calibrated (Broecker and Smith 2007)."""
    rng = generator(seed, stream=Stream.BOOTSTRAP)
    bin_A = bin_of(confidence_A)
    draws = int(np.clip(DRAWN // len(confidence_A), 100, DRAWS))
    return np.array(
        [
            expected_error(confidence_A, (rng.random(len(confidence_A)) < confidence_A).astype(np.float64), bin_A)
            for _ in range(draws)
        ]
    )


def describe_calibration(probabilities: Probabilities, *, classes: list[str]) -> dict[str, Any]:
    """The section of evaluation.json. `ece_if_calibrated`: mean and 95th percentile of `chance_errors`."""
    confidence, right = probabilities.answers
    error, bins = ece(probabilities), reliability(probabilities)
    chance = chance_errors(confidence)
    return {
        "answers": "each class of each video" if probabilities.several else "the predicted class of each video",
        "ece": error,
        "ece_if_calibrated": {"mean": float(chance.mean()), "p95": float(np.quantile(chance, 0.95))},
        "ece_adaptive": adaptive_error(confidence, right),
        "mce": max(abs(row["accuracy"] - row["confidence"]) for row in bins),
        "brier": probabilities.brier,
        "nll": probabilities.nll,
        "confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
        "bins": BINS,
        "reliability": bins,
        "classes": _by_class(probabilities, classes) if probabilities.several else [],
        "scalars": {"calibration/ece": error},
        "better": {"calibration/ece": "min"},
    }


def _by_class(probabilities: Probabilities, classes: list[str]) -> list[dict[str, Any]]:
    """Of several labels, each class by itself."""
    alone = [Probabilities(probabilities.given_NK[:, [k]], probabilities.target[:, [k]]) for k in range(len(classes))]
    return [
        {
            "class": name,
            "videos": int(one.target.sum()),
            "ece": ece(one),
            "brier": one.brier,
        }
        for name, one in zip(classes, alone, strict=True)
    ]


def ece_text(section: Mapping[str, Any]) -> str:
    """`ECE 0.042 (15 bins; chance alone: up to 0.060)`: of 20 calibrated networks, chance takes one beyond that."""
    by_chance = section["ece_if_calibrated"]["p95"]
    return f"ECE {section['ece']:.3f} ({section['bins']} bins; chance alone: up to {by_chance:.3f})"


# ---- the picture ----------------------------------------------------------------------------------------------------


def save_reliability(section: dict[str, Any], path: Path) -> Path:
    """The reliability diagram: how often answers of some confidence are right, over how many there are of them."""
    from videxp.tasks.pictures import figure, saved

    picture = figure(5, 5.6)
    above, below = picture.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1], "hspace": 0.08})
    bins = section["reliability"]
    middles = [(row["from"] + row["to"]) / 2 for row in bins]
    above.plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1, label="calibrated")
    above.bar(middles, [row["accuracy"] for row in bins], width=0.9 / BINS, color="#2f7de1", label="right")
    gaps = [row["confidence"] - row["accuracy"] for row in bins]
    above.bar(
        middles,
        gaps,
        bottom=[row["accuracy"] for row in bins],
        width=0.9 / BINS,
        color="none",
        edgecolor="#cf222e",
        hatch="////",
        linewidth=0.8,
        label="gap to the confidence",
    )
    if "temperature" in section:
        cooled = section["temperature"]["test"]["reliability"]
        points = [(row["confidence"], row["accuracy"]) for row in cooled]
        name = f"at temperature {section['temperature']['temperature']:.3g}"
        above.plot(*zip(*points), color="#17a37a", marker="o", markersize=3, linewidth=1, label=name)
    below.bar(middles, [row["count"] for row in bins], width=0.9 / BINS, color="#8d7a6b")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right", title=ece_text(section))
    above.legend(loc="upper left", fontsize=8)
    below.set(xlabel="confidence", ylabel="answers")
    return saved(picture, path)
