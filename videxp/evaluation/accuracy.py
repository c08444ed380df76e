"""The accuracy axis: a run's metrics on a part of a data set, how each class fared, the worst videos, and what the
errors are like."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from videxp.core.contract import Contract
from videxp.evaluation.clip_statistics import ClipStatistics
from videxp.evaluation.errors import describe_errors, name_recordings
from videxp.evaluation.subject import Subject, Tested, gather, gather_rows, watching
from videxp.evaluation.temperature import Temperature

WORST = 8  # videos that are kept and shown


def measure_accuracy(subject: Subject, *, temperature: Temperature | None) -> tuple[Tested, dict[str, Any]]:
    """(what a pass over the samples gave, what evaluation.json says of it at its top level); on every rank, which all
    but the first know a part of the errors alone."""
    recordings = name_recordings(subject.datamodule)
    statistics = ClipStatistics(subject.datamodule.test_transform)
    with watching(subject.trainer, statistics):
        tested = subject.test()
    if recordings is not None:
        tested = replace(tested, rows=[{**row, "recording": recordings[row["index"]]} for row in tested.rows])
    world_size = subject.trainer.world_size
    errors = describe_errors(
        tested.rows,
        contract=subject.task.contract,
        datamodule=subject.datamodule,
        statistics=gather_rows(statistics.rows, world_size=world_size),
        answers=gather_answers(subject.task.class_probabilities(), world_size=world_size),
        temperature=temperature,
    )
    return tested, {**describe_accuracy(subject, tested), **errors}


def gather_answers(answers: dict[str, Tensor], *, world_size: int) -> dict[str, Tensor]:
    """`VideoTask.class_probabilities` of all ranks, in the order of the samples."""
    parts = [part for part in gather(answers, world_size=world_size) if part]
    whole = {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else ())}
    return {name: values[whole["index"].argsort()] for name, values in whole.items()}


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
