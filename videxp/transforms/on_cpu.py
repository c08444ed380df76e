"""A worker's degradation (real-world, mixed, re-encoding) in the place of a device's: for further ones in a test."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from videxp.transforms.restoration import Degraded


class OnCpu(nn.Module):
    """make: uint8 [T,H,W,C] and a generator -> uint8 [T,h,w,C], for each clip on the CPU."""

    def __init__(self, *, make: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> None:
        super().__init__()
        self.make = make

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator]) -> Degraded:
        """clip: float [N,T,C,H,W] in [0,1] -> `video` float [N,T,C,h,w] of 256 levels; the clip is the target."""
        whole = (clip * 255).round().byte().permute(0, 1, 3, 4, 2).cpu().numpy()
        made = np.stack([self.make(one, rng) for one, rng in zip(whole, rngs, strict=True)])
        video = torch.from_numpy(made).to(clip.device).permute(0, 1, 4, 2, 3).float().div_(255)
        return Degraded(video, clip)

    def __str__(self) -> str:
        return str(self.make)
