"""Timecode without drift, against OpenTimelineIO's."""

import random
from fractions import Fraction

import numpy as np
import pytest
from opentimelineio import opentime

from videxp.deploy.scenes.timeline import DROP_FRAME_RATES, rate_text, timecode, timeline_of
from videxp.video.clock import STANDARD_RATES, FrameClock, frame_clock

FILM, NTSC, PAL = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25)


def clock(num_frames: int, rate: Fraction) -> FrameClock:
    return FrameClock(np.arange(num_frames + 1), 1 / rate, rate)


@pytest.mark.parametrize("rate", STANDARD_RATES)
def test_every_frame_has_the_timecode_that_opentimelineio_gives_it(rate: Fraction):
    day = 86_300 * int(rate + Fraction(99, 100))  # the real day ends before that of timecode
    numbers = [0, 1799, 1800, 17981, 17982, 107891, 107892, day - 1, *random.Random(0).choices(range(day), k=300)]
    for number in numbers:
        time = opentime.RationalTime(number, float(rate))
        assert timecode(number, rate) == opentime.to_timecode(time, float(rate), drop_frame=False)
    for number in numbers if rate in DROP_FRAME_RATES else ():
        time = opentime.RationalTime(number * 0.998, float(rate)).floor()
        expected = opentime.to_timecode(time, float(rate), drop_frame=True)
        assert timecode(int(time.value), rate, drop_frame=True) == expected


def test_drop_frame_timecode_stays_with_the_clock_and_the_other_counts_frames():
    hour = 107_892  # frames of an hour at 29.97 fps: 3,599.996 s
    assert (timecode(hour, NTSC, drop_frame=True), timecode(hour, NTSC)) == ("01:00:00;00", "00:59:56:12")
    seconds = float(hour / NTSC)
    stock = f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}:{int(seconds * float(NTSC) % float(NTSC)):02d}"
    assert stock == "59:59:29"  # neither: what seconds and a remainder give, as PySceneDetect 0.7 does
    with pytest.raises(ValueError, match=r"25 fps has no drop-frame timecode: 29.97 and 59.94 fps have"):
        timecode(1, PAL, drop_frame=True)
    with pytest.raises(ValueError, match=r"timecode has 24 hours, this is 24.0"):
        timecode(24 * 3600 * 25, PAL)


@pytest.mark.parametrize(
    ("rate", "line", "per_frame"), [(FILM, FILM, 1), (PAL, PAL, 1), (15, 30, 2), (10, 30, 3), (12.5, 25, 2)]
)
def test_a_constant_rate_is_counted_frame_by_frame(rate: Fraction, line: Fraction, per_frame: int):
    found = timeline_of(clock(10, Fraction(rate)))
    assert (found.rate, found.per_frame, found.place(7)) == (line, per_frame, 7 * per_frame)


def test_a_variable_rate_is_rounded_at_each_cut_and_never_drifts():
    rng = np.random.default_rng(0)
    pts = np.cumsum(rng.choice([3003, 3003, 3003, 6006, 1500], size=200_000))  # of 1/90000 s: two hours
    film = frame_clock(pts, time_base=Fraction(1, 90000))
    line = timeline_of(film)
    assert line.rate == NTSC and line.per_frame == 0
    for frame in (0, 1, 100_000, 199_999):
        assert abs(line.place(frame) / NTSC - film.since_first(frame)) <= Fraction(1, 2) / NTSC
    stock = 199_999 / float(film.rate)  # frame / fps
    assert abs(stock - float(film.since_first(199_999))) > 60
    assert str(line) == "29.97 fps (the film's rate is variable: each cut is at the nearest frame)"
    assert (
        str(timeline_of(clock(9, Fraction(120))))
        == "60 fps (the film's rate is 120 fps: each cut is at the nearest frame)"
    )
    assert str(timeline_of(clock(9, Fraction(15)))) == "30 fps (the film's rate is 15 fps: 2 of it for each frame)"
    assert (str(timeline_of(clock(9, FILM))), rate_text(PAL)) == ("23.976 fps", "25 fps")
