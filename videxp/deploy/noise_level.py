"""How strong the noise of a video is: as the user says, or as its first frames suggest."""

from collections.abc import Callable

import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.metrics.noise import estimated_sigma


class NoiseLevel:
    """What a network is told of each pixel of a window: sigma / 255, the same everywhere.

    sigma: levels of 255; None: estimated from the first window of each video, and `say` is told. Raises `BadRequest`
    for one that is out of range.
    """

    def __init__(self, sigma: float | None, *, say: Callable[[str], None] = print) -> None:
        if sigma is not None and not 0 <= sigma <= 255:
            raise BadRequest(f"--sigma {sigma:g}: a standard deviation in levels of 255, from 0 to 255")
        self.given = sigma
        self.estimate = 0.0
        self.say = say

    def __call__(self, numbers: range, clip_THWC: Tensor) -> Tensor:
        """(numbers of the frames of a window, these uint8 [T,H,W,C]) -> float [T,1,H,W]."""
        if self.given is None and numbers.start == 0:
            self.estimate = estimated_sigma(clip_THWC)
            self.say(f"noise: sigma {self.estimate:.1f} of 255, estimated from the first frames; --sigma sets another")
        sigma = self.estimate if self.given is None else self.given
        return torch.full((len(numbers), 1, *clip_THWC.shape[1:3]), sigma / 255)
