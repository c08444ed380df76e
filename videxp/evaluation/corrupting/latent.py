"""How smoothly generated clips change with the codes that they are made from, in levels of a pixel: no network judges.

Shapes: N clips, T frames, C = 3 channels, H, W.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from videxp.core.randomness import Stream, generator
from videxp.models.gan import VideoGenerator

CODES = 16
DISTANCES = (0.01, 0.1, 1.0)
AT_ONCE = 4


@torch.inference_mode()
def latent_smoothness(maker: VideoGenerator, *, seed: int, device: torch.device) -> list[dict[str, float]]:
    """A row for each of DISTANCES: the clip of each of CODES codes, and the one of a code so far away in a random
    direction (Euclidean, over all real numbers that a clip is made from).

    `mean`, `worst`: over codes, the mean change of a value of the clip, in levels of 0..255, for each unit of distance.
    Where the clip changes smoothly, it is the same for all small distances.
    """
    changes: dict[float, list[float]] = {distance: [] for distance in DISTANCES}
    for first in range(0, CODES, AT_ONCE):
        numbers = range(first, min(CODES, first + AT_ONCE))
        latent = maker.latent([generator(seed, stream=Stream.SAMPLE, index=i) for i in numbers], device=device)
        label = None if maker.num_classes is None else torch.tensor([i % maker.num_classes for i in numbers]).to(device)
        direction = _directions(latent, [generator(seed, stream=Stream.ATTACK, index=i) for i in numbers])
        clip = levels(maker(latent, label=label))
        for distance in DISTANCES:
            moved = {
                key: code + distance * direction[key] if key in direction else code for key, code in latent.items()
            }
            change_N = (levels(maker(moved, label=label)) - clip).abs().flatten(1).mean(1)
            changes[distance] += (change_N / distance).tolist()
    return [{"distance": distance, "mean": sum(of) / len(of), "worst": max(of)} for distance, of in changes.items()]


def _directions(latent: dict[str, Tensor], rngs: list[np.random.Generator]) -> dict[str, Tensor]:
    """Of each clip a random direction of length 1, over all its real codes together."""
    real = {key: code for key, code in latent.items() if code.is_floating_point()}
    drawn = {
        key: np.stack([rng.standard_normal(code.shape[1:], dtype=np.float32) for rng in rngs])
        for key, code in real.items()
    }
    squares_N = sum(np.square(part).reshape(len(rngs), -1).sum(1) for part in drawn.values())
    length_N = torch.from_numpy(np.sqrt(squares_N))
    return {
        key: (torch.from_numpy(part) / length_N.reshape(-1, *[1] * (part.ndim - 1))).to(real[key])
        for key, part in drawn.items()
    }


def levels(video: Tensor) -> Tensor:
    """[-1,1] -> 0..255, not rounded."""
    return (video.float() + 1).clamp(0, 2) * 127.5


def smoothness_section(maker: VideoGenerator, *, seed: int, device: torch.device) -> dict[str, Any]:
    return {
        "latent": latent_smoothness(maker, seed=seed, device=device),
        "codes": CODES,
        "rest": "corruptions and attacks do not apply: clips are made from noise, not from clips",
    }
