"""The colors of one clip given to another: mean and standard deviation in CIELAB (Reinhard et al. 2001, in that space).

Legend: RGB in the last dimension, sRGB in [0,1]; L in [0,100].
"""

import torch
from torch import Tensor

_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degrees


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """float [...,3] -> [...,3]: L, a, b."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    x, y, z = (linear @ rgb.new_tensor(_XYZ).T / rgb.new_tensor(_WHITE)).unbind(-1)
    x, y, z = (torch.where(v > 0.008856, v.clamp(min=0) ** (1 / 3), 7.787 * v + 16 / 116) for v in (x, y, z))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """`rgb_to_lab` undone; what sRGB does not have is cut to [0,1]."""
    lightness, a, b = lab.unbind(-1)
    y = (lightness + 16) / 116
    f = torch.stack([a / 500 + y, y, (y - b / 200).clamp(min=0)], dim=-1)
    xyz = torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * lab.new_tensor(_WHITE)
    linear = xyz @ torch.linalg.inv(torch.tensor(_XYZ, dtype=torch.float64)).to(lab).T
    rgb = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=0) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return rgb.clamp(0, 1)


def transfer_colors(clip: Tensor, *, like: Tensor) -> Tensor:
    """The clip with the mean and standard deviation that `like` has in L, a and b: float [T,H,W,3] in [0,1] each."""
    lab, wanted = rgb_to_lab(clip), rgb_to_lab(like)
    dims = tuple(range(clip.ndim - 1))
    gain = wanted.std(dims, correction=0) / lab.std(dims, correction=0).clamp(min=1e-6)
    return lab_to_rgb((lab - lab.mean(dims)) * gain + wanted.mean(dims))
