"""The accuracy axis: a run's metrics on a part of a data set, how each class fared, and the worst videos."""

import math
from typing import Any

from videxp.core.contract import Contract
from videxp.evaluation.subject import Subject, Tested

WORST = 8  # videos that are kept and shown


def describe_accuracy(subject: Subject, tested: Tested) -> dict[str, Any]:
    """What evaluation.json says of a test, at its top level."""
    videos, _ = subject.counted
    return {
        "quarantined": subject.datamodule.missing,
        "metrics": tested.metrics,
        "protocol": subject.task.evaluation_protocol,
        "videos_per_second": round(videos / tested.seconds, 2),
        "classes": subject.task.classes_tested,
        "worst": worst_rows(tested.rows, subject.task.contract),
    }


def worst_rows(rows: list[dict[str, Any]], contract: Contract) -> list[dict[str, Any]]:
    """Rows with the highest loss, descending: confident mistakes. Of rows without a loss, those with the worst value of
    the contract's first headline; none where rows have neither."""
    by, sign = ("loss", -1) if rows and "loss" in rows[0] else (contract.headline[0] if contract.headline else "", 1)
    if contract.better(by) == "min":
        sign = -1
    known = [row for row in rows if isinstance(row.get(by), float)]
    return sorted(known, key=lambda row: -math.inf if math.isnan(row[by]) else sign * row[by])[:WORST]
