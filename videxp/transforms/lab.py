"""sRGB and CIELAB (D65, 2 degrees), with the constants of scikit-image.

Colors are in the last dimension: sRGB in [0,1]; L in [0,100], a and b about [-110,110].
"""

import torch
from torch import Tensor

_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_FROM_XYZ_T = torch.linalg.inv(torch.tensor(_XYZ, dtype=torch.float64, device="cpu")).T.tolist()  # ONNX has no inverse
_WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degrees
LUMINANCE = _XYZ[1]
"""Weights of linear red, green and blue in Y, which alone makes L."""


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """float [...,3] -> [...,3]: L, a, b."""
    x, y, z = (rgb_to_linear(rgb) @ rgb.new_tensor(_XYZ).T / rgb.new_tensor(_WHITE)).unbind(-1)
    x, y, z = (torch.where(v > 0.008856, v.clamp(min=0.008856) ** (1 / 3), 7.787 * v + 16 / 116) for v in (x, y, z))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """`rgb_to_lab` undone; what sRGB does not have is cut to [0,1], which changes L."""
    return linear_to_rgb(lab_to_linear(lab)).clamp(0, 1)


def lab_to_rgb_of_same_lightness(lab: Tensor) -> Tensor:
    """As `lab_to_rgb`, but what sRGB does not have loses chroma until sRGB has it: L stays as it is, within 1e-4.

    L depends on luminance alone, which is linear in linear RGB: there, a color moves towards the grey of its luminance.
    """
    linear = lab_to_linear(lab)
    grey = (linear @ linear.new_tensor(LUMINANCE)).clamp(0, 1).unsqueeze(-1)
    excess = linear - grey
    room = torch.where(excess > 0, 1 - grey, grey) / excess.abs().clamp(min=1e-6)
    return linear_to_rgb(grey + excess * room.amin(-1, keepdim=True).clamp(max=1)).clamp(0, 1)


def lab_to_linear(lab: Tensor) -> Tensor:
    """float [...,3] -> linear RGB, beyond [0,1] where sRGB has no such color."""
    lightness, a, b = lab.unbind(-1)
    y = (lightness + 16) / 116
    f = torch.stack([a / 500 + y, y, (y - b / 200).clamp(min=0)], dim=-1)
    xyz = torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * lab.new_tensor(_WHITE)
    return xyz @ lab.new_tensor(_FROM_XYZ_T)


# The powers are of clamped values: torch.where takes others, but at 0 their gradient is infinite, and 0 * inf is NaN.
def rgb_to_linear(rgb: Tensor) -> Tensor:
    """Each value of sRGB by itself, without its gamma."""
    return torch.where(rgb > 0.04045, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)


def linear_to_rgb(linear: Tensor) -> Tensor:
    """`rgb_to_linear` undone."""
    return torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear)
