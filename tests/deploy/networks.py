"""Small restoration networks: float [B,T,C,H,W] in [0,1] -> [B,T,C,sH,sW]."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Identity(nn.Module):
    scale, radius = 1, 0

    def forward(self, video: Tensor) -> Tensor:
        return video


class Bicubic(nn.Module):
    scale, radius = 2, 0

    def forward(self, video: Tensor) -> Tensor:
        pictures = F.interpolate(video.flatten(0, 1), scale_factor=2, mode="bicubic", align_corners=False)
        return pictures.unflatten(0, video.shape[:2])


class Convolutions(nn.Module):
    """Two 3x3x3 convolutions: a pixel depends on 2 frames and 2 pixels to each side."""

    scale, radius = 2, 2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(*[nn.Conv3d(3, 3, 3, padding=1, padding_mode="replicate") for _ in range(2)])

    def forward(self, video: Tensor) -> Tensor:
        features = 0.5 + self.layers(video.transpose(1, 2)).transpose(1, 2)
        return features.repeat_interleave(2, -1).repeat_interleave(2, -2)


class Recurrent(nn.Module):
    """Forwards and backwards through time, forgetting half at each step."""

    scale, radius = 1, None

    def forward(self, video: Tensor) -> Tensor:
        return (self.remembered(video) + self.remembered(video.flip(1)).flip(1)) / 2

    def remembered(self, video: Tensor) -> Tensor:
        states = [video[:, 0]]
        for frame in video[:, 1:].unbind(1):
            states.append((states[-1] + frame) / 2)
        return torch.stack(states, 1)


class Pyramid(nn.Module):
    """Means of 4x4 pixels: what a tile gives depends on where its grid of fours begins."""

    scale, radius = 1, 0

    def forward(self, video: Tensor) -> Tensor:
        height, width = video.shape[-2:]
        padded = F.pad(video.flatten(0, 1), (0, -width % 4, 0, -height % 4), mode="replicate")
        coarse = F.avg_pool2d(padded, 4).repeat_interleave(4, -1).repeat_interleave(4, -2)
        return coarse[..., :height, :width].unflatten(0, video.shape[:2])


class Interrupted(Identity):
    """Ctrl-C in the third call."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.calls = 0
        self.error = error or KeyboardInterrupt()

    def forward(self, video: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 3:
            raise self.error
        return video
