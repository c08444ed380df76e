"""Private API of torch that videxp uses: workers of a DataLoader, the gate of a fused optimizer, and what is computed
without storage, its bytes counted."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary, finalize

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

M = TypeVar("M", bound=nn.Module)


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


class StoragelessTensors:
    """Tensors that have a shape, a type and a device, and no values: what is computed with them takes no memory and
    hardly any time. What asks for a value raises an error."""

    def __init__(self) -> None:
        from torch._subclasses.fake_tensor import FakeTensorMode  # slow, and seldom needed

        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.log = logging.getLogger("torch._subclasses.fake_tensor")  # says each error that it raises

    def __enter__(self) -> "StoragelessTensors":
        """Meanwhile, all new tensors are such."""
        self.log.disabled = True
        self.mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.mode.__exit__(*error)
        self.log.disabled = False

    def twin(self, module: M, *, dtype: torch.dtype | None = None) -> M:
        """A deep copy whose parameters and buffers are such tensors; the module's own are not copied.

        To be called outside the block, where what is no parameter and no buffer can be copied.
        dtype: of those that are floating-point; None: as they are.
        """
        twins: dict[int, Tensor] = {}
        for parameter in module.parameters():
            twins[id(parameter)] = nn.Parameter(self.like(parameter, dtype=dtype), parameter.requires_grad)
        for buffer in module.buffers():
            twins[id(buffer)] = self.like(buffer, dtype=dtype)
        return deepcopy(module, memo=twins)

    def like(self, value: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Such a tensor on the CPU, of the same shape and strides."""
        kind = value.dtype if dtype is None or not value.is_floating_point() else dtype
        with self.mode:
            return torch.empty_strided(value.shape, value.stride(), dtype=kind, device="cpu")


class HeldBytes(TorchDispatchMode, AbstractContextManager[Any]):
    """Bytes of all tensors that are alive, those that were told and those that are computed in the block; each storage
    counts once. Of tensors without storage, what they would hold."""

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()
        self._add(values)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self._add(result)
        return result

    def _add(self, values: Any) -> None:
        for value in tree_leaves(values):
            if isinstance(value, Tensor) and id(storage := value.untyped_storage()) not in self._known:
                size = storage.nbytes()
                self._known.add(id(storage))
                finalize(storage, self._drop, id(storage), size)
                self.now += size
                self.peak = max(self.peak, self.now)

    def _drop(self, storage: int, size: int) -> None:
        self._known.discard(storage)
        self.now -= size
