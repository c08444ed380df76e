"""Memory for float batches on the CPU, given again once nothing refers to it.

The kernel hands out a fresh block of tens of MB page by page, which takes longer than filling it. A GPU's allocator
keeps blocks by itself.
"""

import math
import weakref
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

_KEPT = 2  # blocks besides a new one: the batch in use and the one before it
_ALIGN_BYTES = 64


class _Block:
    def __init__(self, block: np.ndarray) -> None:
        self.block = block
        self.user: Callable[[], np.ndarray | None] = lambda: None

    def lend(self) -> Tensor:
        view = self.block[:]
        self.user = weakref.ref(view)
        return torch.from_numpy(view)


class Blocks:
    """Blocks of float32 memory. A block is free when no tensor, view or autograd graph holds its storage.

    A tensor made from a numpy array keeps that very array object alive until its storage dies; we keep only a weak
    reference to the object (a view made for the occasion), which is dead exactly then.
    """

    def __init__(self) -> None:
        self._blocks: list[_Block] = []

    def take(self, shape: tuple[int, ...], *, device: torch.device) -> Tensor:
        """An uninitialized, contiguous float32 tensor whose memory nobody else uses."""
        if device.type != "cpu":
            return torch.empty(shape, dtype=torch.float32, device=device)
        count = math.prod(shape)
        for entry in self._blocks:
            if entry.block.size == count and entry.user() is None:
                return entry.lend().view(shape)
        # What falls off the list lives as long as its users.
        self._blocks = [entry for entry in self._blocks if entry.block.size == count][-_KEPT:]
        self._blocks.append(_Block(_aligned_floats(count)))
        return self._blocks[-1].lend().view(shape)

    def __reduce__(self) -> tuple[type["Blocks"], tuple[()]]:
        return Blocks, ()  # a copy starts empty: two owners of a block would overwrite each other


def _aligned_floats(count: int) -> np.ndarray:
    raw = np.empty(count * 4 + _ALIGN_BYTES, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGN_BYTES
    return raw[start : start + count * 4].view(np.float32)
