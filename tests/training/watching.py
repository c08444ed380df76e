"""A callback for tests: notes every batch, and draws from the global generators in training and in validation."""

import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from videxp.core.tensor_files import weights_hash


class Watch(Callback):
    """A line `rank step epoch indices draws` for each training batch, into watch.txt of the working folder."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        draws = f"{random.random():.9f} {np.random.rand():.9f} {float(torch.rand(())):.9f}"
        indices = ",".join(map(str, batch["index"].tolist()))
        line = f"{trainer.global_rank} {pl_module.batches_seen} {int(batch['epoch'][0])} {indices} {draws}\n"
        descriptor = os.open(Path("watch.txt"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())
        os.close(descriptor)

    def on_validation_batch_start(self, *_: Any) -> None:
        torch.rand(3)
        random.random()


class Hashes(Callback):
    """Each rank writes the hash of the weights that it has in the end, into hashes.txt."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        parameters = {name: value for name, value in pl_module.state_dict().items() if not value.dtype.is_complex}
        with Path("hashes.txt").open("a") as file:
            file.write(f"{trainer.global_rank} {weights_hash(parameters)}\n")


class Told(Callback):
    """Each rank writes the values that it trains with, a line `rank world_size epochs learning_rate`, into told.txt."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rate = trainer.optimizers[0].param_groups[0]["initial_lr"]
        with Path(trainer.default_root_dir, "told.txt").open("a") as file:
            file.write(f"{trainer.global_rank} {trainer.world_size} {trainer.max_epochs} {rate}\n")


class Sleep(Callback):
    """The third step takes ten seconds."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        if i == 2:
            time.sleep(10)


class FillDisk(Callback):
    """From the eighth batch on the disk of the run folder is full."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        if pl_module.batches_seen == 8:
            with (Path(trainer.default_root_dir) / "filler").open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass
