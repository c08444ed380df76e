"""Shots between transitions: each frame is in one."""

from fractions import Fraction

import numpy as np
import pytest

from videxp.video.clock import FrameClock
from videxp.video.shots import FilmTransition, cut_into_shots, evenly_chosen

CLOCK = FrameClock(np.arange(151), Fraction(1, 25), Fraction(25))


def test_a_cut_ends_a_shot_and_a_dissolve_is_parted_in_its_middle():
    shots = cut_into_shots([FilmTransition(42, 43), FilmTransition(83, 94), FilmTransition(94, 95)], CLOCK)
    assert [(shot.number, shot.first, shot.last, shot.num_frames, shot.middle) for shot in shots] == [
        (1, 0, 42, 43, 21),
        (2, 43, 88, 46, 65),  # 83 + (94 - 83) // 2: the frame that TransNetV2's one-hot target marks
        (3, 89, 94, 6, 91),
        (4, 95, 149, 55, 122),
    ]
    assert [(shot.start_seconds, shot.end_seconds) for shot in shots[:2]] == [
        (0, Fraction(43, 25)),
        (Fraction(43, 25), Fraction(89, 25)),
    ]
    assert [(shot.first, shot.last) for shot in cut_into_shots([], CLOCK)] == [(0, 149)]


def test_frames_of_a_transition_are_those_in_between():
    cut, dissolve = FilmTransition(42, 43), FilmTransition(83, 94)
    assert (cut.is_cut, cut.frames, dissolve.is_cut, dissolve.frames) == (True, range(42, 43), False, range(84, 94))


@pytest.mark.parametrize("pairs", [[(5, 5)], [(10, 20), (19, 21)], [(30, 31), (10, 11)], [(149, 150)], [(-1, 0)]])
def test_transitions_that_cannot_be_are_refused(pairs: list[tuple[int, int]]):
    with pytest.raises(ValueError, match=r"a transition from frame .* to .* in 150 frames"):
        cut_into_shots([FilmTransition(*pair) for pair in pairs], CLOCK)


def test_some_of_many_shots_are_spread_from_the_first_to_the_last():
    shots = cut_into_shots([FilmTransition(frame, frame + 1) for frame in range(10, 140, 10)], CLOCK)
    assert [shot.number for shot in evenly_chosen(shots, most=4)] == [1, 5, 9, 14]
    assert evenly_chosen(shots, most=14) == shots
