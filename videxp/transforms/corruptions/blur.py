"""Blur: of a lens out of focus, of a camera that moves or zooms while the shutter is open, of a shutter open for long.

Hendrycks & Dietterich 2019 (ImageNet-C), appendix B; the last Yi et al. 2021. A camera does the same in all frames of a
clip. Lengths are in pixels of frames of 224; smaller frames suffer more.

Legend: clips are uint8 [T,H,W,C]; K = height = width of a kernel, odd.
"""

import math
from typing import Literal

import numpy as np

from videxp.transforms.corruptions.corruption import as_float, as_uint8, in_pieces


@in_pieces
def gaussian_blur(clip: np.ndarray, rng: np.random.Generator, *, sigma: float) -> np.ndarray:
    """A Gaussian cut off after 4 sigma, the border repeated."""
    weights = gaussian_kernel(sigma, reach=int(4 * sigma + 0.5))
    return as_uint8(filtered(as_float(clip), np.outer(weights, weights), border="edge"))


@in_pieces
def defocus_blur(clip: np.ndarray, rng: np.random.Generator, *, radius: int, alias_blur: float) -> np.ndarray:
    """A disk of `radius` pixels, whose edge a Gaussian of sigma `alias_blur` softens; mirrored at the border."""
    return as_uint8(filtered(as_float(clip), disk(radius, alias_blur=alias_blur), border="reflect"))


def filtered(values: np.ndarray, kernel: np.ndarray, *, border: Literal["edge", "reflect"]) -> np.ndarray:
    """float [T,H,W,C] with a symmetric kernel [K,K], by FFT: kernels are large."""
    reach = len(kernel) // 2
    padded = np.pad(values, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode=border)
    size = padded.shape[1:3]
    spectrum = np.fft.rfft2(padded, axes=(1, 2)) * np.fft.rfft2(kernel, s=size)[None, :, :, None]
    return np.fft.irfft2(spectrum, s=size, axes=(1, 2))[:, 2 * reach :, 2 * reach :]


def disk(radius: int, *, alias_blur: float) -> np.ndarray:
    """float64 [K,K]. K: 17 up to a radius of 8, then 2 radius + 1, as in ImageNet-C, whose softened disk is mirrored at
    its edge and so has a sum of 1.01 where it touches that."""
    reach = max(8, radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = (x**2 + y**2 <= radius**2).astype(np.float64)
    soft = gaussian_kernel(alias_blur, reach=1 if radius <= 8 else 2)
    padded = np.pad(inside / inside.sum(), len(soft) // 2, mode="reflect")
    rows = np.apply_along_axis(np.convolve, 0, padded, soft, mode="valid")
    return np.apply_along_axis(np.convolve, 1, rows, soft, mode="valid")


def gaussian_kernel(sigma: float, *, reach: int) -> np.ndarray:
    """float64 [2 reach + 1] with sum 1."""
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


def motion_blur(clip: np.ndarray, rng: np.random.Generator, *, radius: int, sigma: float) -> np.ndarray:
    """The camera moves along a line, at an angle from -45 to 45 degrees, one for the clip: the mean of 2 radius + 1
    copies, each a pixel further and weighted by one side of a Gaussian of sigma; the border repeated."""
    return _smeared(clip, radius=radius, sigma=sigma, angle=float(np.deg2rad(rng.uniform(-45, 45))))


@in_pieces
def _smeared(clip: np.ndarray, *, radius: int, sigma: float, angle: float) -> np.ndarray:
    return as_uint8(smear(as_float(clip), radius=radius, sigma=sigma, angle=angle))


def smear(values: np.ndarray, *, radius: int, sigma: float, angle: float) -> np.ndarray:
    """float [T,H,W,C] along `angle` in radians."""
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2)).astype(np.float32)
    down, right = (-np.ceil(steps * part - 0.5).astype(int) for part in (math.sin(angle), math.cos(angle)))
    _, height, width, _ = values.shape
    blurred = np.zeros_like(values)
    for dy, dx, weight in zip(down, right, weights / weights.sum()):
        rows, columns = np.clip(np.arange(height) - dy, 0, height - 1), np.clip(np.arange(width) - dx, 0, width - 1)
        blurred += weight * values[:, rows][:, :, columns]
    return blurred


@in_pieces
def zoom_blur(clip: np.ndarray, rng: np.random.Generator, *, top: float, step: float) -> np.ndarray:
    """The mean of the clip and of its middle enlarged by 1, 1 + step, ... up to `top`, bilinearly."""
    values, factors = as_float(clip), np.arange(1, top, step)
    total = values.copy()
    for factor in factors:
        total += enlarged(values, float(factor))
    return as_uint8(total / (len(factors) + 1))


def enlarged(values: np.ndarray, factor: float) -> np.ndarray:
    """The middle of float [T,H,W,C], larger by `factor`, of the same size: bilinear, corner upon corner."""
    return _stretched(_stretched(values, factor, axis=1), factor, axis=2)


def _stretched(values: np.ndarray, factor: float, *, axis: int) -> np.ndarray:
    side = values.shape[axis]
    cut = math.ceil(side / factor)
    length = max(side, round(cut * factor))
    shown = np.arange(side) + (length - side) // 2
    place = (side - cut) // 2 + shown * (cut - 1) / max(length - 1, 1)
    below = np.minimum(place.astype(int), side - 1)
    shape = [1] * values.ndim
    shape[axis] = side
    weight = (place - below).astype(np.float32).reshape(shape)
    lower, upper = values.take(below, axis), values.take(np.minimum(below + 1, side - 1), axis)
    return lower + weight * (upper - lower)


def frame_blur(clip: np.ndarray, rng: np.random.Generator, *, half_window: int) -> np.ndarray:
    """Each frame t the mean of those from t - half_window to t + half_window - 1, at the ends of those that there are:
    a shutter that is open for many frames (Yi et al. 2021, "motion blur")."""
    blurred = np.empty_like(clip)
    total = clip[:half_window].sum(axis=0, dtype=np.int32)  # of the frames before the one that comes next
    for time in range(len(clip)):
        first, end = time - half_window, min(time + half_window, len(clip))
        blurred[time] = np.rint(total / (end - max(first, 0)))
        if end < len(clip):
            total += clip[end]
        if first >= 0:
            total -= clip[first]
    return blurred
