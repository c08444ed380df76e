"""What a task's `streamer` module makes of a stream: answers in the order of its frames.

Such a module has `add_arguments(parser)`, which adds its own options, and `open_streamer(task, datamodule, options) ->
Streamer`, which raises BadRequest for what the network cannot do.

Shapes: H, W pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from videxp.video.live.capture import LiveFrame


@dataclass(frozen=True)
class Answer:
    """About a stream up to `frame`: what is told of it as JSON, and what is to be seen of it; either may be None."""

    frame: LiveFrame
    told: dict[str, Any] | None = None
    picture_HWC: np.ndarray | None = None


class Streamer(Protocol):
    """A task at work on one stream after another; nothing of one is left in the next."""

    about: dict[str, Any]
    """How it goes over a stream, as JSON; `latency_frames`: how many more frames must come before one is answered, at
    most."""
    remedy: str
    """What makes it answer sooner."""
    is_accurate: bool
    """Whether it reads colors rounded to the nearest."""

    def picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """(height, width) that it wants frames of this size scaled to while they are decoded; None: as they are."""

    def answers(self, frames: Iterator[LiveFrame], *, draw: bool) -> Iterator[Answer]:
        """Of all frames up to the last. draw: whether pictures are wanted: then one for each frame."""
