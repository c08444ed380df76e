"""The contact sheet as a picture: what is drawn, and where."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videxp.tasks.shot_marks import ShotMarks, mark_transitions
from videxp.tasks.shot_sheet import COLUMNS, save_shot_sheet, sheet_shots
from videxp.video.clock import FrameClock
from videxp.video.shots import FilmTransition, cut_into_shots

HIT, MISSED, FALSE = (0, 114, 178), (194, 78, 0), (155, 47, 127)
CLOCK = FrameClock(np.arange(241), Fraction(1, 25), Fraction(25))


def drawn(path: Path) -> np.ndarray:
    transitions = [FilmTransition(29, 30), FilmTransition(99, 121), FilmTransition(200, 201)]
    hits = tuple((one, one) for one in transitions[:2])
    marks = ShotMarks(hits, (FilmTransition(160, 161),), (transitions[2],))
    shots = cut_into_shots(transitions, CLOCK)
    pictures = {shot.number: np.full((36, 64, 3), 60 * shot.number - 50, np.uint8) for shot in shots}
    save_shot_sheet(
        path,
        title="a $film$ \udce9.mp4",
        shots=shots,
        pictures=pictures,
        transitions=transitions,
        clock=CLOCK,
        threshold=0.5,
        probabilities=np.linspace(0, 1, 240, dtype=np.float32),
        marks=marks,
    )
    return np.asarray(Image.open(path).convert("RGB"))


def columns(sheet: np.ndarray, color: tuple[int, int, int]) -> list[float]:
    """Middles of what is drawn in a color on the time line, as shares of its width."""
    strip = sheet[80:190]
    found = np.flatnonzero((np.abs(strip.astype(int) - color).max(-1) < 12).any(0))
    groups = np.split(found, np.flatnonzero(np.diff(found) > 20) + 1)
    left, right = 32, sheet.shape[1] - 32
    return [(group.mean() - left) / (right - left) for group in groups if len(group)]


@pytest.mark.slow
def test_hits_misses_and_false_alarms_stand_where_they_are_in_colors_of_their_own(tmp_path: Path):
    sheet = drawn(tmp_path / "sheet.png")
    assert columns(sheet, HIT) == pytest.approx([29.5 / 240, 110.5 / 240], abs=0.01)
    assert columns(sheet, MISSED) == pytest.approx([160.5 / 240], abs=0.01)
    assert columns(sheet, FALSE) == pytest.approx([200.5 / 240], abs=0.01)
    for number in range(4):  # the shots' pictures, side by side in the first row
        assert (np.abs(sheet.astype(int) - (60 * number + 10)).max(-1) == 0).sum() > 10_000


def test_a_sheet_has_room_for_eight_rows_of_pictures():
    shots = cut_into_shots([FilmTransition(frame, frame + 1) for frame in range(1, 239, 2)], CLOCK)
    assert len(shots) == 120 and len(sheet_shots(shots)) == 8 * COLUMNS
    assert sheet_shots(shots)[-1] == shots[-1]


def test_marks_are_counted_as_the_metric_counts_them():
    one = FilmTransition(1, 2)
    assert str(ShotMarks(((one, one),) * 1234, (one,), (one, one))) == "1,234 hits, 1 missed, 2 false alarms (F1 0.999)"
    assert str(ShotMarks(((one, one),), (), (one,))) == "1 hit, 0 missed, 1 false alarm (F1 0.667)"
    assert (ShotMarks(()).f1, ShotMarks((), (one,)).f1) == (1.0, 0.0)


def test_transitions_are_marked_as_the_metric_matches_them():
    found = [FilmTransition(11, 12, 0.9), FilmTransition(50, 51, 0.5), FilmTransition(80, 90, 0.75)]
    marks = mark_transitions([(10, 11), (54, 55), (79, 95)], found)
    assert marks.hits == ((FilmTransition(10, 11), found[0]), (FilmTransition(79, 95), found[2]))
    assert (marks.missed, marks.false_alarms) == ((FilmTransition(54, 55),), (found[1],))
    assert mark_transitions([(10, 11)], found[:1], tolerance=0).hits == ()
