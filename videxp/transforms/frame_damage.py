"""What happens to single frames in the real-world degradation, and how its parameters are drawn: pure functions.

Legend: H, W pixels, C = 3 channels, K = height = width of a kernel. Frames are float32 [H,W,C] about [0,255].
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

Frames = list[np.ndarray]
Range = Sequence[float]
MODES: dict[str, dict[str, Any]] = {
    "bilinear": {"align_corners": False},
    "bicubic": {"align_corners": False},
    "area": {},
}


def walk(limits: Range, step: float, count: int, rng: np.random.Generator, *, start: float | None = None) -> np.ndarray:
    """float64 [count]: uniform in limits (or `start`), then steps from [-step, step], kept within the limits."""
    low, high = limits
    values = [rng.uniform(low, high) if start is None else start]
    for move in rng.uniform(-step, step, count - 1):
        values.append(min(max(values[-1] + move, low), high))
    return np.array(values)


def chosen(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """One of the names, by weight."""
    shares = np.array(list(weights.values()), dtype=np.float64)
    return str(rng.choice(list(weights), p=shares / shares.sum()))


def filtered(frame: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """[H,W,C] correlated with [K,K]; mirrored at the border as far as the frame reaches."""
    reach = len(kernel) // 2
    padded = np.pad(
        frame, ((reach, reach), (reach, reach), (0, 0)), mode="reflect" if min(frame.shape[:2]) > 1 else "edge"
    )
    planes = torch.from_numpy(padded).permute(2, 0, 1)[:, None]
    weight = torch.from_numpy(kernel.astype(np.float32))[None, None]
    return F.conv2d(planes, weight)[:, 0].permute(1, 2, 0).numpy()


def resized(frame: np.ndarray, size: tuple[int, ...], mode: str) -> np.ndarray:
    """[H,W,C] -> [height,width,C], without antialiasing, as OpenCV does it."""
    if frame.shape[:2] == tuple(size):
        return frame
    planes = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None]
    return F.interpolate(planes, size=tuple(size), mode=mode, **MODES[mode])[0].permute(1, 2, 0).numpy()


def gaussian_noise(frame: np.ndarray, rng: np.random.Generator, *, grey: bool) -> np.ndarray:
    """float32, of standard deviation 1; grey: the same in all channels, [H,W,1]."""
    return rng.standard_normal((*frame.shape[:2], 1 if grey else frame.shape[2]), dtype=np.float32)


def poisson_noise(frame: np.ndarray, rng: np.random.Generator, *, grey: bool) -> np.ndarray:
    """float32: what counting photons adds where the frame has v levels of brightness, v as a power of 2 above it."""
    light = np.clip(np.rint(frame), 0, 255)
    if grey:
        light = np.rint(light @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32))
    levels = 2.0 ** np.ceil(np.log2(len(np.unique(light))))
    return (rng.poisson(light * levels) / levels - light).astype(np.float32)


def through_jpeg(frame: np.ndarray, *, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(as_uint8([frame])[0]).save(file, format="JPEG", quality=quality)
    return np.asarray(Image.open(file), dtype=np.float32)


def as_uint8(frames: Frames) -> np.ndarray:
    """Frames of one size -> uint8 [T,H,W,C]."""
    return np.clip(np.rint(np.stack(frames)), 0, 255).astype(np.uint8)


@contextmanager
def one_thread() -> Iterator[None]:
    """As in a data worker: torch's convolutions round in another way with another number of threads, and an encoder
    makes much of little."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
