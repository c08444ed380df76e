"""The exact times of a film's frames, against PyAV, and the rate at which an editor counts them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.timed_films import timed_film
from tests.video.conftest import Torture
from videxp.video.clock import frame_clock, read_clock

NTSC, MILLISECOND = Fraction(30000, 1001), Fraction(1, 1000)


def times_by_pyav(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h264_2997_fps.mp4", "h264_late_start.mp4", "h264_edit_list_start.mp4"])
def test_times_are_those_that_pyav_gives_to_the_tick(torture: Torture, name: str):
    path, _, _ = torture(name)
    clock, times = read_clock(path), times_by_pyav(path)
    assert [clock.seconds(n) for n in range(clock.num_frames)] == [time - times[0] for time in times]
    assert clock.rate == (NTSC if "2997" in name else 25)
    assert clock.seconds(clock.num_frames) == clock.seconds(clock.num_frames - 1) + 1 / clock.rate


def test_a_variable_rate_keeps_its_times_and_counts_at_the_median_distance(tmp_path: Path):
    seconds = [0, 0.04, 0.08, 0.5, 0.54, 2.0]
    clock = read_clock(timed_film(tmp_path / "a.mp4", seconds, until=2.25))
    assert [float(clock.seconds(n)) for n in range(7)] == pytest.approx([*seconds, 2.25], abs=1e-5)
    assert clock.is_variable and clock.rate == 25


def test_pictures_that_come_after_their_sound_begin_after_the_file(tmp_path: Path):
    clock = read_clock(timed_film(tmp_path / "a.mp4", [1 + i / 10 for i in range(5)], sound_from=0))
    assert (clock.seconds(0), clock.since_first(0)) == (1, 0)


def test_the_rate_is_exact_where_the_container_rounds_it_or_its_times():
    two_hours = np.arange(216_000 * 1001, step=1001) // 30  # Matroska's milliseconds
    clock = frame_clock(two_hours, time_base=MILLISECOND, stated_rates=[Fraction(2997, 100), NTSC])
    assert (clock.rate, clock.is_variable) == (NTSC, False)
    avi = frame_clock(np.arange(68), time_base=Fraction(66667, 1000000), stated_rates=[Fraction(1000000, 66667)])
    assert avi.rate == 15
    with pytest.raises(ValueError, match="never descend"):
        frame_clock(np.array([0, 2, 1]), time_base=MILLISECOND)
    with pytest.raises(ValueError, match="0 frames"):
        frame_clock(np.empty(0, np.int64), time_base=MILLISECOND)
