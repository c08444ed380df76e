"""Precision that mixed precision does not lower: 16 bits hold no 8-bit colors."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(like: Tensor) -> AbstractContextManager[object]:
    """What is computed herein on the tensor's device keeps the type of its operands."""
    if like.is_meta:  # torch knows no autocast there, and refuses to turn it off
        return nullcontext()
    return torch.autocast(like.device.type, enabled=False)
