"""A corruption at one severity as the samples of a test meet it: drawn from (seed, sample, corruption, severity, which
of the sample's clips), so the same in any batch and for any number of workers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from videxp.data import VideoDataModule
from videxp.data.samples import BatchChange
from videxp.transforms.corruptions.corruption import Corruption, rng_of


@dataclass(frozen=True)
class OneSeverity:
    """A `Corrupter` of the data module. corruption: None: clips as they are, with which all others are compared."""

    corruption: Corruption | None
    severity: int
    seed: int

    def corrupt(self, clip: np.ndarray, *, epoch: int, index: int, number: int, fps: float) -> np.ndarray:
        """The `number`-th clip of sample `index`, uint8 [T,H,W,C], which plays at `fps`; alike in each epoch."""
        if self.corruption is None:
            return clip
        rng = rng_of(self.seed, index, self.corruption.name, self.severity)
        if number:
            rng = rng.spawn(number)[-1]
        return self.corruption.corrupt(clip, severity=self.severity, rng=rng, fps=fps)


@contextmanager
def changed(
    data: VideoDataModule, corrupting: OneSeverity | None, *, attack: BatchChange | None = None
) -> Iterator[None]:
    """Meanwhile, the test meets its clips corrupted and its batches attacked."""
    data.corrupt_test(corrupting)
    data.attack = attack
    try:
        yield
    finally:
        data.corrupt_test(None)
        data.attack = None
