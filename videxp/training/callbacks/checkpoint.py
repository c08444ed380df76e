"""checkpoints/best.ckpt and checkpoints/last.ckpt, written so that a kill leaves the old or the new one whole."""

import logging
import math
import time
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Protocol, runtime_checkable

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint

from videxp.core.errors import VidexpError
from videxp.core.files import replacing
from videxp.core.limits import Ge, Gt
from videxp.core.lines import note, warn
from videxp.core.private_lightning import accumulating
from videxp.tasks import VideoTask
from videxp.training import loops
from videxp.training.loggers.metrics_file import MetricsFile

log = logging.getLogger("videxp")


@runtime_checkable
class HasRankState(Protocol):
    """A callback whose state differs between ranks. (Lightning's `state_dict` keeps that of rank 0 only.)"""

    def rank_state(self) -> Any: ...
    def load_rank_state(self, state: Any) -> None: ...


class AtomicCheckpointIO(TorchCheckpointIO):
    """Stages the file beside its place; Lightning copies it from $TMPDIR, which a kill or a full disk truncates.

    A failure is kept in `error` rather than raised: only one rank writes, the others would wait for it for ever.
    """

    error: str | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        self.error = None
        try:
            with replacing(Path(path)) as temporary:
                torch.save(checkpoint, temporary)
        except (OSError, RuntimeError) as error:
            self.error = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]


