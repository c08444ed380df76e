"""One line that moves, in a terminal, of training, validation and test; a plain line per epoch there and elsewhere."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any

from pytorch_lightning import Callback, Trainer
from rich.live import Live
from rich.text import Text

from videxp.core.console import Console
from videxp.data import VideoDataModule
from videxp.data.prepared import datamodule_of
from videxp.tasks import VideoTask
from videxp.training.callbacks.step_metrics import StepMetrics
from videxp.training.loops import callbacks_of

BAR, SHORTEST_BAR = 12, 5  # characters
REFRESHES_PER_SECOND = 4
TEST = "test"

log = logging.getLogger("videxp")


@dataclass
class Stage:
    """An epoch of training, a validation or a test, and how far it is."""

    title: str
    total: int | None
    """Batches; None: not known."""
    first: int
    """The batch that it began with: not 0 where a run goes on within an epoch."""
    started: float
    done: int = 0
    ended: float | None = None

    def advance(self) -> None:
        self.done += 1
        if self.done == self.total:
            self.ended = time.perf_counter()

    def rate(self, now: float) -> float:
        """Batches per second, 0 before the first."""
        return (self.done - self.first) / max((self.ended or now) - self.started, 1e-9)

    def seconds_left(self, now: float) -> float | None:
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate and self.total is not None else None


class ProgressBar(Callback):
    """Shows epoch, batches, speed, time left of the epoch and of the run, training loss and validation metrics.

    A step costs an assignment; the line is made when the terminal is painted.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live: Live | None = None
        self.stage: Stage | None = None
        self.training: Stage | None = None  # while a validation within its epoch is shown
        self.started = 0.0  # of the epoch
        self.epoch_seconds: float | None = None  # of the last whole epoch, validation included
        self.epochs_left = 0.0
        self.step_metrics: list[StepMetrics] = []
        self.validated: dict[str, float] = {}

    # ---- training ------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.started = time.perf_counter()  # resumed within an epoch, training does not start that epoch again
        self.step_metrics = callbacks_of(trainer, StepMetrics)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.started = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: VideoTask, batch: Any, batch_idx: int) -> None:
        if self.stage is None:
            epochs, _ = pl_module.schedule_length()
            self.epochs_left = max(0.0, epochs - trainer.current_epoch - 1)
            title = f"epoch {trainer.current_epoch + 1}/{_total(pl_module)}"
            self._begin(title, trainer.num_training_batches, first=batch_idx)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: VideoTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.stage is not None:
            self.stage.advance()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._close()
        self.epoch_seconds = time.perf_counter() - self.started
        beginning = f"epoch {trainer.current_epoch + 1}/{_total(pl_module)}  {self.epoch_seconds:5.1f} s"
        part, metrics = _part_validated(trainer), self._metrics()
        if trainer.is_global_zero:
            log.info("  ".join([beginning, *metrics.values(), *part]))
        if self.console.is_terminal:
            room = self.console.width - len("  ".join([beginning, *part]))
            metrics = fit_metrics(metrics, deciding=pl_module.monitor, width=room)
        self.console.print("  ".join([beginning, *metrics.values(), *part]), markup=False, soft_wrap=True)

    def on_exception(self, trainer: Trainer, pl_module: VideoTask, exception: BaseException) -> None:
        self._close()

    # ---- validation and test -------------------------------------------------------------------------------------

    def on_validation_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        if not trainer.sanity_checking:
            self.training, self.stage = self.stage, None
            self._begin("validation", sum(trainer.num_val_batches))

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: VideoTask, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        if self.stage is not None:
            self.stage.advance()

    def on_validation_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        headline = [f"val/{name}" for name in pl_module.contract.headline or pl_module.contract.metrics]
        names = dict.fromkeys([*headline, pl_module.monitor])
        values = trainer.callback_metrics
        self.validated |= {name: float(values[name]) for name in names if name in values}
        if self.training is not None and self.stage is not None:
            self.training.started += time.perf_counter() - self.stage.started  # not a part of training's pace
        self.stage, self.training = self.training, None
        if self.stage is None:
            self._close()

    def on_test_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._begin(TEST, sum(trainer.num_test_batches))

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: VideoTask, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        if self.stage is not None:
            self.stage.advance()

    def on_test_end(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._close()

    # ---- the line ------------------------------------------------------------------------------------------------

    def _begin(self, title: str, batches: float, *, first: int = 0) -> None:
        if not self.console.is_terminal or self.console.quiet:
            return
        total = None if math.isinf(batches) else int(batches)
        self.stage = Stage(title, total, first, time.perf_counter(), done=first)
        if self.live is None:
            self.live = Live(
                console=self.console,
                get_renderable=self._line,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
            )
            self.live.start()

    def _close(self) -> None:
        self.stage = self.training = None
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _line(self) -> Text:
        stage = self.stage
        if stage is None:
            return Text()
        now = time.perf_counter()
        left = stage.seconds_left(now)
        line = progress_line(
            stage,
            width=self.console.width - 1,
            rate=stage.rate(now),
            left=left,
            run_left=self._run_left(left, now),
            metrics=[] if stage.title == TEST else list(self._metrics().values()),
        )
        return Text(line, no_wrap=True, overflow="crop")

    def _run_left(self, left: float | None, now: float) -> float | None:
        """Seconds to the end of training; before the first validation is over, without the time of any."""
        stage = self.training or self.stage
        if stage is None or stage.title == TEST or math.isinf(self.epochs_left):
            return None
        if self.epoch_seconds is not None:
            return max(0.0, self.epoch_seconds - (now - self.started)) + self.epochs_left * self.epoch_seconds
        if left is None or self.training is not None or stage.total is None:
            return None
        return left + self.epochs_left * stage.total / stage.rate(now)

    def _metrics(self) -> dict[str, str]:
        """`{"train/loss": "train/loss 0.31", ...}`: the newest values of those that matter."""
        values = {name: value for callback in self.step_metrics for name, value in callback.latest.items()}
        return {name: f"{name} {value:.4g}" for name, value in (values | self.validated).items()}


def fit_metrics(metrics: dict[str, str], *, deciding: str, width: int) -> dict[str, str]:
    """Those for which `width` has room, two blanks before each, in their order: the deciding metric at any rate, then
    those of validation, then the others."""
    chosen: set[str] = set()
    for name in sorted(metrics, key=lambda name: (name != deciding, not name.startswith("val/"))):
        needed = len(metrics[name]) + 2
        if needed <= width or name == deciding:
            chosen.add(name)
            width -= needed
    return {name: text for name, text in metrics.items() if name in chosen}


def progress_line(
    stage: Stage, *, width: int, rate: float, left: float | None, run_left: float | None, metrics: list[str]
) -> str:
    """`epoch 3/10  ━━━━━━╸       41/80  left 0:06, run 1:12:33  12.3/s  train/loss 0.31`, what fits into `width`.

    What does not fit goes in this order: metrics, bar, rate, times.
    """
    words = [stage.title, f"{stage.done}" if stage.total is None else f"{stage.done}/{stage.total}"]
    times = [
        f"{name} {_clock(seconds)}" for name, seconds in (("left", left), ("run", run_left)) if seconds is not None
    ]
    words += [", ".join(times)] if times else []
    words += [f"{rate:.3g}/s"] if rate else []
    while len(words) > 1 and len("  ".join(words)) > width:
        words.pop()
    room = min(BAR, width - len("  ".join(words)) - 2)
    if room >= SHORTEST_BAR and stage.total:
        words.insert(1, _bar(stage.done / stage.total, room))
    for metric in metrics:
        if len("  ".join([*words, metric])) > width:
            break
        words.append(metric)
    return "  ".join(words)[:width]


def _bar(share: float, length: int) -> str:
    halves = min(2 * length, int(2 * length * share))
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(length)


def _clock(seconds: float) -> str:
    """`0:07`, `12:30`, `1:12:33`, `3 d 04 h`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24:02d} h"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _total(task: VideoTask) -> str:
    """The epochs that will be begun: max_steps may end the run before max_epochs does."""
    epochs, _ = task.schedule_length()
    return "?" if math.isinf(epochs) else str(math.ceil(epochs))


def _part_validated(trainer: Trainer) -> list[str]:
    """`(64 of 840 val videos)`; nothing for all."""
    data = datamodule_of(trainer)
    seen, of = data.seen.get("val", (0, 0)) if isinstance(data, VideoDataModule) else (0, 0)
    return [f"({seen:,} of {of:,} val videos)"] if seen < of else []
