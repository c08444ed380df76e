"""Point spread functions of the real-world degradation: Gaussian, generalised Gaussian, plateau and sinc.

Wang et al., Real-ESRGAN, 2021, section 3. Legend: K = height = width of a kernel, odd; every kernel sums to 1.
"""

import numpy as np
import torch

from videxp.core.errors import BadRequest

KINDS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc")


def blur_kernel(
    kind: str, size: int, *, sigma_x: float, sigma_y: float, angle: float, beta: float, omega: float
) -> np.ndarray:
    """float64 [K,K]. sigma in pixels, along axes turned by `angle` radians (iso: sigma_x in all directions).

    beta: shape of the generalised Gaussian exp(-d^beta / 2) and of the plateau 1 / (1 + d^beta), d the squared
    distance in sigmas; 1 is the Gaussian of the first. omega: cut-off frequency of the sinc, radians per pixel.
    Raises BadRequest for an unknown kind.
    """
    if kind not in KINDS:
        raise BadRequest(f"blur: unknown kind {kind!r}: one of {', '.join(KINDS)}")
    if kind == "sinc":
        return _normalized(circular_low_pass(size, omega=omega))
    if kind.endswith("_iso") or kind == "iso":
        sigma_y, angle = sigma_x, 0.0
    squared = squared_distance(size, sigma_x=sigma_x, sigma_y=sigma_y, angle=angle)
    if kind.startswith("plateau"):
        return _normalized(1 / (1 + squared**beta))
    return _normalized(np.exp(-0.5 * squared ** (beta if kind.startswith("generalized") else 1.0)))


def squared_distance(size: int, *, sigma_x: float, sigma_y: float, angle: float) -> np.ndarray:
    """Squared Mahalanobis distance of each pixel from the middle, [K,K]."""
    y, x = np.mgrid[:size, :size] - size // 2
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    return (along / sigma_x) ** 2 + (across / sigma_y) ** 2


def circular_low_pass(size: int, *, omega: float) -> np.ndarray:
    """omega J1(omega r) / (2 pi r), whose limit at r = 0 is omega^2 / (4 pi): [K,K]. It rings, as sharpening does."""
    y, x = np.mgrid[:size, :size] - size // 2
    radius = np.hypot(x, y)
    radius[size // 2, size // 2] = 1.0
    bessel = torch.special.bessel_j1(torch.from_numpy(omega * radius)).numpy()
    kernel = omega * bessel / (2 * np.pi * radius)
    kernel[size // 2, size // 2] = omega**2 / (4 * np.pi)
    return kernel


def _normalized(kernel: np.ndarray) -> np.ndarray:
    return kernel / kernel.sum()
