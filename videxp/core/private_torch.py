"""Private API of torch that videxp uses: the workers of a DataLoader, and the gate of a fused optimizer."""

from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader


def running_iterator(loader: DataLoader[Any]) -> Any:
    """The iterator that a DataLoader with workers that stay keeps; None before the first: no worker is forked."""
    return loader._iterator


def workers_of(iterator: Any) -> Sequence[BaseProcess]:
    """The worker processes of a DataLoader's iterator: torch has no other way to end one that hangs."""
    return iterator._workers


def gate_step(optimizer: torch.optim.Optimizer, good: Tensor) -> None:
    """Let a fused optimizer's next step change nothing unless `good`, bool [] on its device, is true.

    Fused optimizers look at what a GradScaler would leave there, on the device: nobody waits for it.
    """
    cast(Any, optimizer).found_inf = (~good).float()
