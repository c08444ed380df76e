"""Frames shown at other times than their own. The number of frames stays: what is lost is bridged by the frame before.

Schiappa et al. 2023, section 3, whose code gives networks the fewer frames that are left; here they are repeated, so
that a network of any length can be tested.

Legend: clips are uint8 [T,H,W,C].
"""

import numpy as np


def sampling(clip: np.ndarray, rng: np.random.Generator, *, every: int) -> np.ndarray:
    """Each `every`-th frame alone, each shown as many times."""
    times = np.arange(len(clip))
    return clip[times // every * every]
