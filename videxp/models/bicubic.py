"""Bicubic enlargement: the row of a table that makes the others believable. Keys 1981, "Cubic Convolution Interpolation
for Digital Image Processing", with a = -1/2 as Pillow and MATLAB have it (`torch.nn.Upsample` has -3/4)."""

from torch import Tensor, nn
from torch.nn import functional as F

from videxp.models.restoration_blocks import Scale


class Bicubic(nn.Module):
    """[B,T,C,h,w] in [0,1] -> [B,T,C,scale*h,scale*w] in [0,1]; it has no parameters, so there is nothing to train."""

    radius = 0

    def __init__(self, *, scale: Scale = 4) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, video: Tensor) -> Tensor:
        return bicubic(video, self.scale).clamp(0, 1)  # overshoots would not survive being written to a file


def bicubic(video: Tensor, scale: int) -> Tensor:
    """[B,T,C,h,w] -> [B,T,C,scale*h,scale*w], not clipped; beyond the edges weights are dropped, as Pillow does."""
    # Only with antialias=True does torch take a = -1/2; in enlarging there is nothing to be smoothed
    frames = F.interpolate(video.flatten(0, 1), scale_factor=scale, mode="bicubic", antialias=True)
    return frames.unflatten(0, video.shape[:2])
