"""What a corruption is: a pure function of a clip, its strength in five steps, and a generator of its own.

Legend: T frames, H, W pixels, C = 3 channels (RGB); clips are uint8 [T,H,W,C].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import signature
from typing import Any, Literal
from zlib import crc32

import numpy as np

from videxp.core.randomness import Stream, generator

Group = Literal["noise", "blur", "weather", "color", "compression", "transmission", "camera", "time"]
SEVERITIES = (1, 2, 3, 4, 5)
PIECE_VALUES = 1 << 22  # of a piece of a clip: 16 MB as float32
MOVING: frozenset[Group] = frozenset({"camera", "time"})


@dataclass(frozen=True)
class Corruption:
    """One row of a published table: a function, and its parameters at each severity."""

    name: str
    group: Group
    names: tuple[str, ...]
    """Of the parameters."""
    severities: tuple[tuple[Any, ...], ...]
    """Their values at severity 1, 2, ..."""
    function: Callable[..., np.ndarray]
    """(clip, rng, **parameters) -> clip; also `fps` where it needs that."""

    @property
    def needs_fps(self) -> bool:
        return "fps" in signature(self.function).parameters

    @property
    def moves(self) -> bool:
        """Whether it shows things at other places or times: what is known of a frame's pixels is then wrong."""
        return self.group in MOVING

    def parameters(self, severity: int) -> dict[str, Any]:
        """By name, at a severity from 1 on."""
        return dict(zip(self.names, self.severities[severity - 1], strict=True))

    def corrupt(self, clip: np.ndarray, *, severity: int, rng: np.random.Generator, fps: float) -> np.ndarray:
        """A new clip of the same shape, which depends on the arguments alone.

        fps: frames of the clip per second of video. Raises ValueError for anything but uint8 [T,H,W,3].
        """
        if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[-1] != 3 or 0 in clip.shape:
            raise ValueError(f"clip must be uint8 [T,H,W,3], got {clip.dtype} {list(clip.shape)}")
        timing = {"fps": fps} if self.needs_fps else {}
        return self.function(clip, rng, **self.parameters(severity), **timing)


@dataclass(frozen=True)
class Protocol:
    """The corruptions of one paper, with its parameters."""

    name: str
    source: str
    corruptions: Mapping[str, Corruption]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What the paper has beside these, and why it isn't here."""
    severities: tuple[int, ...] = SEVERITIES


def row(name: str, group: Group, function: Callable[..., np.ndarray], /, **steps: tuple[Any, ...]) -> Corruption:
    """A corruption from the five values of each of its parameters: `row("fog", "weather", fog, density=(1.5, ...))`."""
    severities = tuple(zip(*steps.values(), strict=True))
    return Corruption(name, group, tuple(steps), severities, function)


def protocol(name: str, *rows: Corruption, source: str, left_out: Mapping[str, str] | None = None) -> Protocol:
    return Protocol(name, source, {one.name: one for one in rows}, left_out or {})


def rng_of(seed: int, sample_index: int, corruption_name: str, severity: int) -> np.random.Generator:
    """What a corruption of one sample is drawn from in an evaluation: the same in any process, in any order."""
    more = (crc32(corruption_name.encode()), severity)
    return generator(seed, stream=Stream.CORRUPT, index=sample_index, more=more)


def in_pieces(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Calls `function(clip, ...)` with a few frames at a time, so that its memory does not grow with the clip's length.

    Of functions that treat each frame by itself and draw numbers for its pixels alone: the result is the same.
    """

    @wraps(function)
    def piecewise(clip: np.ndarray, *arguments: Any, **parameters: Any) -> np.ndarray:
        count = max(1, PIECE_VALUES // clip[0].size)
        pieces = [clip[start : start + count] for start in range(0, len(clip), count)]
        return np.concatenate([function(piece, *arguments, **parameters) for piece in pieces])

    return piecewise


def as_uint8(clip: np.ndarray) -> np.ndarray:
    """Float in [0,1], cut off beyond: uint8 of the same shape, rounded, where the papers' scripts round down."""
    return np.rint(np.clip(clip, 0, 1) * 255).astype(np.uint8)


def as_float(clip: np.ndarray) -> np.ndarray:
    """uint8 -> float32 in [0,1]."""
    return clip.astype(np.float32) / np.float32(255)
