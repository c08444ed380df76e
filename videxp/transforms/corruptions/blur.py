"""Blur: of a lens out of focus, of a camera that moves or zooms while the shutter is open, of a shutter open for long.

Hendrycks & Dietterich 2019 (ImageNet-C), appendix B; the last Yi et al. 2021. A camera does the same in all frames of a
clip. Lengths are in pixels of frames of 224; smaller frames suffer more.

Legend: clips are uint8 [T,H,W,C]; K = height = width of a kernel, odd.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.transforms.corruptions.corruption import as_float, as_uint8


def gaussian_blur(clip: np.ndarray, rng: np.random.Generator, *, sigma: float) -> np.ndarray:
    """A Gaussian cut off after 4 sigma, the border repeated."""
    kernel = gaussian_kernel(sigma, reach=int(4 * sigma + 0.5))
    planes = _planes(clip)
    for weight in (kernel[:, None], kernel[None, :]):
        planes = _filtered(planes, weight, mode="replicate")
    return _clip(planes, len(clip))


def defocus_blur(clip: np.ndarray, rng: np.random.Generator, *, radius: int, alias_blur: float) -> np.ndarray:
    """A disk of `radius` pixels, whose edge a Gaussian of sigma `alias_blur` softens; mirrored at the border."""
    return _clip(_filtered(_planes(clip), disk(radius, alias_blur=alias_blur), mode="reflect"), len(clip))


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
    angle = np.deg2rad(rng.uniform(-45, 45))
    return as_uint8(smear(as_float(clip), radius=radius, sigma=sigma, angle=float(angle)))


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


def zoom_blur(clip: np.ndarray, rng: np.random.Generator, *, top: float, step: float) -> np.ndarray:
    """The mean of the clip and of its middle enlarged by 1, 1 + step, ... up to `top`, bilinearly."""
    factors = np.arange(1, top, step)
    planes = _planes(clip)
    total = planes.clone()
    for factor in factors:
        total += _zoomed(planes, float(factor))
    return _clip(total / (len(factors) + 1), len(clip))


def _zoomed(planes: Tensor, factor: float) -> Tensor:
    """The middle of [N,1,H,W], enlarged to the same size."""
    size = planes.shape[-2:]
    cut = [math.ceil(side / factor) for side in size]
    top, left = ((side - part) // 2 for side, part in zip(size, cut))
    middle = planes[..., top : top + cut[0], left : left + cut[1]]
    larger = F.interpolate(middle, [round(part * factor) for part in cut], mode="bilinear", align_corners=True)
    top, left = ((has - side) // 2 for has, side in zip(larger.shape[-2:], size))
    return larger[..., top : top + size[0], left : left + size[1]]


def frame_blur(clip: np.ndarray, rng: np.random.Generator, *, half_window: int) -> np.ndarray:
    """Each frame t the mean of those from t - half_window to t + half_window - 1, at the ends of those that there are:
    a shutter that is open for many frames (Yi et al. 2021, "motion blur")."""
    sums = np.concatenate([np.zeros_like(clip[:1], dtype=np.int64), np.cumsum(clip, axis=0, dtype=np.int64)])
    times = np.arange(len(clip))
    first, end = np.maximum(times - half_window, 0), np.minimum(times + half_window, len(clip))
    counts = (end - first)[:, None, None, None]
    return np.rint((sums[end] - sums[first]) / counts).astype(np.uint8)


def _filtered(planes: Tensor, kernel: np.ndarray, *, mode: str) -> Tensor:
    """[N,1,H,W] with a symmetric kernel [K,L], of the same size."""
    height, width = kernel.shape
    padded = _padded(planes, (width // 2, width // 2, height // 2, height // 2), mode=mode)
    weight = torch.from_numpy(kernel.astype(np.float32))
    if min(kernel.shape) == 1:
        return F.conv2d(padded, weight[None, None])
    size = padded.shape[-2:]  # by FFT: 17 x 17 weights and more
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(weight, s=size)
    return torch.fft.irfft2(spectrum, s=size)[..., height - 1 :, width - 1 :]


def _padded(planes: Tensor, sides: tuple[int, int, int, int], *, mode: str) -> Tensor:
    """Mirrored as often as it takes: a frame may be smaller than a kernel's half."""
    if mode == "replicate":
        return F.pad(planes, sides, mode=mode)
    left, right, top, bottom = sides
    rows, columns = _mirrored(planes.shape[-2], top, bottom), _mirrored(planes.shape[-1], left, right)
    return planes[..., rows, :][..., columns]


def _mirrored(length: int, before: int, after: int) -> Tensor:
    """Where each place of a mirrored side comes from, the outermost pixel not repeated: int64 [before+length+after]."""
    period = max(2 * (length - 1), 1)
    place = torch.arange(-before, length + after) % period
    return torch.minimum(place, period - place) if length > 1 else torch.zeros_like(place)


def _planes(clip: np.ndarray) -> Tensor:
    """uint8 [T,H,W,C] -> float [T*C,1,H,W] in [0,1]."""
    return torch.from_numpy(as_float(clip)).permute(0, 3, 1, 2).flatten(0, 1)[:, None].contiguous()


def _clip(planes: Tensor, frames: int) -> np.ndarray:
    """The reverse, rounded."""
    return as_uint8(planes[:, 0].unflatten(0, (frames, -1)).permute(0, 2, 3, 1).numpy())
