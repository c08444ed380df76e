"""A picture of each shot: its middle frame."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.timed_films import number_of, timed_film
from videxp.video.clock import read_clock
from videxp.video.shot_pictures import shot_pictures
from videxp.video.shots import FilmTransition, cut_into_shots


def test_the_middle_frame_stands_for_a_shot_at_any_rate(tmp_path: Path):
    path = timed_film(tmp_path / "a.mp4", [0, 0.04, 0.08, 3, 3.04, 5, 9, 9.5, 9.54, 9.58])
    clock = read_clock(path)
    assert clock.seconds(6) == Fraction(9)
    shots = cut_into_shots([FilmTransition(2, 3), FilmTransition(3, 4)], clock)
    found = dict(shot_pictures(path, shots, width=64))
    assert {number: number_of(picture) for number, picture in found.items()} == {1: 1, 2: 3, 3: 6}
    (_, small), *_ = shot_pictures(path, shots, width=32)
    assert small.shape == (24, 32, 3) and small.dtype == np.uint8
