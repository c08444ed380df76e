"""The random states of a process: saved with a checkpoint, and kept out of validation's reach."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from videxp.core.randomness import Stream, generator


def random_state() -> dict[str, Any]:
    """The states of python's, numpy's and torch's global generators, in types that load with `weights_only=True`."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """What `random_state` returned, in force again. GPUs are restored where there are as many as then."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numpy_keys, *rest = state["numpy"]
    np.random.set_state((name, numpy_keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])


class RandomState(Callback):
    """Validation draws what it likes and training goes on as if it had not; each rank's state is in the checkpoint.

    Networks are made with one seed for all; from then on each rank draws its own numbers. Stock, dropout and drop path
    drop the same of the i-th clip of every rank.
    First in the list: what other callbacks draw in their validation hooks then counts as validation.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.before: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" and trainer.global_rank > 0:
            torch.manual_seed(int(generator(self.seed, stream=Stream.RANK, index=trainer.global_rank).integers(2**63)))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.before = random_state()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.before is not None:
            set_random_state(self.before)
            self.before = None

    def rank_state(self) -> dict[str, Any]:
        return random_state()

    def load_rank_state(self, state: dict[str, Any]) -> None:
        set_random_state(state)
