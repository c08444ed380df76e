"""Every video GAN of conf/model/ with the counts to check against and a shrunk version that runs in milliseconds.

Sources: "paper" its table of layers, or the authors' code where that says more; "hand" counted by hand from the layers
(shown beside); "own" our own network.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from videxp.models import VGAN, ContinuousGAN, MoCoGAN, TGANv2, VideoGAN


@dataclass(frozen=True)
class Entry:
    target: type[VideoGAN]
    generator: int
    discriminators: dict[str, int]
    source: str
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
        16_245_383,
        {"video": 11_057_858},
        "paper",
        tiny={"latent_size": 6, "width": 4, "discriminator_width": 4},
    ),
    "mocogan": Entry(
        MoCoGAN,
        3_298_836,
        {"image": 663_296, "video": 11_253_504},
        "paper",
        tiny={"content_size": 5, "motion_size": 3, "categories": 2, "width": 4, "discriminator_width": 4},
        separates_motion=True,
    ),
    # G: 1,184,256 (code to 3x3x512) + 3 * 18,876,416 (ConvLSTM, 9 * 1024 * 2048 + 2048) + 7,532,480 (six blocks)
    #    + 7,436 (four renders). Each D: 116,160 + 340,288 + 1,360,512 + 5,440,768 + 21,760,512 (blocks) + 1,025
    "tganv2": Entry(TGANv2, 65_353_420, {f"level{n}": 29_019_265 for n in range(1, 5)}, "hand", tiny=_TINY_TGAN),
    "continuous_gan": Entry(
        ContinuousGAN,
        35_254_741,
        {"video": 26_345_344},
        "own",
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
