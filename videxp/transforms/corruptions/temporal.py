"""Frames shown at other times than their own. The number of frames stays: what is lost is bridged by the frame before.

Schiappa et al. 2023, section 3 and `video_perturb.py`, whose networks get the fewer frames that are left; here they are
repeated, so that a network of any length can be tested. Yi et al. 2021 (frame rate).

Legend: clips are uint8 [T,H,W,C].
"""

import numpy as np


def sampling(clip: np.ndarray, rng: np.random.Generator, *, every: int) -> np.ndarray:
    """Each `every`-th frame alone, each shown as many times."""
    times = np.arange(len(clip))
    return clip[times // every * every]


def reverse_sampling(clip: np.ndarray, rng: np.random.Generator, *, every: int) -> np.ndarray:
    """The same, backwards."""
    return np.ascontiguousarray(sampling(clip, rng, every=every)[::-1])


def jumble(clip: np.ndarray, rng: np.random.Generator, *, segment: int) -> np.ndarray:
    """Frames in random order within each `segment` of so many."""
    times = np.arange(len(clip))
    return clip[np.concatenate([rng.permutation(part) for part in _segments(times, segment)])]


def box_jumble(clip: np.ndarray, rng: np.random.Generator, *, segment: int) -> np.ndarray:
    """Segments of so many frames in random order, each as it was."""
    parts = _segments(np.arange(len(clip)), segment)
    return clip[np.concatenate([parts[place] for place in rng.permutation(len(parts))])]


def freeze(clip: np.ndarray, rng: np.random.Generator, *, kept: float, least: int) -> np.ndarray:
    """This share of the frames, `least` of them or more, at random; each is held until the next, the first of them
    from the beginning."""
    count = min(len(clip), max(int(kept * len(clip)), least))
    held = np.sort(rng.choice(len(clip), size=count, replace=False))
    return clip[held[np.maximum(np.searchsorted(held, np.arange(len(clip)), side="right") - 1, 0)]]


def frame_drop(clip: np.ndarray, rng: np.random.Generator, *, share: float) -> np.ndarray:
    """Each frame but the first is lost with this chance; the one before it is held."""
    times = np.arange(len(clip))
    arrived = rng.random(len(clip)) >= share
    return clip[np.maximum.accumulate(np.where(arrived, times, 0))]


def frame_rate(clip: np.ndarray, rng: np.random.Generator, *, fps: float, rate: float) -> np.ndarray:
    """As if taken at `rate` frames per second: each is held until the next. A clip of fewer stays as it is."""
    if rate >= fps:
        return clip.copy()
    times = np.arange(len(clip)) / fps
    taken = np.floor(times * rate + 1e-9) / rate
    return clip[np.floor(taken * fps + 1e-9).astype(int)]


def reversal(clip: np.ndarray, rng: np.random.Generator, *, segment: int | None) -> np.ndarray:
    """Each segment of so many frames backwards; None: all of the clip."""
    times = np.arange(len(clip))
    return clip[np.concatenate([part[::-1] for part in _segments(times, segment or len(clip))])]


def _segments(times: np.ndarray, size: int) -> list[np.ndarray]:
    """Of `size` each; the last one may be shorter."""
    return [times[start : start + size] for start in range(0, len(times), size)]
