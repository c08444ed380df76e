"""Where the time of a training step goes, phase by phase: for a benchmark, not for a training.

On a GPU each phase ends with a wait for the device, so that its work is counted where it was asked for; a step takes
a little longer than in training, where phases overlap.
"""

import time
from typing import Any, Literal, get_args

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from videxp.core.private_lightning import around_each_fetch
from videxp.tasks import VideoTask

Phase = Literal["wait", "transform", "forward", "backward", "optimizer", "rest"]
"""wait: for the loader's next batch; transform: transfer to the device, and the transform there; forward: and the loss;
optimizer: with clipping, and the verdict on gradients; rest: logging, other callbacks, the loop."""
PHASES: tuple[Phase, ...] = get_args(Phase)


class StepPhases(Callback):
    """Ends the training after `warmup` + `steps` batches; `seconds[i][phase]` is of the i-th batch after the warm-up.

    It must be the first of the callbacks: what others do counts in the phase that they do it in. A task with several
    optimizers has several forward, backward and optimizer phases in a step, which are summed.
    """

    def __init__(self, *, steps: int, warmup: int) -> None:
        self.steps = steps
        self.warmup = warmup
        self.seconds: list[dict[Phase, float]] = []
        self.batches = 0
        self.current: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self.phase: Phase = "rest"
        self.since = time.perf_counter()
        self.in_step = False
        self.on_gpu = False

    def on_train_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self.on_gpu = trainer.strategy.root_device.type == "cuda"
        around_each_fetch(trainer, before=self._begin_step, after=self._fetched)
        # What follows an optimizer's step is the next forward pass only where the task itself takes the steps.
        follows: Phase = "rest" if pl_module.automatic_optimization else "forward"
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(lambda *_: self._begin(follows))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: VideoTask) -> None:
        """What passes between epochs is of no step."""
        self._end_step()
        self.phase, self.since = "rest", time.perf_counter()

    def _begin(self, phase: Phase) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.current[self.phase] += now - self.since
        self.phase, self.since = phase, now

    def _begin_step(self) -> None:
        self._begin("wait")
        self._end_step()

    def _fetched(self) -> None:
        self._begin("transform")
        self.in_step = True
        self.batches += 1

    def _end_step(self) -> None:
        if self.in_step and self.warmup < self.batches <= self.warmup + self.steps:
            self.seconds.append(self.current)
        self.current, self.in_step = dict.fromkeys(PHASES, 0.0), False

    def on_train_batch_start(self, trainer: Trainer, pl_module: VideoTask, batch: Any, batch_idx: int) -> None:
        self._begin("forward")

    def on_before_backward(self, trainer: Trainer, pl_module: VideoTask, loss: Tensor) -> None:
        self._begin("backward")

    def on_after_backward(self, trainer: Trainer, pl_module: VideoTask) -> None:
        self._begin("forward")

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: VideoTask, optimizer: torch.optim.Optimizer
    ) -> None:
        self._begin("optimizer")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: VideoTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._begin("rest")
        # One more than asked for: the rest of a step ends where the next one begins.
        trainer.should_stop = self.batches > self.warmup + self.steps
