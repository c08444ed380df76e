"""Every video GAN of conf/model/ with a shrunk version that runs in milliseconds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from videxp.models import VGAN, ContinuousGAN, MoCoGAN, TGANv2, VideoGAN


@dataclass(frozen=True)
class Entry:
    target: type[VideoGAN]
    tiny: dict[str, Any] = field(default_factory=dict)
    separates_motion: bool = False


_TINY_TGAN = {
    "recurrent_width": 8,
    "recurrent_layers": 1,
    "latent_size": 6,
    "width": 4,
    "discriminator_width": 4,
    "discriminator_blocks": 2,
    "levels": 2,
}
_TINY_CONTINUOUS = {"latent_size": 6, "style_size": 8, "motion_size": 6, "motion_step": 3, "width": 4}

GANS = {
    "vgan": Entry(
        VGAN,
        tiny={"latent_size": 6, "width": 4, "discriminator_width": 4},
    ),
    "mocogan": Entry(
        MoCoGAN,
        tiny={"content_size": 5, "motion_size": 3, "categories": 2, "width": 4, "discriminator_width": 4},
        separates_motion=True,
    ),
    "tganv2": Entry(TGANv2, tiny=_TINY_TGAN),
    "continuous_gan": Entry(
        ContinuousGAN,
        tiny={**_TINY_CONTINUOUS, "discriminator_width": 4},
        separates_motion=True,
    ),
}


def build_tiny(name: str, **arguments: Any) -> VideoGAN:
    """The same kind of GAN for 4 frames of 16 pixels, shrunk."""
    return GANS[name].target(**{"num_frames": 4, "size": 16, **GANS[name].tiny, **arguments})


def rngs(*seeds: int) -> list[np.random.Generator]:
    """One generator for each clip."""
    return [np.random.default_rng(seed) for seed in seeds]
