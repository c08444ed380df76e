"""A task with two optimizers that takes its steps by itself, as a GAN does."""

from typing import Any

import torch
from torch import Tensor

from videxp.losses.classification import cross_entropy
from videxp.tasks.base import parameter_groups
from videxp.tasks.classification import Classification
from videxp.tasks.generation import Generation


class TwoOptimizers(Classification):
    """One optimizer learns the labels; every other batch another one is taught by noise."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.automatic_optimization = False

    def configure_optimizers(self) -> Any:
        pairs = []
        for decay in (True, False):
            optimizer = self.make_optimizer(parameter_groups(self.network, decay_norms_and_biases=decay))
            factor = 0.9 if decay else 0.8
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step, factor=factor: factor**step)
            pairs.append({"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}})
        return pairs

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        losses = {}
        for i, (optimizer, schedule) in enumerate(zip(self.optimizers(), self.lr_schedulers())):
            if i == 1 and batch_idx % 2:
                continue
            logits_BK = self(batch["video"])
            target = batch["label"] if i == 0 else torch.randint(logits_BK.shape[-1], batch["label"].shape)
            loss = cross_entropy(logits_BK, target)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            schedule.step()
            losses[i] = loss.detach()
        return {"loss": losses[0], "log": {"train/loss": losses[0], "train/noise": losses.get(1, losses[0])}}


class StockBackward(Generation):
    """DDP's reducer takes part in each backward pass."""

    def _backward(self, loss: Tensor) -> None:
        self.manual_backward(loss)
