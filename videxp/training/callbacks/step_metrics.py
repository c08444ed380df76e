"""Training metrics, thinned: summed on the device at each step, read once every `log_every_n_steps`."""

from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from videxp.tasks import VideoTask
from videxp.training.callbacks.throughput import Throughput
from videxp.training.loops import logs_after


class StepMetrics(Callback):
    """Logs the mean over the last steps of what `training_step` returns under "log", learning rates and `throughput`.

    No step waits for the device; under DDP the mean is taken over ranks, in one reduction (and what
    `throughput` has of the slowest rank in another).
    """

    def __init__(self, throughput: Throughput | None = None) -> None:
        self.throughput = throughput
        self.names: list[str] = []
        self.latest: dict[str, float] = {}
        self.sums: Tensor | None = None
        self.steps = 0

    def on_train_batch_end(  # type: ignore[override]  # narrower types than Lightning's
        self, trainer: Trainer, pl_module: VideoTask, outputs: dict[str, Any], batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        if outputs["log"]:  # not where the batch had nothing in it
            self.names = list(outputs["log"])
            values = torch.stack(list(outputs["log"].values()))
            self.sums = values if self.sums is None else self.sums.to(values.device) + values
            self.steps += 1
        if self.steps and logs_after(trainer, batch_idx):
            self._write(trainer, pl_module, batch)

    def _write(self, trainer: Trainer, task: VideoTask, batch: dict[str, Tensor]) -> None:
        assert self.sums is not None
        means = trainer.strategy.reduce(self.sums / self.steps, reduce_op="mean").tolist()
        rates = {
            f"learning_rate{'' if i == 0 else f'_{i}'}": optimizer.param_groups[0]["lr"]
            for i, optimizer in enumerate(trainer.optimizers)
        }
        speed = {} if self.throughput is None else self.throughput.read(trainer, task, batch)
        task.log_row({**dict(zip(self.names, means)), **rates, **speed})
        self.latest = dict(zip(self.names, means))
        self.sums, self.steps = None, 0

    # A checkpoint between two log points holds each rank's sums, so that a resumed run logs the same means.

    def rank_state(self) -> dict[str, Any]:
        sums = None if self.sums is None else self.sums.cpu()
        return {"names": self.names, "sums": sums, "steps": self.steps}

    def load_rank_state(self, state: dict[str, Any]) -> None:
        self.names, self.sums, self.steps = state["names"], state["sums"], state["steps"]
