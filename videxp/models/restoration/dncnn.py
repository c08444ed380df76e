"""DnCNN: a plain chain of convolutions that predicts the noise, frame by frame. Zhang et al. 2017, "Beyond a Gaussian
Denoiser: Residual Learning of Deep CNN for Image Denoising", section III.

The defaults are the grey DnCNN-S (17 layers, 556,096 parameters); the authors' PyTorch files load.
"""

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from videxp.core.limits import Ge
from videxp.models.weights import load_weights

BN_EPS = 1e-4  # the authors'


class DnCNN(nn.Module):
    """[B,T,C,H,W] in [0,1] -> the same; no frame sees another.

    colors: 1: each color channel is a grey picture of its own; 3: RGB together. channels: features of each layer.
    noise_level: the network is told the noise, one more input channel (FDnCNN); else it is blind.
    """

    scale = 1
    radius = 0

    def __init__(
        self,
        *,
        colors: Literal[1, 3] = 1,
        channels: Annotated[int, Ge(1)] = 64,
        layers: Annotated[int, Ge(2)] = 17,
        noise_level: bool = False,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.told = "noise_level" if noise_level else ""
        self.colors = colors
        chain: list[nn.Module] = [nn.Conv2d(colors + noise_level, channels, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(layers - 2):
            chain += [nn.Conv2d(channels, channels, 3, padding=1, bias=False)]
            chain += [nn.BatchNorm2d(channels, eps=BN_EPS), nn.ReLU(inplace=True)]
        self.dncnn = nn.Sequential(*chain, nn.Conv2d(channels, colors, 3, padding=1, bias=False))
        for module in self.dncnn:
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight)
        load_weights(self, weights)

    def forward(self, video: Tensor, noise_level: Tensor | None = None) -> Tensor:
        """noise_level: sigma / 255 at each pixel, [B,T,1,H,W], if the network is told it."""
        pictures = video.flatten(0, 1).unflatten(1, (-1, self.colors)).flatten(0, 1)
        inputs = pictures
        if noise_level is not None:
            levels = noise_level.expand(-1, -1, video.shape[2] // self.colors, -1, -1)
            inputs = torch.cat([pictures, levels.flatten(0, 2).unsqueeze(1)], dim=1)
        return (pictures - self.dncnn(inputs)).reshape(video.shape)
