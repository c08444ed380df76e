"""The two degradations of super-resolution papers: bicubic (BI) and blur (BD).

Legend: N clips, T frames, C channels, H, W pixels; h = H / scale, w = W / scale.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, Gt
from videxp.transforms.restoration import Degraded

Border = Literal["symmetric", "reflect"]


class BicubicDown(nn.Module):
    """BI: MATLAB's `imresize(frame, 1/scale)`: antialiased bicubic (Keys, a = -0.5), frames mirrored at their border.

    Pillow's and torch's is the same filter but for the border, where they leave weights out: the outermost two pixels
    differ. round: to the 256 levels of an image file, as the published inputs are.
    """

    def __init__(self, *, scale: Annotated[int, Ge(1)] = 4, round: bool = True) -> None:
        super().__init__()
        self.scale = scale
        self.round = round

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator] = ()) -> Degraded:
        """clip: float [N,T,C,H,W] in [0,1] -> video float [N,T,C,h,w] in [0,1]. Nothing is random.

        Raises ValueError if scale does not divide H and W.
        """
        size = downscaled_size(clip, scale=self.scale)
        margin = 2 * self.scale  # the kernel reaches two output pixels to either side
        padded = mirror_pad(mirror_pad(clip.flatten(0, 1), -2, margin), -1, margin)
        down = F.interpolate(padded, (size[0] + 4, size[1] + 4), mode="bicubic", antialias=True)[..., 2:-2, 2:-2]
        return Degraded(_finished(down, round=self.round).unflatten(0, clip.shape[:2]), clip)

    def __str__(self) -> str:
        return f"bicubic x{self.scale} (BI)"


class BlurDown(nn.Module):
    """BD: a Gaussian blur, then every scale-th pixel, beginning with the first (Jo et al., DUF, 2018).

    sigma: of the Gaussian, in pixels; kernel_size: pixels, odd. 1.6 and 13 are what papers take for x4.
    """

    def __init__(
        self,
        *,
        scale: Annotated[int, Ge(1)] = 4,
        sigma: Annotated[float, Gt(0)] = 1.6,
        kernel_size: Annotated[int, Ge(1)] = 13,
        round: bool = True,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} has no middle: make it odd")
        self.scale = scale
        self.sigma = sigma
        self.kernel_size = kernel_size
        self.round = round

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator] = ()) -> Degraded:
        """clip: float [N,T,C,H,W] in [0,1] -> video float [N,T,C,h,w] in [0,1]. Nothing is random.

        Raises ValueError if scale does not divide H and W.
        """
        downscaled_size(clip, scale=self.scale)
        taps = gaussian_taps(self.kernel_size, self.sigma)
        down = clip
        for axis in (-2, -1):
            down = strided_filter(down, taps, axis, stride=self.scale)
        return Degraded(_finished(down, round=self.round), clip)

    def __str__(self) -> str:
        return f"Gaussian blur of sigma {self.sigma:g}, then every {self.scale}th pixel (BD)"


def _finished(clip: Tensor, *, round: bool) -> Tensor:
    return (clip * 255).round_().clamp_(0, 255).div_(255) if round else clip.clamp(0, 1)


def downscaled_size(clip: Tensor, *, scale: int) -> tuple[int, int]:
    """(h, w). Raises ValueError if scale does not divide H and W."""
    height, width = clip.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"frames of {width}x{height} cannot be made {scale} times smaller: set dataset.scale={scale}")
    return height // scale, width // scale


@lru_cache
def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """`size` weights of sum 1, the largest in the middle."""
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return tuple((weights / weights.sum()).tolist())


def strided_filter(clip: Tensor, taps: tuple[float, ...], axis: int, *, stride: int) -> Tensor:
    """An odd number of taps about every stride-th pixel of an axis, from the first: [..,n,..] -> [..,n/stride,..].

    A sum of slices: a convolution of one channel takes twice as long on a CPU.
    """
    size, reach = clip.shape[axis], len(taps) // 2
    padded = mirror_pad(clip, axis, reach, border="reflect").movedim(axis, 0)
    total = padded[:size:stride] * taps[0]
    for k, tap in enumerate(taps[1:], start=1):
        total.add_(padded[k : k + size : stride], alpha=tap)
    return total.movedim(0, axis)


def mirror_pad(clip: Tensor, axis: int, margin: int, *, border: Border = "symmetric") -> Tensor:
    """`margin` pixels of the mirror image on both sides of an axis. symmetric: b a | a b c. reflect: c b | a b c."""
    size = clip.shape[axis]
    positions = np.concatenate([np.arange(-margin, 0), np.arange(size, size + margin)])
    turn = 2 * size if border == "symmetric" else max(1, 2 * size - 2)
    folded = positions % turn
    mirrored = turn - 1 - folded if border == "symmetric" else turn - folded
    source = torch.from_numpy(np.where(folded < size, folded, mirrored)).to(clip.device)
    first, last = (clip.index_select(axis, part) for part in source.split(margin))
    return torch.cat([first, clip, last], dim=axis)
