"""UDVD: a blind-spot network over five frames that learns to denoise from noisy videos alone. Sheth et al. 2021,
"Unsupervised Deep Video Denoising", section 3.

What it gives at a pixel does not depend on that pixel, in any frame: with noise that is independent from pixel to
pixel, the noisy video itself is then a target. The defaults are the published network (2,132,208 parameters). N frames
of all clips, in one of four orientations.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.models.layers.restoration_blocks import windows
from videxp.models.weights import load_weights

TURNS = 4  # the network sees what lies above a pixel, in four orientations
OUTPUTS = 9  # the mean of a pixel's color, and six numbers of its covariance


class UDVD(nn.Module):
    """[B,T,3,H,W] in [0,1] -> the same: the mean color that a pixel's surroundings in five frames suggest.

    channels: features of the U-Nets, published as 48. As the authors' loss of squares has it, the output is the mean
    alone: the last layer's six other channels, a covariance, are there for their files, and are not used.
    """

    scale = 1
    radius = 2

    def __init__(self, *, channels: Annotated[int, Ge(3)] = 48, weights: str | None = None) -> None:
        super().__init__()
        between = 2 * channels // 3
        self.denoiser_1 = BlindUNet(9, between, channels=channels)
        self.denoiser_2 = BlindUNet(3 * between, 2 * channels, channels=channels)
        all_turns = TURNS * 2 * channels
        self.nin_A = nn.Conv2d(all_turns, all_turns, 1, bias=False)
        self.nin_B = nn.Conv2d(all_turns, 2 * channels, 1, bias=False)
        self.nin_C = nn.Conv2d(2 * channels, OUTPUTS, 1, bias=False)
        load_weights(self, weights)

    def forward(self, video: Tensor) -> Tensor:
        around, radius = windows(video.shape[1], self.radius), self.radius
        order = [*around[0][:radius], *range(video.shape[1]), *around[-1][-radius:]]  # mirrored at the ends
        turned = [self._above(torch.rot90(video[:, order], -turn, (-2, -1))) for turn in range(TURNS)]
        x = torch.cat([torch.rot90(one, turn, (-2, -1)) for turn, one in enumerate(turned)], dim=1)
        x = F.leaky_relu(self.nin_B(F.leaky_relu(self.nin_A(x), 0.1)), 0.1)
        return self.nin_C(x)[:, :3].unflatten(0, video.shape[:2])

    def _above(self, frames: Tensor) -> Tensor:
        """[B,T+4,3,H,W] -> [B*T,2D,H,W]: features of what lies above each pixel."""
        first = on_triplets(self.denoiser_1, frames)
        return shifted_down(on_triplets(self.denoiser_2, first).flatten(0, 1))


def on_triplets(network: nn.Module, frames: Tensor) -> Tensor:
    """[B,T+2,C,H,W] -> [B,T,D,H,W]: what the network makes of each three frames in a row."""
    triplets = torch.cat([frames[:, :-2], frames[:, 1:-1], frames[:, 2:]], dim=2)
    return network(triplets.flatten(0, 1)).unflatten(0, triplets.shape[:2])


class BlindUNet(nn.Module):
    """[N,C,H,W] -> [N,D,H,W], where a pixel of the output sees its own row and those above it."""

    def __init__(self, d_in: int, d_out: int, *, channels: int) -> None:
        super().__init__()
        narrow, wide = channels, 2 * channels
        self.enc1 = UpwardEncoder(d_in, narrow, narrow)
        self.enc2 = UpwardEncoder(narrow, narrow, narrow)
        self.enc3 = UpwardEncoder(narrow, wide, narrow)
        self.dec2 = UpwardDecoder(2 * narrow, wide, wide)
        self.dec1 = UpwardDecoder(wide + d_in, wide, d_out)

    def forward(self, x: Tensor) -> Tensor:
        half = halved(self.enc1(x))
        quarter = self.enc3(halved(self.enc2(half)))
        return self.dec1(self.dec2(quarter, half), x)


class UpwardEncoder(nn.Module):
    def __init__(self, d_in: int, d_mid: int, d_out: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = Upward(d_in, d_mid), Upward(d_mid, d_mid), Upward(d_mid, d_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.conv2(self.conv1(x)))


class UpwardDecoder(nn.Module):
    def __init__(self, d_in: int, d_mid: int, d_out: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Upward(d_in, d_mid), Upward(d_mid, d_mid)
        self.conv3, self.conv4 = Upward(d_mid, d_mid), Upward(d_mid, d_out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x: half as high and wide as `skip`, whose side may be odd."""
        doubled = F.interpolate(x, scale_factor=2, mode="nearest")
        bottom, right = skip.shape[2] - doubled.shape[2], skip.shape[3] - doubled.shape[3]
        x = torch.cat([F.pad(doubled, (0, right, 0, bottom)), skip], dim=1)
        return self.conv4(self.conv3(self.conv2(self.conv1(x))))


class Upward(nn.Module):
    """A 3x3 convolution moved up by a row: it sees the pixel's own row and the two above. Borders are repeated."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(d_in, d_out, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        above = F.pad(F.pad(x, (0, 0, 1, 0)), (1, 1, 1, 0), mode="replicate")  # a row of zeros, and it once more
        return F.leaky_relu(self.conv(above), 0.1)


def halved(x: Tensor) -> Tensor:
    """The greatest of 2x2 pixels, of which none is below the pixel: [N,D,h,w] -> [N,D,h/2,w/2]; at least one."""
    return F.max_pool2d(shifted_down(x), 2, ceil_mode=bool(min(x.shape[-2:]) < 2))


def shifted_down(x: Tensor) -> Tensor:
    """Each row takes the place of the next; zeros above: then a pixel sees the rows above it alone."""
    return F.pad(x, (0, 0, 1, 0))[..., :-1, :]
