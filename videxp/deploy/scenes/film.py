"""A film and where it was found to be cut: what all files and pages are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from videxp.core.errors import VidexpError
from videxp.deploy.scenes.timeline import Timeline, timeline_of
from videxp.video.audio import has_sound
from videxp.video.clock import FrameClock, read_clock
from videxp.video.shots import FilmShot, FilmTransition, cut_into_shots


@dataclass(frozen=True)
class CutFilm:
    """`read_film` makes one."""

    path: Path
    clock: FrameClock
    transitions: tuple[FilmTransition, ...]
    threshold: float
    probabilities: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    """float32 [N]; empty where they are not known."""
    has_sound: bool = False

    @cached_property
    def shots(self) -> list[FilmShot]:
        return cut_into_shots(self.transitions, self.clock)

    @cached_property
    def timeline(self) -> Timeline:
        return timeline_of(self.clock)


def read_film(
    path: Path, transitions: Sequence[tuple[int, int]], *, probabilities: np.ndarray, threshold: float
) -> CutFilm:
    """The film with its times. transitions: (last frame before, first frame after) of each, in order.
    probabilities: [N] that a frame is one of a transition; that of a transition is the greatest of its frames.

    Raises UnreadableVideo, and VidexpError for other numbers of frames than the file has.
    """
    clock = read_clock(path)
    if len(probabilities) != clock.num_frames:
        raise VidexpError(f"{path}: {len(probabilities)} probabilities for {clock.num_frames} frames")
    found = [FilmTransition(b, a, float(probabilities[b:a].max())) for b, a in transitions]
    return CutFilm(path, clock, tuple(found), threshold, probabilities.astype(np.float32), has_sound(path))
