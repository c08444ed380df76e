"""How much the colors of frames change, beside how much they change around: the classic that learns nothing.

PySceneDetect's AdaptiveDetector with its default values, to the last digit of its `content_val` for the same frames:
OpenCV's hue (0-179), saturation and value (0-255) of 8-bit RGB, and the mean of their absolute differences. Its
`min_scene_len`, which drops scenes of less than 15 frames, is not a matter of frames and not part of this.
"""

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.core.limits import Ge, Gt
from videxp.models.scenes.interface import SceneNetwork, TransitionLogits, WindowFrames

SHIFT = 12  # OpenCV divides by tables of fixed-point numbers with 12 binary places


class ContentDifference(SceneNetwork):
    """float [B,T,3,H,W] in [0,1] -> `TransitionLogits`, the same for both; no parameters.

    The probability is one half where AdaptiveDetector's condition for a cut is just met.
    """

    def __init__(
        self,
        *,
        adaptive_threshold: Annotated[float, Gt(0)] = 3.0,
        min_content: Annotated[float, Gt(0)] = 15.0,
        neighbors: Annotated[int, Ge(1)] = 2,
        window_frames: WindowFrames = 100,
    ) -> None:
        """
        adaptive_threshold: how many times the mean change around it a change must be.
        min_content: how large it must be at least, in levels of 255.
        neighbors: changes to either side that the mean is over.
        """
        super().__init__(window_frames=window_frames)
        self.adaptive_threshold = adaptive_threshold
        self.min_content = min_content
        self.neighbors = neighbors

    def forward(self, video: Tensor) -> TransitionLogits:
        change_BT = F.pad(content_change(video), (0, 1))  # from each frame to the next; the last has none
        around_BT = self._mean_around(change_BT)
        ratio_BT = (change_BT / around_BT.clamp(min=1e-5)).clamp(max=255)
        excess_BT = torch.minimum(ratio_BT / self.adaptive_threshold, change_BT / self.min_content)
        logits_BT = excess_BT.clamp(min=1e-9).log()  # sigmoid(log(x)) = x / (1 + x)
        return TransitionLogits(logits_BT, logits_BT)

    def _mean_around(self, change_BT: Tensor) -> Tensor:
        """Of `neighbors` changes before and as many after; where the video has ended there is no change."""
        padded = F.pad(change_BT, (self.neighbors, self.neighbors))
        total = padded.unfold(1, 2 * self.neighbors + 1, 1).sum(-1)
        return (total - change_BT) / (2 * self.neighbors)


def content_change(video: Tensor) -> Tensor:
    """`content_val` of each frame after the first: the mean over pixels of |dH|, |dS|, |dV|, and over these three.

    [B,T,3,H,W] in [0,1] -> float [B,T-1], in levels of 255.
    """
    hsv = hue_saturation_value((video.float() * 255).round().int())
    change = (hsv[:, 1:] - hsv[:, :-1]).abs()
    return change.sum((2, 3, 4)).float() / video[0, 0].numel()


def hue_saturation_value(levels: Tensor) -> Tensor:
    """RGB -> HSV as OpenCV's `COLOR_RGB2HSV` of 8 bits: int32 [B,T,3,H,W], hue in 0-179, the others in 0-255."""
    red, green, blue = levels.unbind(2)
    value = levels.amax(2)
    spread = value - levels.amin(2)
    saturation = _divided(255, spread, value)
    sixths = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = _divided(30, sixths, spread)
    return torch.stack([torch.where(hue < 0, hue + 180, hue), saturation, value], dim=2)


def _divided(factor: int, numerator: Tensor, denominator: Tensor) -> Tensor:
    """factor * numerator / denominator rounded as OpenCV does, by a table of fixed-point inverses; 0 where it is x / 0.

    denominator: int32 in 0-255.
    """
    inverse = [0, *(round(factor * 2**SHIFT / level) for level in range(1, 256))]
    table = torch.tensor(inverse, dtype=torch.int32, device=numerator.device)
    return (numerator * table[denominator.long()] + 2 ** (SHIFT - 1)) >> SHIFT
