"""Shots between changes: each frame is in one."""

from fractions import Fraction

import numpy as np
import pytest

from videxp.video.clock import FrameClock
from videxp.video.shots import ShotChange, changes_between, cut_into_shots, evenly_chosen

CLOCK = FrameClock(np.arange(151), Fraction(1, 25), Fraction(25))


def test_a_cut_ends_a_shot_and_a_dissolve_is_parted_in_its_middle():
    shots = cut_into_shots([ShotChange(42, 42), ShotChange(83, 93)], CLOCK)
    assert [(shot.number, shot.first, shot.last, shot.num_frames, shot.middle) for shot in shots] == [
        (1, 0, 42, 43, 21),
        (2, 43, 88, 46, 65),  # 83 + (94 - 83) // 2: the frame that TransNetV2's one-hot target marks
        (3, 89, 149, 61, 119),
    ]
    assert [(shot.start_seconds, shot.end_seconds) for shot in shots] == [
        (0, Fraction(43, 25)),
        (Fraction(43, 25), Fraction(89, 25)),
        (Fraction(89, 25), 6),
    ]


def test_a_fade_from_black_or_to_it_parts_nothing():
    shots = cut_into_shots([ShotChange(0, 5), ShotChange(50, 50), ShotChange(140, 149)], CLOCK)
    assert [(shot.first, shot.last) for shot in shots] == [(0, 50), (51, 149)]
    assert [(shot.first, shot.last) for shot in cut_into_shots([], CLOCK)] == [(0, 149)]


@pytest.mark.parametrize("changes", [[(5, 4)], [(10, 20), (20, 20)], [(30, 30), (10, 10)], [(149, 150)], [(-1, 0)]])
def test_changes_that_cannot_be_are_refused(changes: list[tuple[int, int]]):
    with pytest.raises(ValueError, match=r"a change in frames .*, of 150"):
        cut_into_shots([ShotChange(*change) for change in changes], CLOCK)


def test_changes_between_shots_have_the_frames_of_neither():
    shots = [(0, 83), (94, 129), (130, 149)]
    assert changes_between(shots) == [ShotChange(83, 93), ShotChange(129, 129)]
    assert [change.is_cut for change in changes_between(shots)] == [False, True]


def test_some_of_many_shots_are_spread_from_the_first_to_the_last():
    shots = cut_into_shots([ShotChange(frame, frame) for frame in range(10, 140, 10)], CLOCK)
    assert [shot.number for shot in evenly_chosen(shots, most=4)] == [1, 5, 9, 14]
    assert evenly_chosen(shots, most=14) == shots
