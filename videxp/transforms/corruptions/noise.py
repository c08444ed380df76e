"""Noise, drawn anew for each pixel, channel and frame: Hendrycks & Dietterich 2019 (ImageNet-C), appendix B.

Legend: clips are uint8 [T,H,W,C]; strengths are of values in [0,1].
"""

import numpy as np

from videxp.transforms.corruptions.corruption import as_float, as_uint8, in_pieces


@in_pieces
def gaussian_noise(clip: np.ndarray, rng: np.random.Generator, *, sigma: float) -> np.ndarray:
    """x + sigma n, n standard normal: a sensor in low light."""
    return as_uint8(as_float(clip) + sigma * _normal(clip, rng))


@in_pieces
def shot_noise(clip: np.ndarray, rng: np.random.Generator, *, photons: float) -> np.ndarray:
    """Poisson(photons x) / photons: white is as many photons."""
    return as_uint8(rng.poisson(as_float(clip) * photons) / photons)


@in_pieces
def impulse_noise(clip: np.ndarray, rng: np.random.Generator, *, share: float) -> np.ndarray:
    """This share of the values becomes 0 or 255, equally likely: salt and pepper, each channel by itself."""
    draw = rng.random(clip.shape, dtype=np.float32)
    return np.where(draw < share, np.where(draw < share / 2, 0, 255), clip).astype(np.uint8)


@in_pieces
def speckle_noise(clip: np.ndarray, rng: np.random.Generator, *, sigma: float) -> np.ndarray:
    """x + x sigma n: more where it is bright."""
    values = as_float(clip)
    return as_uint8(values + values * sigma * _normal(clip, rng))


def _normal(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(clip.shape, dtype=np.float32)
