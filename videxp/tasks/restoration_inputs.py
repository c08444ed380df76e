"""What networks of restoration are given, how it was made, and how fast it plays.

Shapes: B clips, T frames, K channels of a condition, h, w pixels.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.data.module import VideoDataModule

CHANNELS = {"exemplar": 3}
"""K of a condition, by what it tells; 1 of all others, such as a level of noise or a mask."""


def inputs_of(network: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """What a network is called with: `video`, and `condition` where it is `told` one. Raises BadRequest without it."""
    told = getattr(network, "told", "")
    if not told:
        return (batch["video"],)
    if "condition" not in batch:
        raise BadRequest(f"{type(network).__name__} is told a {told}, which these data do not have")
    return batch["video"], batch["condition"]


def blank_batch(network: nn.Module, *, num_frames: int, size: int) -> dict[str, Tensor]:
    """One clip without content, on the meta device: `video` [1,T,3,h,w], `condition` [1,T,K,h,w]."""
    channels = {"video": 3, "condition": CHANNELS.get(getattr(network, "told", ""), 1)}
    return {name: torch.empty(1, num_frames, n, size, size, device="meta") for name, n in channels.items()}


def played_fps(data: VideoDataModule, split: Literal["val", "test"], index: int) -> float:
    """Frames per second at which input and target of a sample play as fast as the video that they are made from."""
    transform = data.test_transform if split == "test" else data.eval_transform
    every = getattr(getattr(transform, "degradation", None), "every", 1)  # frames of the video for one of the target
    return data.dataset(split).clip_fps(index) / every


def degradation_name(data: VideoDataModule) -> str:
    """How the input of the test's clips is made: by the transform, by workers, or as it came."""
    makers = [getattr(data.test_transform, "degradation", None)]
    makers += [getattr(annotation, "test_make", None) for annotation in data.annotations]
    named = [maker for maker in makers if maker is not None]
    return f"input: {_described(named[0])}" if named else f"input: as {data.name} brings it"


def _described(module: Any) -> str:
    """Its own words; the name of a class that has none."""
    return type(module).__name__ if type(module).__str__ is object.__str__ else str(module)
