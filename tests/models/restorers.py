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
    """The same network, which is told something constant of each pixel if it wants to be told something, or a mask, or
    is shown the first frame."""
    if told := getattr(net, "told", ""):
        condition = {"mask": seen_once, "exemplar": first_frame}.get(told, constant)
        net.register_forward_pre_hook(lambda _, called: (called[0], condition(called[0])))
    return net


def constant(video: torch.Tensor) -> torch.Tensor:
    return torch.full_like(video[:, :, :1], 0.1)


def first_frame(video: torch.Tensor) -> torch.Tensor:
    return video[:, :1].expand_as(video)


def seen_once(video: torch.Tensor) -> torch.Tensor:
    """A mask [B,T,1,h,w] that shows each column of pixels in one of the frames, and hides it in all others."""
    frames, _, height, width = video.shape[1:]
    shown = torch.arange(width, device=video.device) % frames == torch.arange(frames, device=video.device)[:, None]
    return (~shown)[:, None, None].expand(video.shape[0], frames, 1, height, width).to(video.dtype)


def clip(*shape: int) -> torch.Tensor:
    """Noise in [0,1], [B,T,3,h,w]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))
