"""A feature network that can be checked by eye, and clips for it."""

import torch
from torch import Tensor, nn

from videxp.metrics.features import FeatureNetwork


class PixelNetwork(FeatureNetwork):
    """Mean and spread of each channel over the frames and pixels of a clip (or of a frame), over 255: [N,6]."""

    def __init__(self, *, weights: str = "0123456789abcdef", per_frame: bool = False) -> None:
        super().__init__(nn.Identity(), name="pixels", weights=weights, input_text="as they come")
        self.per_frame = per_frame
        self.calls = 0

    def compute(self, video_NTCHW: Tensor) -> Tensor:
        self.calls += 1
        video = video_NTCHW.float() / 255
        if self.per_frame:
            video = video.flatten(0, 1)[:, None]
        return torch.cat([video.mean((1, 3, 4)), video.std((1, 3, 4))], 1)


def bright_clips(count: int, *, seed: int = 0, darker: float = 0.0) -> Tensor:
    """uint8 [N,4,3,6,6]: even-colored clips of random brightness, with a little noise."""
    random = torch.Generator().manual_seed(seed)
    level = torch.rand(count, 1, 3, 1, 1, generator=random) * (1 - darker)
    noise = torch.rand(count, 4, 3, 6, 6, generator=random) * 0.1
    return ((level * 0.9 + noise) * 255).round().to(torch.uint8)
