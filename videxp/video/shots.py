"""A film cut into shots: which frames each has, and when it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from videxp.video.clock import FrameClock

Transition = tuple[int, int]
"""(before, after): the last frame that a shot has to itself, the first that the next one has; frames count from 0."""


def marked_frames(before: int, after: int) -> range:
    """The frames that belong to a transition: those in between; of a cut, the one before it."""
    return range(before + 1, after) if after - before > 1 else range(before, after)


def middle_frame(before: int, after: int) -> int:
    """The one frame that stands for a transition: of a cut, the one before it."""
    return before + (after - before) // 2


@dataclass(frozen=True)
class FilmTransition:
    """From the last frame that a shot has to itself to the first that the next one has: (29, 30) is a cut, (29, 34) a
    dissolve with four mixed frames."""

    before: int
    after: int
    probability: float = 1.0

    @property
    def is_cut(self) -> bool:
        return self.after - self.before == 1

    @property
    def shot_end(self) -> int:
        """The last frame of the shot before where each frame belongs to one: the middle of the transition."""
        return middle_frame(self.before, self.after)

    @property
    def frames(self) -> range:
        """Those that belong to it: all in between; of a cut, the one before it."""
        return marked_frames(self.before, self.after)


@dataclass(frozen=True)
class FilmShot:
    """Frames `first` to `last`, both included. Seconds count from the start of the file; it ends as the next begins."""

    number: int
    """From 1."""
    first: int
    last: int
    start_seconds: Fraction
    end_seconds: Fraction

    @property
    def num_frames(self) -> int:
        return self.last - self.first + 1

    @property
    def middle(self) -> int:
        """The frame that stands for it."""
        return (self.first + self.last) // 2


def cut_into_shots(transitions: Sequence[FilmTransition], clock: FrameClock) -> list[FilmShot]:
    """All frames of the film in one shot each.

    Raises ValueError for transitions that are not in order, overlap, or lie outside the film.
    """
    reached = 0
    for one in transitions:
        if not reached <= one.before < one.after < clock.num_frames:
            where = f"in {clock.num_frames} frames, where the shot begins with frame {reached}"
            raise ValueError(f"a transition from frame {one.before} to {one.after} {where}")
        reached = one.after
    ends = [one.shot_end for one in transitions]
    firsts, lasts = [0, *(end + 1 for end in ends)], [*ends, clock.num_frames - 1]
    return [
        FilmShot(number, first, last, clock.seconds(first), clock.seconds(last + 1))
        for number, (first, last) in enumerate(zip(firsts, lasts), start=1)
    ]


def evenly_chosen(shots: Sequence[FilmShot], *, most: int) -> Sequence[FilmShot]:
    """All of them, or `most`, from the first to the last."""
    if len(shots) <= most:
        return shots
    return [shots[number * (len(shots) - 1) // (most - 1)] for number in range(most)]
