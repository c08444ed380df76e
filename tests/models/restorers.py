"""Every restoration network of conf/model/, in a version that runs in a moment."""

from typing import Any

import torch
from torch import nn

from tests.models.zoo import MODELS, RESTORERS, build

TRAINABLE = [name for name in RESTORERS if MODELS[name].published["parameters"] > 0]


def build_tiny(name: str, **arguments: Any) -> nn.Module:
    """The same kind of network, shrunk, in evaluation mode, without weights that start at zero."""
    torch.manual_seed(0)
    net = build(name, **{**MODELS[name].tiny, **arguments})
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.uniform_(parameter, -0.05, 0.05)  # offsets and biases
    return informed(net).eval()


def informed(net: nn.Module) -> nn.Module:
    """The same network, which is told something constant of each pixel if it wants to be told something."""
    if getattr(net, "told", ""):
        net.register_forward_pre_hook(lambda _, called: (called[0], torch.full_like(called[0][:, :, :1], 0.1)))
    return net


def clip(*shape: int) -> torch.Tensor:
    """Noise in [0,1], [B,T,3,h,w]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))
