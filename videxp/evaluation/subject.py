"""What an evaluation is of: a run's best checkpoint and the samples that it is given, the same for every axis.

Every part is read as the test split is: the same clips of each video, the same transform. So the figures of train, val
and test can be compared.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback, Trainer

from videxp.config import build, load_resolved, require_labels
from videxp.core.console import Console
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


@dataclass(frozen=True)
class Tested:
    """What one pass over the samples gave."""

    metrics: dict[str, float]
    """`test/accuracy`, ..., named by the split."""
    rows: list[dict[str, Any]]
    """One for each sample, in their order; none of a task without predictions."""
    seconds: float


@dataclass(frozen=True)
class Subject:
    """A trained task with the samples that it is evaluated on, ready to be tested."""

    run: RunFolder
    cfg: DictConfig
    checkpoint: Path
    weights: str
    """Hash of the checkpoint's weights."""
    split: Part
    samples: EvaluatedData
    fingerprint: str
    """Of the whole data set, as the run's provenance has it."""
    datamodule: VideoDataModule
    """Prepared; its split "test" is `split`."""
    task: VideoTask
    """With the checkpoint's weights, in evaluation mode."""
    trainer: Trainer
    console: Console
    own_name: str
    """Name of the data set that the run was trained on."""
    data: str
    """What the names of files call the data; "" for the run's own."""
    protocol: str
    """What the names of files call the protocol; "" for the run's own."""
    pictures: Path
    """Where the axes' plots and clips go: `picture_folder` of the results."""

    @property
    def device(self) -> torch.device:
        """Where the task computes."""
        return self.trainer.strategy.root_device

    @property
    def counted(self) -> tuple[int, int]:
        """(samples that the last test met, or that one would meet; samples that the split has)."""
        return self.datamodule.seen.get("test") or self.datamodule.coverage("test")

    @property
    def tested(self) -> list[int]:
        """The samples that a test meets, ascending: all, or `trainer.limit_test_batches` of them."""
        self.datamodule.trainer = self.trainer
        return [int(index) for index in self.datamodule.evaluated("test")]

    def test(self) -> Tested:
        """Go over the samples once, each counted once, on all processes; rows are those of all of them.

        Raises KeyboardInterrupt.
        """
        started = time.perf_counter()
        try:
            self.trainer.test(self.task, datamodule=self.datamodule, verbose=False)
        except SystemExit as error:  # what Lightning makes of it
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        seconds = time.perf_counter() - started
        rows = gather_rows(self.task.prediction_rows(self.datamodule), world_size=self.trainer.world_size)
        if rows and self.trainer.is_global_zero:  # a task need not have predictions for each sample
            require_each_once(rows, num_samples=self.counted[0])
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        return Tested(metrics, rows, seconds)


def open_subject(
    run: RunFolder, cfg: DictConfig, *, split: Part | None, assemble: Assemble, console: Console
) -> Subject:
    """The run's best checkpoint with `cfg`, the run's config or another.

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
    views = views_in(cfg.dataset)
    return Subject(
        run=run,
        cfg=cfg,
        checkpoint=checkpoint,
        weights=weights_hash(content["state_dict"]),
        split=part,
        samples=samples,
        fingerprint=fingerprint,
        datamodule=datamodule,
        task=task.eval(),
        trainer=trainer,
        console=console,
        own_name=own.name,
        data=samples.word(name=datamodule.name, root=datamodule.root, own_name=own.name, own_root=str(own.root)),
        protocol="" if views == views_in(own) else views.name,
        pictures=run.samples,
    )


@contextmanager
def watching(trainer: Trainer, callback: Callback) -> Iterator[None]:
    """Meanwhile, the callback is one of the trainer's."""
    callbacks: list[Callback] = cast(Any, trainer).callbacks  # Lightning sets it from outside the class
    callbacks.append(callback)
    try:
        yield
    finally:
        callbacks.remove(callback)


def gather_rows(rows: list[dict[str, Any]], *, world_size: int) -> list[dict[str, Any]]:
    """The rows of all ranks, in the order of the samples."""
    rows = [row for part in gather(rows, world_size=world_size) for row in part]
    return sorted(rows, key=lambda row: row["index"])


def gather(value: Any, *, world_size: int) -> list[Any]:
    """The value of each rank."""
    if world_size == 1:
        return [value]
    from torch.distributed import all_gather_object

    values: list[Any] = [None] * world_size
    all_gather_object(values, value)
    return values


def require_each_once(rows: list[dict[str, Any]], *, num_samples: int) -> None:
    """Raises VidexpError where some sample has no row, or two: the guarantee, checked on what was evaluated."""
    indices = [row["index"] for row in rows]
    if len(set(indices)) != len(indices) or len(indices) != num_samples:
        raise VidexpError(
            f"{num_samples} samples, but {len(indices)} predictions for {len(set(indices))} of them: "
            "the task's prediction_rows must have one row for each sample"
        )
