"""All ranks of a run train by the same config, or none trains."""

from typing import Any

import torch.distributed
from pytorch_lightning import Callback, LightningModule, Trainer

from videxp.core.errors import BadRequest

OF_A_MACHINE = ("hardware.", "logger.", "run.")


class SameConfig(Callback):
    """Compares the config of every rank with rank 0's as soon as they can talk, before anything is computed.

    Ranks that a supervisor started were handed one config. Those that a scheduler started read it for themselves, and
    a search that runs in each of them hands out different values: the weights would be averaged all the same.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        """config: flat, {"optimizer.lr": 0.001}. What stands in it of the machine may differ from node to node."""
        self.config = {key: value for key, value in config.items() if not key.startswith(OF_A_MACHINE)}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raises BadRequest, on all ranks, naming the first key that differs."""
        if trainer.world_size == 1:
            return
        configs: list[dict[str, Any]] = [{}] * trainer.world_size
        torch.distributed.all_gather_object(configs, self.config)
        for rank, other in enumerate(configs):
            keys = [key for key in {**configs[0], **other} if configs[0].get(key) != other.get(key)]
            if keys:
                values = f"{keys[0]} is {other.get(keys[0])} there and {configs[0].get(keys[0])} on rank 0"
                raise BadRequest(f"rank {rank} has another config: {values}; all ranks must be given the same")
