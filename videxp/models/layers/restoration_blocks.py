"""What restoration networks share: residual blocks, the way up to the output's size, padding, windows of frames.

N frames (of all clips), D features, h x w the input's pixels. Activations are leaky ReLUs of slope 0.1.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scale = Literal[1, 2, 4]


class ResidualBlock(nn.Module):
    """x + conv2(relu(conv1(x))), without normalization (EDSR, Lim et al. 2017): [N,D,h,w] -> [N,D,h,w].

    Starts near the identity: He initialization times 0.1 (Wang et al. 2018, ESRGAN, section 3.1).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        for conv in (self.conv1, self.conv2):
            initialize_small(conv)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


def initialize_small(conv: nn.Conv2d) -> None:
    """He initialization times 0.1, bias zero."""
    nn.init.kaiming_normal_(conv.weight)
    with torch.no_grad():
        conv.weight.mul_(0.1)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def residual_chain(width: int, depth: int) -> nn.Sequential:
    """`depth` residual blocks."""
    return nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))


def residual_trunk(d_in: int, d_out: int, depth: int) -> nn.Sequential:
    """A convolution to `d_out` features, then `depth` residual blocks."""
    return nn.Sequential(
        nn.Conv2d(d_in, d_out, 3, padding=1), nn.LeakyReLU(0.1, inplace=True), residual_chain(d_out, depth)
    )


def quarter_size(d_in: int, d_out: int) -> nn.Sequential:
    """Two strided convolutions: [N,d_in,4h,4w] -> [N,d_out,h,w]; the way in where input and output have one size."""
    return nn.Sequential(
        nn.Conv2d(d_in, d_out, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(d_out, d_out, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
    )


def feature_multiple(scale: int) -> int:
    """Features of a network with scale 1 are a quarter as high and wide as its input; else they are of its size."""
    return 4 if scale == 1 else 1


class Enlarge(nn.Module):
    """Features [N,D,h,w] -> RGB [N,3,factor*h,factor*w] by sub-pixel convolutions (Shi et al. 2016), x2 each.

    The last layers are 64 wide in all papers, whatever D is; less only where D is less.
    """

    def __init__(self, width: int, *, factor: Scale) -> None:
        super().__init__()
        last = min(64, width)
        widths = {1: [width], 2: [width, last], 4: [width, width, last]}[factor]
        for i, (d_in, d_out) in enumerate(pairwise(widths), start=1):
            self.add_module(f"upconv{i}", nn.Conv2d(d_in, 4 * d_out, 3, padding=1))
        self.steps = len(widths) - 1
        self.conv_hr = nn.Conv2d(widths[-1], last, 3, padding=1)
        self.conv_last = nn.Conv2d(last, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        for i in range(1, self.steps + 1):
            upconv = self.get_submodule(f"upconv{i}")
            features = F.leaky_relu(F.pixel_shuffle(upconv(features), 2), 0.1)
        return self.conv_last(F.leaky_relu(self.conv_hr(features), 0.1))


def enlarge_bilinear(frames: Tensor, scale: int) -> Tensor:
    """[N,C,h,w] -> [N,C,scale*h,scale*w]: what the networks add their detail to."""
    return frames if scale == 1 else F.interpolate(frames, scale_factor=scale, mode="bilinear", align_corners=False)


def pad_to_multiple(video: Tensor, multiple: int) -> Tensor:
    """[B,T,C,h,w] -> the same with h and w raised to a multiple, at the bottom and right.

    Mirrored at the edge, as the papers' code does; where the frame is too small for that, the edge is repeated.
    """
    height, width = video.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    is_free = not (isinstance(height, int) and isinstance(width, int))  # in an exported graph, which pads what is due
    if not is_free and bottom == right == 0:
        return video
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(video.flatten(0, 1), (0, right, 0, bottom), mode=mode).unflatten(0, video.shape[:2])


def windows(num_frames: int, radius: int) -> list[list[int]]:
    """For each frame the 2*radius+1 frames around it, mirrored at the ends.

    `windows(4, 2)[0] == [2, 1, 0, 1, 2]`. A clip of one frame repeats it. (The test code of EDVR's authors takes frames
    4 and 3 in place of 2 and 1; here an output depends on frames within `radius` alone, so that long videos can be
    restored piece by piece.)
    """
    period = max(1, 2 * (num_frames - 1))
    folded = [[(i + step) % period for step in range(-radius, radius + 1)] for i in range(num_frames)]
    return [[min(i, period - i) if num_frames > 1 else 0 for i in window] for window in folded]
