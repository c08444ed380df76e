"""Noise on clean clips: Gaussian, as denoising papers add it, and Poisson-Gaussian, as sensors do.

Legend: N clips, T frames, C channels, H, W pixels. Sigmas and gains are in levels of 255, drawn once per clip. All
draws come from the clip's own numpy generator, on the CPU: the same noise on any device, for any number of workers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.transforms.restoration import Degraded

Strength = float | Sequence[float]
"""A number, or [low, high]: drawn uniformly for each clip."""


class GaussianNoise(nn.Module):
    """Independent of the picture, one sigma for a whole clip: the noise of denoising papers.

    sigma: levels of 255, or [low, high], drawn for each clip. clip: to [0,1], as a file would; PSNR is then higher.
    """

    tells: ClassVar[str] = "noise_level"

    def __init__(self, *, sigma: Strength = 25.0, clip: bool = False) -> None:
        super().__init__()
        self.sigma = limits("sigma", sigma)
        self.clip = clip

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator]) -> Degraded:
        """float [N,T,C,H,W] in [0,1] -> the noisy clip, the clean one, sigma / 255 at each pixel [N,T,1,H,W]."""
        noisy, levels = [], []
        for clean, rng in zip(clip, rngs, strict=True):
            sigma = rng.uniform(*self.sigma) / 255
            noisy.append(clean + sigma * standard_normal(clean, rng))
            levels.append(torch.full_like(clean[:, :1], sigma))
        return Degraded(clipped(torch.stack(noisy), clip=self.clip), clip, torch.stack(levels))

    def __str__(self) -> str:
        return f"Gaussian noise, sigma {spelled(self.sigma)}, {spelled_clip(self.clip)}"


class PoissonGaussianNoise(nn.Module):
    """Of photons and of the sensor: gain * Poisson(x / gain) + N(0, sigma^2), x in levels of 255.

    Its variance is gain * x + sigma^2. gain: levels for each photon; sigma: of what does not depend on light. Both may
    be [low, high], drawn for each clip. What the network is told is the standard deviation that the noisy pixel
    suggests, sqrt(gain * max(noisy, 0) + sigma^2): the clean one is not known where a network is used.
    """

    tells: ClassVar[str] = "noise_level"

    def __init__(self, *, gain: Strength = 3.0, sigma: Strength = 5.0, clip: bool = False) -> None:
        super().__init__()
        self.gain = limits("gain", gain)
        self.sigma = limits("sigma", sigma)
        self.clip = clip

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator]) -> Degraded:
        """float [N,T,C,H,W] in [0,1] -> the noisy clip, the clean one, standard deviations / 255 [N,T,1,H,W]."""
        noisy, levels = [], []
        for clean, rng in zip(clip, rngs, strict=True):
            one, level = self._degraded(clean, rng)
            noisy.append(one)
            levels.append(level)
        return Degraded(torch.stack(noisy), clip, torch.stack(levels))

    def _degraded(self, clean: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        gain, sigma = self._strengths(rng)
        noisy = 255 * clean
        if gain > 0:
            photons = rng.poisson(noisy.double().cpu().numpy() / gain).astype(np.float32)
            noisy = gain * torch.from_numpy(photons).to(clean)
        noisy = clipped((noisy + sigma * standard_normal(clean, rng)) / 255, clip=self.clip)
        light = 255 * noisy.mean(dim=1, keepdim=True).clamp(min=0)
        return noisy, (gain * light + sigma**2).sqrt() / 255

    def _strengths(self, rng: np.random.Generator) -> tuple[float, float]:
        """(gain, sigma) of a clip."""
        return rng.uniform(*self.gain), rng.uniform(*self.sigma)

    def __str__(self) -> str:
        strengths = f"gain {spelled(self.gain)}, sigma {spelled(self.sigma)}"
        return f"Poisson-Gaussian noise, {strengths}, {spelled_clip(self.clip)}"


Iso = Literal[1600, 3200, 6400, 12800, 25600]
CRVD_PARAMETERS: Mapping[int, tuple[float, float]] = {
    1600: (3.513262, 11.917691),
    3200: (6.955588, 38.117816),
    6400: (13.486051, 130.818508),
    12800: (26.585953, 484.539790),
    25600: (52.032536, 1819.818657),
}
"""ISO -> (a, b) of the camera of CRVD (Yue et al. 2020, RViDeNet): raw values of 12 bits above the black level get
a * Poisson(x / a) + N(0, b)."""
CRVD_RANGE = 4095 - 240  # white less black


class CRVDNoise(PoissonGaussianNoise):
    """The raw noise of CRVD's camera, one of `iso` for each clip, on frames whose [0,1] stands for black to white.

    It is that camera's noise on raw frames alone; on RGB frames it is noise of that strength, before any processing.
    """

    def __init__(self, *, iso: Sequence[Iso] = (1600, 3200, 6400, 12800, 25600), clip: bool = False) -> None:
        super().__init__(clip=clip)
        if not iso or any(one not in CRVD_PARAMETERS for one in iso):
            raise BadRequest(f"iso={list(iso)}: one or some of {', '.join(map(str, CRVD_PARAMETERS))}")
        self.iso = list(iso)

    def _strengths(self, rng: np.random.Generator) -> tuple[float, float]:
        a, b = CRVD_PARAMETERS[self.iso[int(rng.integers(len(self.iso)))]]
        return 255 * a / CRVD_RANGE, 255 * b**0.5 / CRVD_RANGE

    def __str__(self) -> str:
        return f"CRVD's raw noise, ISO {', '.join(map(str, self.iso))}, {spelled_clip(self.clip)}"


class SelfSupervised(nn.Module):
    """The target is the degraded clip itself: for networks that learn from noisy videos alone, such as UDVD.

    degradation: of clean clips, of which training then sees nothing else; None: the clips are noisy as they are. For
    training; an evaluation compares with clean clips.
    """

    def __init__(self, *, degradation: nn.Module | None = None) -> None:
        super().__init__()
        self.degradation = degradation
        self.tells = getattr(degradation, "tells", "")

    def forward(self, clip: Tensor, rngs: Sequence[np.random.Generator]) -> Degraded:
        """float [N,T,C,H,W] in [0,1] -> the degraded clip, twice, and its condition."""
        if self.degradation is None:
            return Degraded(clip, clip)
        degraded: Degraded = self.degradation(clip, rngs)
        return degraded._replace(target=degraded.video)

    def __str__(self) -> str:
        return "the clips as they are" if self.degradation is None else str(self.degradation)


# ---- shared -----------------------------------------------------------------------------------------------------


def limits(name: str, strength: Any) -> tuple[float, float]:
    """25 -> (25, 25); [5, 55] -> (5, 55). Raises BadRequest for anything else."""
    numbers = [strength, strength] if isinstance(strength, int | float) else list(strength)
    if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1]:
        raise BadRequest(f"{name}={strength}: a number of at least 0, or [low, high] of them, in levels of 255")
    return float(numbers[0]), float(numbers[1])


def standard_normal(like: Tensor, rng: np.random.Generator) -> Tensor:
    """Of the shape, type and device of `like`."""
    return torch.from_numpy(rng.standard_normal(tuple(like.shape), dtype=np.float32)).to(like)


def clipped(video: Tensor, *, clip: bool) -> Tensor:
    return video.clamp(0, 1) if clip else video


def spelled(limits: tuple[float, float]) -> str:
    """(25, 25) -> 25; (5, 55) -> 5 to 55."""
    low, high = limits
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def spelled_clip(clip: bool) -> str:
    return "clipped" if clip else "not clipped"
