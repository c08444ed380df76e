"""A film cut into shots: which frames each has, and when it is shown.

A change of shots is the frames that belong to it, `first` to `last`, both included, as a network marks them: of a hard
cut the last frame before it alone; of a dissolve all from the last frame of the shot before to the one ahead of the
first frame of the shot after. So `first` ends a shot, and `last + 1` begins the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from videxp.video.clock import FrameClock


@dataclass(frozen=True)
class ShotChange:
    """Frames `first` to `last` of a film in which one shot becomes the next."""

    first: int
    last: int
    probability: float = 1.0

    @property
    def is_cut(self) -> bool:
        return self.first == self.last

    @property
    def shot_end(self) -> int:
        """The last frame of the shot before, where each frame is to belong to one shot: the middle of the change."""
        return (self.first + self.last + 1) // 2


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


def cut_into_shots(changes: Sequence[ShotChange], clock: FrameClock) -> list[FilmShot]:
    """All frames of the film in one shot each. A change that begins with the film or ends with it (a fade from or to
    black) parts no two shots.

    Raises ValueError for changes that are not in order, overlap, or lie outside the film.
    """
    check_changes(changes, num_frames=clock.num_frames)
    ends = [change.shot_end for change in changes if change.first > 0 and change.last < clock.num_frames - 1]
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


def check_changes(changes: Sequence[ShotChange], *, num_frames: int) -> None:
    """Raises ValueError for changes that are not in order, overlap, or lie outside the film."""
    before = -1
    for change in changes:
        if not before < change.first <= change.last < num_frames:
            raise ValueError(
                f"a change in frames {change.first} to {change.last}, of {num_frames}, after one that ends at {before}"
            )
        before = change.last


def changes_between(shots: Sequence[tuple[int, int]]) -> list[ShotChange]:
    """The changes between shots given by their first and last frames; frames between two belong to the change.

    [(0, 83), (94, 129), (130, 149)] -> 83 to 93 (a dissolve), 129 to 129 (a cut)
    """
    return [ShotChange(end, start - 1) for (_, end), (start, _) in pairwise(shots)]
