"""The colors of one clip given to another: mean and standard deviation in CIELAB (Reinhard et al. 2001, in that space).

Legend: RGB in the last dimension, sRGB in [0,1].
"""

from torch import Tensor

from videxp.transforms.lab import lab_to_rgb, rgb_to_lab


def transfer_colors(clip: Tensor, *, like: Tensor) -> Tensor:
    """The clip with the mean and standard deviation that `like` has in L, a and b: float [T,H,W,3] in [0,1] each."""
    return with_lab_moments(clip, *lab_moments(like))


def lab_moments(clip: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of L, a and b over all pixels: float [...,3] in [0,1] -> [3] each."""
    lab = rgb_to_lab(clip)
    dims = tuple(range(clip.ndim - 1))
    return lab.mean(dims), lab.std(dims, correction=0)


def with_lab_moments(clip: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The clip, float [...,3] in [0,1], with this mean and standard deviation of L, a and b over all pixels."""
    lab = rgb_to_lab(clip)
    dims = tuple(range(clip.ndim - 1))
    gain = std / lab.std(dims, correction=0).clamp(min=1e-6)
    return lab_to_rgb((lab - lab.mean(dims)) * gain + mean)
