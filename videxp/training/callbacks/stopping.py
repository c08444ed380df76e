"""The end that a signal asks for: at a moment from which training goes on exactly, on all ranks at the same step."""

import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint

from videxp.core.private_lightning import accumulating
from videxp.training import loops
from videxp.training.callbacks.checkpoint import Checkpoint
from videxp.training.processes.signals import Interrupted, Signals

VALIDATION_SECONDS = 8  # `docker stop` kills after 10


class StopOnSignal(LightningCheckpoint):
    """Saves last.ckpt and raises `Interrupted`. Stands behind `Checkpoint`, so that all hooks of the step are done.

    - In training: after the step, or after the last of the steps whose gradients are accumulated.
    - In validation, from which nothing could go on exactly: after it, if it ends within 8 seconds; otherwise the
      checkpoint before it stays, and a resumed run trains from there.
    - In a test: after the batch. A resumed run tests again.
    """

    def __init__(self, signals: Signals) -> None:
        self.signals = signals

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._asked(trainer) and loops.exact_moment(trainer):
            self._stop(trainer)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        # No collective here: ranks have unequal numbers of batches.
        if self.signals.received is not None and time.monotonic() - self.signals.since > VALIDATION_SECONDS:
            raise Interrupted(self.signals.received)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or trainer.is_last_batch:
            return
        if self._asked(trainer) and not accumulating(trainer):
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._asked(trainer):
            self._stop(trainer)

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        if self.signals.received is not None:
            raise Interrupted(self.signals.received)

    def _asked(self, trainer: Trainer) -> bool:
        """Whether any rank was; the same answer on all."""
        return loops.any_rank(trainer, self.signals.received is not None)

    def _stop(self, trainer: Trainer) -> None:
        for callback in loops.callbacks_of(trainer, Checkpoint):
            callback.save_last(trainer)
        raise Interrupted(self.signals.received or 15)
