"""Layers of StyleGAN2. Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", sections 2 and 4.

Weights are kept at N(0,1) and scaled to their fan-in where they are used (equalised learning rate). No noise inputs.
Shapes: N images, D features, H, W; S numbers of a style.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance of what is N(0,1)."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Linear(nn.Module):
    """[...,d_in] -> [...,d_out]; `learning_rate` scales what a step of the optimizer changes."""

    def __init__(self, d_in: int, d_out: int, *, bias: float = 0.0, learning_rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in) / learning_rate)
        self.bias = nn.Parameter(torch.full((d_out,), bias / learning_rate))
        self.learning_rate = learning_rate

    def forward(self, x: Tensor) -> Tensor:
        scale = self.learning_rate / math.sqrt(self.weight.shape[1])
        return F.linear(x, self.weight * scale, self.bias * self.learning_rate)


class Conv(nn.Module):
    """1-D or 2-D: [N,d_in,...] -> [N,d_out,...]; unpadded unless told otherwise."""

    def __init__(self, d_in: int, d_out: int, kernel: int, *, dims: Literal[1, 2] = 2, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in, *[kernel] * dims))
        self.bias = nn.Parameter(torch.zeros(d_out))
        self.convolve = F.conv1d if dims == 1 else F.conv2d
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight / math.sqrt(self.weight[0].numel()), self.bias, padding=self.padding)


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style (section 2.2): [N,d_in,H,W], [N,S] -> [N,d_out,H,W].

    demodulate: each output channel is divided by the norm of its scaled weights, equation 3.
    """

    def __init__(self, d_in: int, d_out: int, kernel: int, *, style_size: int, demodulate: bool) -> None:
        super().__init__()
        self.style = Linear(style_size, d_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(d_out, d_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(d_out))
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale = self.style(style)  # [N,d_in]
        weight = self.weight / math.sqrt(self.weight[0].numel())
        x = F.conv2d(x * scale[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            norm = (scale.square() @ weight.square().sum(dim=(2, 3)).T + 1e-8).rsqrt()  # [N,d_out]
            x = x * norm[:, :, None, None]
        return x + self.bias[:, None, None]


class Synthesis(nn.Module):
    """A small map of features and a style to a picture: [N,d_in,base,base], [N,S] -> [N,3,size,size].

    Two modulated convolutions at each resolution; the pictures of all resolutions are added up (section 4.1).
    """

    def __init__(self, d_in: int, *, widths: list[int], style_size: int) -> None:
        """widths: of the resolutions, from the coarsest; each is twice as large as the one before."""
        super().__init__()

        def conv(d_in: int, d_out: int) -> ModulatedConv:
            return ModulatedConv(d_in, d_out, 3, style_size=style_size, demodulate=True)

        self.enter = nn.ModuleList(conv(before, width) for before, width in zip([d_in, *widths], widths))
        self.refine = nn.ModuleList(conv(width, width) for width in widths)
        self.to_rgb = nn.ModuleList(
            ModulatedConv(width, 3, 1, style_size=style_size, demodulate=False) for width in widths
        )

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        picture: Tensor | None = None
        for enter, refine, to_rgb in zip(self.enter, self.refine, self.to_rgb):
            x = activate(refine(activate(enter(x if picture is None else twice(x), style)), style))
            rgb = to_rgb(x, style)
            picture = rgb if picture is None else twice(picture) + rgb
        assert picture is not None
        return picture


def twice(x: Tensor) -> Tensor:
    """Twice as large, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def normalize(x: Tensor) -> Tensor:
    """[N,D] -> each row with a mean square of 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
