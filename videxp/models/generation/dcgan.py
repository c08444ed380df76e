"""Convolution stacks in the manner of DCGAN (Radford et al. 2016) that VGAN and MoCoGAN are built of.

Kernels of 4 and strides of 2, a norm after each but the first layer that sees pixels and the last. Widths double from
layer to layer up to eight times the first. Shapes: N images, D features, H, W; T frames.
"""

from typing import Literal

from torch import Tensor, nn

from videxp.models.gan import halvings

Norm = Literal["batch", "group"]
"""batch: as published. group: each clip by itself (one group of all channels), as a gradient penalty wants it, and so
that the gradients of several processes are those of one."""


def norm_layer(norm: Norm, width: int, *, dims: Literal[2, 3]) -> nn.Module:
    """Same number of parameters either way."""
    if norm == "group":
        return nn.GroupNorm(1, width)
    return nn.BatchNorm2d(width) if dims == 2 else nn.BatchNorm3d(width)


def widths(width: int, count: int) -> list[int]:
    """64, 5 -> [64, 128, 256, 512, 512]."""
    return [width * min(2**i, 8) for i in range(count)]


def frame_decoder(d_in: int, *, width: int, size: int, bias: bool, norm: Norm) -> nn.Sequential:
    """[N,d_in,1,1] -> [N,3,size,size] in [-1,1]; at 64x64: 4x4x512, 8x8x256, 16x16x128, 32x32x64."""
    base, doublings = halvings(size)
    *inner, last = reversed(widths(width, doublings))
    layers: list[nn.Module] = []
    for position, d_out in enumerate([*inner, last]):
        kernel, stride, padding = (4, 2, 1) if position else (base, 1, 0)
        layers += [nn.ConvTranspose2d(d_in, d_out, kernel, stride, padding, bias=bias)]
        layers += [norm_layer(norm, d_out, dims=2), nn.ReLU(inplace=True)]
        d_in = d_out
    return nn.Sequential(*layers, nn.ConvTranspose2d(d_in, 3, 4, 2, 1, bias=bias), nn.Tanh())


class Projection(nn.Module):
    """The class term of a judgement: features [B,D,...] averaged over all places, times the label's vector -> [B,1].

    Miyato & Koyama 2018, "cGANs with Projection Discriminator".
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(num_classes, width)

    def forward(self, features: Tensor, label: Tensor | None) -> Tensor:
        if label is None:
            raise ValueError("a class-conditional discriminator needs the labels")
        return (self.embed(label) * features.flatten(2).mean(dim=2)).sum(dim=1, keepdim=True)
