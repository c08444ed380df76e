"""Private API of torch that videxp uses: the workers of a DataLoader, and the gate of a fused optimizer."""

from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.data import DataLoader


def running_iterator(loader: DataLoader[Any]) -> Any:
    """The iterator that a DataLoader with workers that stay keeps; None before the first: no worker is forked."""
    return loader._iterator


def workers_of(iterator: Any) -> Sequence[BaseProcess]:
    """The worker processes of a DataLoader's iterator: torch has no other way to end one that hangs."""
    return iterator._workers


_REQUESTS: "WeakKeyDictionary[Any, Any]" = WeakKeyDictionary()


def keep_requests_open(iterator: Any) -> None:
    """Keep the pipes to a DataLoader's workers open until its iterator has told the workers to end.

    An iterator in a reference cycle is collected together with its pipes, in any order. A pipe to a worker that was
    never asked for a batch is closed first: the worker does not hear that it shall end, and is killed after 5 s.
    """
    _REQUESTS[iterator] = iterator._index_queues


def gate_step(optimizer: torch.optim.Optimizer, good: Tensor) -> None:
    """Let a fused optimizer's next step change nothing unless `good`, bool [] on its device, is true.

    Fused optimizers look at what a GradScaler would leave there, on the device: nobody waits for it.
    """
    cast(Any, optimizer).found_inf = (~good).float()
