"""A progress bar per epoch in a terminal; one line per epoch where there is none (log files, Slurm)."""

import logging
import math
import time
from typing import Any

from pytorch_lightning import Callback, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from videxp.console import Console
from videxp.data import VideoDataModule
from videxp.data.prepared import datamodule_of
from videxp.runs.loops import callbacks_of
from videxp.runs.step_metrics import StepMetrics
from videxp.tasks import VideoTask

log = logging.getLogger("videxp")


class ProgressBar(Callback):
    """Shows epoch, batches, speed, the newest training loss and the validation metrics."""

    def __init__(self, console: Console, *, refresh_every_n_steps: int = 10) -> None:
        self.console = console
        self.refresh_every_n_steps = refresh_every_n_steps
        self.bar: Progress | None = None
        self.task_id: Any = None
        self.started = 0.0

    # ---- training: one bar (or line) per epoch -------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.started = time.perf_counter()  # resumed within an epoch, training does not start that epoch again

    def on_train_epoch_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.started = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: VideoTask, batch: Any, batch_idx: int) -> None:
        if self.bar is None:
            self._open(f"epoch {trainer.current_epoch + 1}/{_total(pl_module)}", int(trainer.num_training_batches))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: VideoTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar is not None and ((batch_idx + 1) % self.refresh_every_n_steps == 0 or trainer.is_last_batch):
            self.bar.update(self.task_id, completed=batch_idx + 1, metrics=_metrics_text(trainer, pl_module))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        text = _metrics_text(trainer, pl_module)
        self._close(text)
        seconds = time.perf_counter() - self.started
        line = f"epoch {trainer.current_epoch + 1}/{_total(pl_module)}  {seconds:5.1f} s  {text}"
        if trainer.is_global_zero:
            log.info(line)
        if not self.console.is_terminal:
            self.console.print(line, soft_wrap=True)

    def on_exception(self, trainer: Trainer, pl_module: VideoTask, exception: BaseException) -> None:
        self._close("")

    # ---- test ------------------------------------------------------------------------------------------------------

    def on_test_epoch_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._open("test", int(sum(trainer.num_test_batches)))

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: VideoTask, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        if self.bar is not None:
            self.bar.update(self.task_id, completed=batch_idx + 1)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._close("")

    # ---- the bar ---------------------------------------------------------------------------------------------------

    def _open(self, title: str, batches: int) -> None:
        if not self.console.is_terminal:
            return
        self.bar = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self.console,
            refresh_per_second=4,
        )
        self.bar.start()
        self.task_id = self.bar.add_task(title, total=batches, metrics="")

    def _close(self, metrics: str) -> None:
        if self.bar is not None:
            self.bar.update(self.task_id, metrics=metrics)
            self.bar.stop()
            self.bar = None


def _total(task: VideoTask) -> str:
    """The epochs that will be begun: max_steps may end the run before max_epochs does."""
    epochs, _ = task.schedule_length()
    return "?" if math.isinf(epochs) else str(math.ceil(epochs))


def _metrics_text(trainer: Trainer, task: VideoTask) -> str:
    """`train/loss 0.31  val/accuracy 0.91  val/loss 0.40`: the newest values of those that matter."""
    values: dict[str, float] = {}
    for callback in callbacks_of(trainer, StepMetrics):
        values |= callback.latest
    for name in (f"val/{name}" for name in task.headline or task.metric_names):
        if name in trainer.callback_metrics:
            values[name] = float(trainer.callback_metrics[name])
    text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
    data = datamodule_of(trainer)
    seen, of = data.seen.get("val", (0, 0)) if isinstance(data, VideoDataModule) else (0, 0)
    return f"{text}  ({seen:,} of {of:,} val videos)" if seen < of else text