class Checkpoint(LightningCheckpoint):
    """`last.ckpt` regularly and at the end; `best.ckpt` whenever the monitored metric is better than ever.

    Which way is better is the task's to say (`contract.metrics`); NaN is never better. Lightning runs callbacks of this
    base class after all others, so the file holds the state after every hook, and training goes on from it exactly.

    every_n_epochs, every_n_steps (batches), every_n_minutes: each that is set asks for a `last.ckpt` by itself.
    on_failed_write: a full disk leaves the old file; training goes on and tries again next time, or stops. A failure
        at the very end is an error in either case. The same holds for samples, but
        training ends well without those of its end where it may go on.
    """

    def __init__(
        self,
        *,
        monitor: str,
        every_n_epochs: Annotated[int, Ge(1)] | None = 1,
        every_n_steps: Annotated[int, Ge(1)] | None = None,
        every_n_minutes: Annotated[float, Gt(0)] | None = None,
        on_failed_write: Literal["continue", "stop"] = "continue",
    ) -> None:
        self.monitor = monitor
        self.every_n_epochs = every_n_epochs
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.on_failed_write = on_failed_write
        self.folder: Path | None = None
        self.best_score = math.nan
        self.best_epoch: int | None = None
        self.better = False  # the last validation was the best, and best.ckpt is yet to be written
        self.saved_step, self.saved_time = 0, time.monotonic()
        self.failed: dict[str, str] = {}  # what could not be written, until it can
        self._rank_states: list[dict[str, Any]] = []

    # ---- when ----------------------------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._due(trainer, pl_module) and loops.exact_moment(trainer):
            self._save(trainer, "last.ckpt")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        assert isinstance(pl_module, VideoTask)
        self._judge(trainer, pl_module)
        if not trainer.is_last_batch:  # otherwise after the hooks of the epoch's end
            self._save_if_better(trainer)
            if self._due(trainer, pl_module) and not accumulating(trainer):
                self._save(trainer, "last.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save_if_better(trainer)
        over = loops.training_is_over(trainer)
        if over or (self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0):
            self._save(trainer, "last.ckpt", must=over)
        elif self._due(trainer, pl_module):
            self._save(trainer, "last.ckpt")
        if over and "best.ckpt" in self.failed:
            self._refuse("best.ckpt")

    def _judge(self, trainer: Trainer, task: VideoTask) -> None:
        score = float(trainer.callback_metrics.get(self.monitor, math.nan))
        if math.isnan(score):
            self._say_nan(trainer)
            return
        higher = task.contract.metrics[self.monitor.partition("/")[2]] == "max"
        if math.isnan(self.best_score) or (score > self.best_score if higher else score < self.best_score):
            self.best_score, self.best_epoch, self.better = score, trainer.current_epoch, True

    def _say_nan(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        what = "NaN" if self.monitor in trainer.callback_metrics else "missing"
        best = (
            "there is no best checkpoint yet" if self.best_epoch is None else f"epoch {self.best_epoch + 1} stays best"
        )
        text = f"{self.monitor} is {what} after epoch {trainer.current_epoch + 1}: {best}"
        note(text)
        log.warning(text)

    def _save_if_better(self, trainer: Trainer) -> None:
        if self.better:
            self.better = False
            self._save(trainer, "best.ckpt")

    def _due(self, trainer: Trainer, task: LightningModule) -> bool:
        """Whether it is time for a `last.ckpt`; the same answer on all ranks."""
        assert isinstance(task, VideoTask)
        n = self.every_n_steps
        due = n is not None and task.batches_seen // n > self.saved_step // n
        if self.every_n_minutes is not None:
            late = time.monotonic() - self.saved_time >= 60 * self.every_n_minutes
            due = loops.any_rank(trainer, due or late)  # clocks differ between ranks
        return due

    # ---- what ----------------------------------------------------------------------------------------------------

    def save_last(self, trainer: Trainer) -> None:
        """`last.ckpt` of this step, unless it is that already. Only where training can go on from; see `loops`."""
        task = trainer.lightning_module
        assert isinstance(task, VideoTask)
        if self.saved_step != task.batches_seen or "last.ckpt" in self.failed:
            self._save(trainer, "last.ckpt", must=True)

    def _save(self, trainer: Trainer, name: str, *, must: bool = False) -> None:
        assert self.folder is not None
        if name == "last.ckpt":
            task = trainer.lightning_module
            assert isinstance(task, VideoTask)
            self.saved_step, self.saved_time = task.batches_seen, time.monotonic()
        trainer.save_checkpoint(self.folder / name)
        error = trainer.strategy.broadcast(getattr(trainer.strategy.checkpoint_io, "error", None))
        if error is None:
            self.failed.pop(name, None)
            return
        self.failed[name] = error
        if must or self.on_failed_write == "stop":
            self._refuse(name)
        if trainer.is_global_zero:
            message = f"{self.folder / name} could not be written: {error}"
            warn(f"{message}; training goes on, the file is as it was before")
            log.warning(message)

    def _refuse(self, name: str) -> NoReturn:
        assert self.folder is not None
        raise VidexpError(
            f"{self.folder / name} could not be written: {self.failed[name]}\n"
            "The file is as it was before; make room and go on with `videxp resume`"
        )

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["ranks"] = _gathered(
            {type(callback).__name__: callback.rank_state() for callback in _with_rank_state(trainer)}, trainer
        )
        checkpoint["rows"] = next((one.rows for one in trainer.loggers if isinstance(one, MetricsFile)), 0)
        checkpoint["should_stop"] = trainer.should_stop
        # best.ckpt of a validation between two optimizer steps: good to be used, not to go on from.
        checkpoint["accumulating"] = accumulating(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._rank_states = checkpoint["ranks"]
        trainer.should_stop = checkpoint["should_stop"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, VideoTask)
        self.saved_step, self.saved_time = pl_module.batches_seen, time.monotonic()
        if not self._rank_states:
            return
        loops.begin_next_epoch(trainer)
        if len(self._rank_states) == trainer.world_size:
            for callback in _with_rank_state(trainer):
                callback.load_rank_state(self._rank_states[trainer.global_rank][type(callback).__name__])
        elif trainer.is_global_zero:
            log.warning(
                f"The checkpoint is of {len(self._rank_states)} processes, this run has {trainer.world_size}: "
                "it goes on, but not bit for bit as it would have"
            )
        self._rank_states = []

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best_epoch": self.best_epoch, "better": self.better}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]
        self.better = state_dict["better"]


def _with_rank_state(trainer: Trainer) -> list[HasRankState]:
    return [callback for callback in loops.callbacks_of(trainer, Callback) if isinstance(callback, HasRankState)]


def _gathered(value: Any, trainer: Trainer) -> list[Any]:
    """`value` of every rank, on every rank."""
    if trainer.world_size == 1:
        return [value]
    values = [None] * trainer.world_size
    torch.distributed.all_gather_object(values, value)
    return values
