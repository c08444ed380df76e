"""checkpoints/best.ckpt and checkpoints/last.ckpt, written so that a kill leaves the old or the new one whole."""

import math
from pathlib import Path
from typing import Annotated, Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint

from videxp.files import replacing
from videxp.limits import Ge
from videxp.tasks import VideoTask


class AtomicCheckpointIO(TorchCheckpointIO):
    """Stages the file beside its place; Lightning copies it from $TMPDIR, which a kill or a full disk truncates."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


class Checkpoint(LightningCheckpoint):
    """`last.ckpt` every `every_n_epochs` and at the end; `best.ckpt` whenever the monitored metric is better than ever.

    Which way is better is the task's to say (`metric_names`); NaN is never better. Lightning runs callbacks of this
    base class after all others, so the file holds the state after every epoch-end hook.
    """

    def __init__(self, *, monitor: str, every_n_epochs: Annotated[int, Ge(1)] = 1) -> None:
        self.monitor = monitor
        self.every_n_epochs = every_n_epochs
        self.folder: Path | None = None
        self.best_score = math.nan
        self.best_epoch: int | None = None
        self.validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, VideoTask) and self.folder is not None
        if self._is_better(trainer, pl_module):
            self.best_score = float(trainer.callback_metrics[self.monitor])
            self.best_epoch = trainer.current_epoch
            trainer.save_checkpoint(self.folder / "best.ckpt")
        last_epoch = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        if (trainer.current_epoch + 1) % self.every_n_epochs == 0 or last_epoch:
            trainer.save_checkpoint(self.folder / "last.ckpt")

    def _is_better(self, trainer: Trainer, task: VideoTask) -> bool:
        validated, self.validated = self.validated, False
        if not validated or self.monitor not in trainer.callback_metrics:
            return False
        score = float(trainer.callback_metrics[self.monitor])
        if math.isnan(score):
            return False
        higher = task.metric_names[self.monitor.partition("/")[2]] == "max"
        return math.isnan(self.best_score) or (score > self.best_score if higher else score < self.best_score)

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]
