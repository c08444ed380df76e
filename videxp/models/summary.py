"""What a network weighs and costs: parameters, and multiply-accumulates counted on the meta device."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(module: nn.Module) -> int:
    """Number of values that training may change or freeze; a parameter used twice counts once."""
    return sum(parameter.numel() for parameter in module.parameters())


def gmacs(module: nn.Module, *, num_frames: int, size: int, channels: int = 3) -> float:
    """Of one clip [1,T,C,H,W] of `num_frames` frames of `size` x `size` pixels."""
    return gmacs_of_call(module, torch.empty(1, num_frames, channels, size, size, device="meta"))


def gmacs_of_call(module: nn.Module, *arguments: Any, **named: Any) -> float:
    """Billions of multiply-accumulates of `module(*arguments, **named)`, whose tensors are on the meta device.

    The unit that papers call "GFLOPs". Convolutions and matrix products are counted; norms, activations and pooling are
    not. Nothing is computed, and `module` is neither changed nor copied in memory: a twin without storage is measured.
    """
    twin = without_storage(module).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        twin(*arguments, **named)
    return counter.get_total_flops() / 2e9


def without_storage(module: nn.Module) -> nn.Module:
    """A deep copy in which one without storage stands for every parameter and buffer, of the same shape and dtype."""
    twins: dict[int, torch.Tensor] = {}
    for parameter in module.parameters():
        twins[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    for buffer in module.buffers():
        twins[id(buffer)] = torch.empty_like(buffer, device="meta")
    return deepcopy(module, memo=twins)
