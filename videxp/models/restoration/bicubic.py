"""Bicubic enlargement: the row of a table that makes the others believable. Keys 1981, "Cubic Convolution Interpolation
for Digital Image Processing", with a = -1/2 as Pillow and MATLAB have it (`torch.nn.Upsample` has -3/4)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.layers.restoration_blocks import Scale

REACH = 2  # pixels to either side that the cubic depends on


class Bicubic(nn.Module):
    """[B,T,C,h,w] in [0,1] -> [B,T,C,scale*h,scale*w] in [0,1]; it has no parameters, so there is nothing to train."""

    radius = 0

    def __init__(self, *, scale: Scale = 4) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, video: Tensor) -> Tensor:
        return bicubic(video, self.scale).clamp(0, 1)  # overshoots would not survive being written to a file


def bicubic(video: Tensor, scale: int) -> Tensor:
    """[B,T,C,h,w] -> [B,T,C,scale*h,scale*w], not clipped; mirrored at the edges as MATLAB's `imresize` does."""
    rows, columns = (_mirrored(n, video.device) for n in video.shape[-2:])
    frames = video.flatten(0, 1)[:, :, rows][:, :, :, columns]
    # Only with antialias=True does torch take a = -1/2; in enlarging there is nothing to be smoothed
    enlarged = F.interpolate(frames, scale_factor=scale, mode="bicubic", antialias=True)
    edge = REACH * scale
    return enlarged[..., edge:-edge, edge:-edge].unflatten(0, video.shape[:2])


def _mirrored(length: int, device: torch.device) -> Tensor:
    """Indices with REACH more at either end, edge pixels repeated: 4 -> 1 0 | 0 1 2 3 | 3 2."""
    index = torch.arange(-REACH, length + REACH, device=device) % (2 * length)
    return torch.minimum(index, 2 * length - 1 - index)
