"""Tasks of a few weights, and a trainer for them: what the loop does is the same, and takes a moment."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from videxp.tasks import Contract, VideoTask


class Constant:
    """A schedule that changes nothing."""

    def factor(self, epochs: float, *, total_epochs: float) -> float:
        return 1.0


class Mean(VideoTask):
    """Predicts the label from a clip's mean brightness. `bad[step]` says what is wrong with that step."""

    contract: ClassVar[Contract] = Contract(metrics={"error": "min"})

    def __init__(self, *, bad: dict[int, str] | None = None, optimizer: Any = None) -> None:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.BatchNorm1d(1), torch.nn.Linear(1, 1))
        adam = optimizer or (lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.1))
        super().__init__(network=network, optimizer=adam, scheduler=Constant(), monitor="val/error")
        self.bad = bad or {}
        self.states: list[dict[str, Tensor]] = []  # before each step
        self.errors: list[float] = []
        self.evaluated: dict[str, list[int]] = {"val": [], "test": []}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        self.states.append({name: value.clone() for name, value in self.network.state_dict().items()})
        bad = self.bad.get(self.batches_seen)
        means = batch["video"].flatten(1).mean(1, keepdim=True)
        scores = self(means * torch.nan if bad == "activations" else means)
        loss = (scores[:, 0] - batch["label"]).square().mean()
        if bad == "loss":
            loss = loss * torch.inf
        elif bad == "huge":
            loss = loss * 1e30
        elif bad == "gradient":  # the root of zero: finite, with an infinite slope
            loss = loss + (self.network[1].weight * 0).sum().sqrt()
        return {"loss": loss, "log": {"train/loss": loss.detach()}}

    def evaluation_step(self, batch: dict[str, Tensor], split: Any) -> None:
        self.evaluated[split] += batch["index"].tolist()

    def evaluation_metrics(self, split: Any) -> dict[str, Tensor]:
        return {"error": torch.tensor(self.errors.pop(0) if self.errors else 1.0)}


def trainer(folder: Path, *callbacks: Callback, epochs: int = 1, **options: Any) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any("Checkpoint" in type(one).__name__ for one in callbacks),
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
        default_root_dir=folder,
        **options,
    )
