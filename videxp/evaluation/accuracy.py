"""Accuracy of a run's best checkpoint on a part of a data set, each sample counted once.

Every part is read as the test split is: the same clips of each video, the same transform. So the figures of train, val
and test can be compared.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import Trainer

from videxp.config import build, load_resolved, require_labels
from videxp.core.contract import Contract
from videxp.core.errors import BadRequest, VidexpError
from videxp.data import VideoDataModule
from videxp.data.loading.testing_protocols import views_in
from videxp.data.manifest import Part
from videxp.evaluation.samples import choose_samples, order_classes
from videxp.runs.evaluation_files import EvaluatedData
from videxp.runs.folder import RunFolder
from videxp.runs.weights import read_checkpoint, weights_hash
from videxp.tasks import VideoTask
from videxp.tasks.weights import set_weights

Assemble = Callable[[DictConfig, VideoDataModule], tuple[Trainer, VideoTask]]

WORST = 8  # videos that are kept and shown


@dataclass(frozen=True)
class Accuracy:
    """Figures of one evaluation, what they were computed on, and how each sample and class fared."""

    run: RunFolder
    checkpoint: Path
    weights: str
    """Hash of the checkpoint's weights."""
    split: Part
    samples: EvaluatedData
    fingerprint: str
    """Of the whole data set, as the run's provenance has it."""
    metrics: dict[str, float]
    """`test/accuracy`, ..., named by `split`."""
    rows: list[dict[str, Any]]
    """One for each sample, in their order; none of a task without predictions."""
    task: VideoTask
    datamodule: VideoDataModule
    seconds: float
    world_size: int
    own_name: str
    """Name of the data set that the run was trained on."""
    data: str
    """What the names of files call the data; "" for the run's own."""
    protocol: str
    """What the names of files call the protocol; "" for the run's own."""

    @property
    def counted(self) -> tuple[int, int]:
        """(samples that were evaluated, samples that the split has)."""
        return self.datamodule.seen["test"]

    @property
    def worst(self) -> list[dict[str, Any]]:
        return worst_rows(self.rows, self.task.contract)


def measure_accuracy(run: RunFolder, cfg: DictConfig, *, split: Part | None, assemble: Assemble) -> Accuracy | None:
    """Evaluate the run's best checkpoint with `cfg`, the run's config or another; None on ranks other than 0.

    split: None chooses one as `choose_samples` does. assemble: makes the trainer and the task of a config.
    Raises BadRequest for data that do not fit the run.
    """
    own = load_resolved(run.config).dataset
    checkpoint = run.checkpoint()
    content = read_checkpoint(checkpoint)
    datamodule: VideoDataModule = build(cfg.dataset)
    datamodule.prepare()
    require_labels(cfg, labels=datamodule.manifest.labels)
    fingerprint = datamodule.fingerprint
    is_elsewhere = os.path.realpath(own.root) != os.path.realpath(cfg.dataset.root)
    part, samples = choose_samples(datamodule.manifest, run, part=split, is_elsewhere=is_elsewhere)
    datamodule.test_on(part, classes=order_classes(datamodule.manifest, content.get("classes")))
    trainer, task = assemble(cfg, datamodule)
    if (count := len(datamodule.manifest.samples(part))) < trainer.world_size:  # a rank without any would wait for ever
        raise BadRequest(f"{count} {part} samples for {trainer.world_size} processes: use fewer, hardware=cpu")
    set_weights(task, content["state_dict"], path=checkpoint)
    started = time.perf_counter()
    trainer.test(task, datamodule=datamodule, verbose=False)
    seconds = time.perf_counter() - started
    rows = gather_rows(task.prediction_rows(datamodule), world_size=trainer.world_size)
    if not trainer.is_global_zero:
        return None
    if rows:  # a task need not have predictions for each sample
        require_each_once(rows, num_samples=datamodule.seen["test"][0])
    views = views_in(cfg.dataset)
    return Accuracy(
        run=run,
        checkpoint=checkpoint,
        weights=weights_hash(content["state_dict"]),
        split=part,
        samples=samples,
        fingerprint=fingerprint,
        metrics={name: float(value) for name, value in trainer.callback_metrics.items()},
        rows=rows,
        task=task,
        datamodule=datamodule,
        seconds=seconds,
        world_size=trainer.world_size,
        own_name=own.name,
        data=samples.word(name=datamodule.name, root=datamodule.root, own_name=own.name, own_root=str(own.root)),
        protocol="" if views == views_in(own) else views.name,
    )


def gather_rows(rows: list[dict[str, Any]], *, world_size: int) -> list[dict[str, Any]]:
    """The rows of all ranks, in the order of the samples."""
    if world_size > 1:
        from torch.distributed import all_gather_object

        parts: list[list[dict[str, Any]]] = [[] for _ in range(world_size)]
        all_gather_object(parts, rows)
        rows = [row for part in parts for row in part]
    return sorted(rows, key=lambda row: row["index"])


def require_each_once(rows: list[dict[str, Any]], *, num_samples: int) -> None:
    """Raises VidexpError where some sample has no row, or two: the guarantee, checked on what was evaluated."""
    indices = [row["index"] for row in rows]
    if len(set(indices)) != len(indices) or len(indices) != num_samples:
        raise VidexpError(
            f"{num_samples} samples, but {len(indices)} predictions for {len(set(indices))} of them: "
            "the task's prediction_rows must have one row for each sample"
        )


def worst_rows(rows: list[dict[str, Any]], contract: Contract) -> list[dict[str, Any]]:
    """Rows with the highest loss, descending: confident mistakes. Of rows without a loss, those with the worst value of
    the contract's first headline; none where rows have neither."""
    by, sign = ("loss", -1) if rows and "loss" in rows[0] else (contract.headline[0] if contract.headline else "", 1)
    if contract.better(by) == "min":
        sign = -1
    known = [row for row in rows if isinstance(row.get(by), float)]
    return sorted(known, key=lambda row: -math.inf if math.isnan(row[by]) else sign * row[by])[:WORST]
