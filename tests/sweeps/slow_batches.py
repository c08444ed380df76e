"""A training that lasts long enough to be interrupted in the middle."""

import os
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class SlowBatches(Callback):
    """Waits SLOW_SECONDS, of the environment, before each batch of a run's first attempt."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds = float(os.environ.get("SLOW_SECONDS", "0")) if trainer.global_step == 0 else 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        time.sleep(self.seconds)
