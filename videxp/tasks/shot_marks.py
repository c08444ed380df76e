"""How the transitions that were found in a film compare with the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from videxp.metrics.transitions import TOLERANCE_FRAMES, match_transitions
from videxp.video.shots import FilmTransition


@dataclass(frozen=True)
class ShotMarks:
    """Each true transition is a hit or missed, each found one a hit or a false alarm."""

    hits: tuple[tuple[FilmTransition, FilmTransition], ...]
    """(true, found)."""
    missed: tuple[FilmTransition, ...] = ()
    false_alarms: tuple[FilmTransition, ...] = ()

    @property
    def f1(self) -> float:
        """1 where there is nothing to find and nothing was found."""
        mistakes = len(self.missed) + len(self.false_alarms)
        return 2 * len(self.hits) / (2 * len(self.hits) + mistakes) if self.hits or mistakes else 1.0

    def __str__(self) -> str:
        """`11 hits, 1 missed, 2 false alarms (F1 0.880)`."""
        hits, false_alarms = len(self.hits), len(self.false_alarms)
        return (
            f"{hits:,} hit{'s' * (hits != 1)}, {len(self.missed):,} missed, "
            f"{false_alarms:,} false alarm{'s' * (false_alarms != 1)} (F1 {self.f1:.3f})"
        )


def mark_transitions(
    true: Sequence[tuple[int, int]], found: Sequence[FilmTransition], *, tolerance: int = TOLERANCE_FRAMES
) -> ShotMarks:
    """Found transitions beside the true ones, both in order of time, as the metric counts them."""
    pairs = match_transitions(true, [(one.before, one.after) for one in found], tolerance=tolerance)
    hit, right = {i for i, _ in pairs}, {j for _, j in pairs}
    return ShotMarks(
        hits=tuple((FilmTransition(*true[i]), found[j]) for i, j in pairs),
        missed=tuple(FilmTransition(*one) for i, one in enumerate(true) if i not in hit),
        false_alarms=tuple(one for j, one in enumerate(found) if j not in right),
    )
