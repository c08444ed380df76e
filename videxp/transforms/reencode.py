"""Compression by a real encoder at a stated quality, in the data worker: what networks that clean compressed video
learn from, and are tested on.

Legend: T frames, H, W pixels, C = 3.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from videxp.core.errors import BadRequest
from videxp.video.encoder import compress, quality_options


class Reencode:
    """uint8 [T,H,W,C] and a generator -> uint8 [T,H,W,C]: the same frames in the same order, after a codec.

    qp, crf: one of the two; a number, or [least, greatest], of which each clip draws a whole one. `qp` is constant, of
    P-frames; H.264's and HEVC's go from 0 to 51, MPEG-4's from 1 to 31. A crop is encoded as a video of its own.
    """

    def __init__(
        self,
        *,
        codec: Literal["libx264", "libx265", "mpeg4"] = "libx264",
        qp: int | Sequence[int] | None = None,
        crf: int | Sequence[int] | None = None,
    ) -> None:
        if (qp is None) == (crf is None):
            raise BadRequest(f"Reencode: qp={qp} crf={crf}: give one of the two")
        self.codec = codec
        self.quality, given = ("qp", qp) if qp is not None else ("crf", crf)
        self.limits = [given] if isinstance(given, int) else list(given or ())
        if len(self.limits) > 2 or not self.limits or self.limits[0] > self.limits[-1]:
            raise BadRequest(f"Reencode: {self.quality}={self.limits}: a number, or [least, greatest]")
        for value in self.limits:
            quality_options(codec, **{self.quality: value})

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        least, greatest = self.limits[0], self.limits[-1]
        value = least if least == greatest else int(rng.integers(least, greatest + 1))
        return compress(clip, codec=self.codec, **{self.quality: value})

    def __str__(self) -> str:
        return f"{self.codec}, {self.quality.upper()} {' to '.join(str(limit) for limit in self.limits)}"
