"""Light and color: Hendrycks & Dietterich 2019 (ImageNet-C), whose HSV is worked out here without its hue.

Legend: clips are uint8 [T,H,W,C]; values x in [0,1]. V is the greatest of a pixel's three values, S = 1 - least / V.
"""

import numpy as np

from videxp.transforms.corruptions.corruption import as_float, as_uint8, in_pieces


@in_pieces
def contrast(clip: np.ndarray, rng: np.random.Generator, *, factor: float) -> np.ndarray:
    """(x - m) factor + m, m the mean of each frame and channel."""
    return as_uint8(scale_contrast(as_float(clip), factor))


def scale_contrast(values: np.ndarray, factor: float) -> np.ndarray:
    """float [T,H,W,C] -> the same about each frame's mean color."""
    mean = values.mean(axis=(1, 2), keepdims=True)
    return (values - mean) * np.float32(factor) + mean


@in_pieces
def brightness(clip: np.ndarray, rng: np.random.Generator, *, added: float) -> np.ndarray:
    """V + added, up to 1; hue and saturation stay: all three values are multiplied alike, and black becomes grey."""
    values = as_float(clip)
    value = values.max(axis=-1, keepdims=True)
    brighter = np.minimum(value + np.float32(added), 1)
    return as_uint8(np.where(value > 0, values * (brighter / np.maximum(value, 1e-6)), brighter))


@in_pieces
def saturate(clip: np.ndarray, rng: np.random.Generator, *, scale: float, shift: float) -> np.ndarray:
    """S scale + shift, from 0 to 1; V and hue stay. What is grey has hue 0: a shift makes it red."""
    values = as_float(clip)
    value = values.max(axis=-1, keepdims=True)
    below = value - values  # V - x = V S h, where h in [0,1] is the hue's
    spread = below.max(axis=-1, keepdims=True)
    saturation = np.clip(spread / np.maximum(value, 1e-6) * np.float32(scale) + np.float32(shift), 0, 1)
    hue = np.where(spread > 0, below / np.maximum(spread, 1e-6), np.array([0, 1, 1], dtype=np.float32))
    return as_uint8(value * (1 - saturation * hue))


def flash(clip: np.ndarray, rng: np.random.Generator, *, fps: float, per_second: float, strength: float) -> np.ndarray:
    """A camera's flash goes off: the frame goes towards white by `strength`, the one after it by half as much.

    per_second: expected flashes per second of video (Poisson); each clip has one at least.
    """
    count = max(1, rng.poisson(per_second * len(clip) / fps))
    light = np.zeros(len(clip) + 1, dtype=np.float32)
    for frame in rng.integers(len(clip), size=count):
        light[frame : frame + 2] = np.maximum(light[frame : frame + 2], (strength, strength / 2))
    lit = clip.copy()
    for frame in np.flatnonzero(light[:-1]):
        values = as_float(clip[frame])
        lit[frame] = as_uint8(values + (1 - values) * light[frame])
    return lit
