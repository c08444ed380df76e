"""Every video GAN of conf/model/, shrunk to run in milliseconds."""

import inspect
from typing import Any

import numpy as np

from tests.models.zoo import GANS, MODELS
from videxp.models.gan import VideoGAN

TAKES_NORM = [name for name in GANS if "norm" in inspect.signature(MODELS[name].constructor).parameters]


def build_tiny(name: str, **arguments: Any) -> VideoGAN:
    """The same kind of GAN for 4 frames of 16 pixels, shrunk."""
    model = MODELS[name]
    num_frames, size = model.tiny_clip
    gan = model.build(**{"num_frames": num_frames, "size": size, **model.tiny, **arguments})
    assert isinstance(gan, VideoGAN)
    return gan


def norm(name: str, kind: str) -> dict[str, str]:
    """The argument, for a GAN that has a choice of norms."""
    return {"norm": kind} if name in TAKES_NORM else {}


def rngs(*seeds: int) -> list[np.random.Generator]:
    """One generator for each clip."""
    return [np.random.default_rng(seed) for seed in seeds]
