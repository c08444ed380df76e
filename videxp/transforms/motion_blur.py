"""Motion blur as an open shutter makes it: the mean of sharp frames that were taken one after the other.

Legend: N clips, T frames, C channels, H, W pixels.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt
from videxp.transforms.restoration import Degraded


class FrameAverage(nn.Module):
    """Each `every` sharp frames become one blurred frame, the mean of the `frames` in their middle; the one right in
    the middle is its target. So a clip of `every` * T frames gives T; what is left at its end is too few for another.

    gamma: of the curve between light and stored values: values ** gamma are averaged, then brought back. null: the
    stored values themselves. GoPro has both, `blur_gamma` (2.2) and `blur`. round: to 256 levels, as a file has them.
    every: null: `frames`; more: the shutter is closed in between.
    """

    def __init__(
        self,
        *,
        frames: Annotated[int, Ge(1)] = 7,
        every: Annotated[int, Ge(1)] | None = None,
        gamma: Annotated[float, Gt(0)] | None = 2.2,
        round: bool = True,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.every = every or frames
        self.gamma = gamma
        self.round = round
        for key, value in (("frames", frames), ("every", self.every)):
            if value % 2 == 0:
                raise BadRequest(f"FrameAverage: {key}={value} frames have none in their middle: an odd number")
        if self.every < frames:
            raise BadRequest(f"FrameAverage: every={every} is less than frames={frames}")

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator] = ()) -> Degraded:
        """clip: float [N,every*T,C,H,W] in [0,1] -> `video` and `target` float [N,T,C,H,W]. Nothing is random.

        Raises BadRequest where the clip has fewer than `every` frames.
        """
        count = clip.shape[1] // self.every
        if not count:
            raise BadRequest(
                f"FrameAverage: a clip of {clip.shape[1]} frames is too short for every={self.every}: "
                f"set dataset.num_frames={5 * self.every} for 5 blurred ones"
            )
        groups = clip[:, : count * self.every].unflatten(1, (count, self.every))
        start = (self.every - self.frames) // 2
        blurred = self._mean(groups[:, :, start : start + self.frames])
        if self.round:
            blurred = (blurred * 255).round_().div_(255)
        return Degraded(blurred, groups[:, :, self.every // 2])

    def _mean(self, open_shutter: Tensor) -> Tensor:
        """[N,T,frames,C,H,W] -> [N,T,C,H,W]."""
        if self.gamma is None:
            return open_shutter.mean(dim=2)
        return torch.pow(torch.pow(open_shutter, self.gamma).mean(dim=2), 1 / self.gamma)

    def __str__(self) -> str:
        of = f"{self.frames} frames" if self.every == self.frames else f"{self.frames} of every {self.every} frames"
        where = "as stored" if self.gamma is None else f"in linear light, gamma {self.gamma:g}"
        return f"mean of {of} {where}"
