"""A camera that is held askew, or not held still: Schiappa et al. 2023. What comes in from outside is black.

Legend: clips are uint8 [T,H,W,C].
"""

import numpy as np
from PIL import Image


def translate(clip: np.ndarray, rng: np.random.Generator, *, pixels: int) -> np.ndarray:
    """Moved to the left and up by less than `pixels` each, all frames alike."""
    down, right = rng.integers(0, pixels, size=2)
    moved = np.zeros_like(clip)
    height, width = max(clip.shape[1] - down, 0), max(clip.shape[2] - right, 0)
    moved[:, :height, :width] = clip[:, clip.shape[1] - height :, clip.shape[2] - width :]
    return moved


def static_rotate(clip: np.ndarray, rng: np.random.Generator, *, degrees: float) -> np.ndarray:
    """Turned counterclockwise about the middle, all frames alike."""
    return _turned(clip, np.full(len(clip), degrees))


def rotate(clip: np.ndarray, rng: np.random.Generator, *, degrees: int) -> np.ndarray:
    """Each frame turned by another whole number of degrees, from -degrees to degrees."""
    return _turned(clip, rng.integers(-degrees, degrees + 1, size=len(clip)))


def _turned(clip: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(frame).rotate(float(d))) for frame, d in zip(clip, degrees)])
