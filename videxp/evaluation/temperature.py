"""The temperature that makes a classifier as sure as it is right: fitted on validation videos, never on tested ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from videxp.core.errors import BadRequest
from videxp.data.manifest import read_about
from videxp.evaluation.calibration import Probabilities, ece, probabilities_of, reliability
from videxp.evaluation.subject import Subject
from videxp.runs.provenance import samples

LEAST, MOST = 0.05, 20.0
OPTION = "--temperature"


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by, and the validation answers that it suits best."""

    value: float
    val: Probabilities
    limit: str = ""
    """Why it lies at an end of what is tried, so that there is no best one; "" where it does not."""

    def describe(self, test: Probabilities) -> dict[str, Any]:
        """ECE and NLL without it and with it, of the videos that it was fitted on and of those that it was not."""
        return {
            "temperature": self.value,
            "limit": self.limit,
            "fitted_on": {"split": "val", "videos": len(self.val.given_NK)},
            "val": self._before_and_after(self.val),
            "test": {**self._before_and_after(test), "reliability": reliability(test.at(self.value))},
        }

    def _before_and_after(self, one: Probabilities) -> dict[str, Any]:
        versions = {"before": one, "after": one.at(self.value)}
        return {name: {"ece": ece(version), "nll": version.nll} for name, version in versions.items()}


def fit_temperature(val: Probabilities) -> Temperature:
    """That of the least NLL (Guo et al. 2017, section 4.2), from 0.05 to 20: at either end where all answers are right,
    and where they are no better than by chance."""
    from scipy.optimize import minimize_scalar

    low, high = np.log([LEAST, MOST])
    found = minimize_scalar(lambda log: val.at(float(np.exp(log))).nll, bounds=(low, high), method="bounded")
    limit = (
        "all are answered right" if found.x < low + 0.01 else "answered as by chance" if found.x > high - 0.01 else ""
    )
    return Temperature(float(np.exp(found.x)), val, limit)


def fit_on_validation(subject: Subject, open_val: Callable[[], Subject]) -> Temperature:
    """One pass over the validation videos of the data that the subject is tested on.

    open_val: gives the same weights with the validation part of these data. Raises BadRequest where there is nothing
    to fit it on, or it would be fitted on what is tested.
    """
    data = subject.datamodule
    if subject.trainer.world_size > 1:
        raise BadRequest(f"{OPTION}: one process fits it: add hardware=cpu, or hardware=gpu hardware.devices=1")
    if not subject.task.contract.activation:
        raise BadRequest(f"{OPTION}: the task gives no probability for each class: leave {OPTION} out")
    if not read_about(data.manifest_path).get("counts", {}).get("val"):
        raise BadRequest(f"{OPTION}: dataset {data.name} has no val samples to fit it on: leave {OPTION} out")
    val = open_val()
    if shared := _contents(val) & _contents(subject):
        raise BadRequest(
            f"{OPTION}: {len(shared)} of the {subject.split} videos are validation videos, on which it is fitted: "
            f"leave {OPTION} out, or evaluate others (--split test)"
        )
    val.test()
    answers = probabilities_of(val.task.class_probabilities())
    assert answers is not None  # a contract with an activation has probabilities
    return fit_temperature(answers)


def _contents(subject: Subject) -> set[tuple[Any, ...]]:
    return {(one.content, one.start_seconds, one.end_seconds) for one in samples(subject.datamodule.manifest)}
