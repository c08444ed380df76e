"""A callback for tests: files that were whole when the data was prepared are not when training has begun."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from videxp.data.loading.sampler import epoch_order

DONE = Path("spoiled.txt")


class Spoil(Callback):
    """Once, on rank 0, before the first batch: makes files unreadable that keep their size.

    batches: batch number of the first epoch -> how many of its samples, from its first; -1: the first file of the test.
    """

    def __init__(self, *, batches: dict[int, int]) -> None:
        self.batches = batches

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit" or DONE.exists() or trainer.global_rank:
            return
        data: Any = trainer.datamodule
        order = epoch_order(len(data.dataset("train")), seed=data.seed, epoch=0)
        files = [data.dataset("test").path(int(data.evaluated("test")[0]))] if -1 in self.batches else []
        for batch, count in self.batches.items():
            first = batch * data.batch_size
            files += [data.dataset("train").path(int(i)) for i in order[first : first + max(count, 0)]]
        for file in files:
            file.write_bytes(bytes(file.stat().st_size))
        DONE.write_text("\n".join(str(file.relative_to(data.root)) for file in files))


class InfiniteLossOnRank1(Callback):
    """In the third batch. (First of the callbacks that look at it, as a task's own loss would be.)"""

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_rank == 1 and pl_module.batches_seen == 2:
            batch["video"] *= float("inf")
