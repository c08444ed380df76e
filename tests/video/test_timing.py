"""Frame times against PyAV, which decodes each file from end to end."""

from collections.abc import Callable
from fractions import Fraction
from math import nan
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.timed_films import avi_with_empty_packets, numbered_picture, seconds_by_pyav, timed_film
from tests.video.conftest import Torture
from tests.video.torture_set import run_ffmpeg
from videxp.data.loading.clips import ClipChoice
from videxp.video import probe
from videxp.video.probing import scan
from videxp.video.timing import FrameTimes, repair_ticks

_rng = np.random.default_rng(0)
# Around 30 frames a second, as phones have it, then 10.
PHONE = np.cumsum([0, *(1 / 30 + _rng.uniform(-0.006, 0.006, 40)), *[0.1] * 8]).tolist()
SCREEN = [0, 0.1, 0.2, 5.0, 5.1, 9.7, 9.75]
LATE = [1 + i / 10 for i in range(20)]
WRAP = 2**33 / 90000  # seconds after which the clock of a transport stream begins again

FILMS: dict[str, Callable[[Path], Path]] = {
    "phone.mp4": lambda path: timed_film(path, PHONE, b_frames=2),
    "phone.mkv": lambda path: timed_film(path, PHONE, b_frames=2),
    "phone.ts": lambda path: timed_film(path, PHONE, b_frames=2),
    "wrapped.ts": lambda path: timed_film(path, [WRAP - 1.5 + seconds for seconds in PHONE]),
    "starts_at_7_s.mp4": lambda path: timed_film(path, [7 + seconds for seconds in PHONE]),
    "screen.mp4": lambda path: timed_film(path, SCREEN, until=12.0),
    "same_time_twice.mkv": lambda path: timed_film(path, [0, 0.1, 0.2, 0.2002, 0.3, 0.5, 0.9, 1.0]),
    "after_its_sound.mp4": lambda path: timed_film(path, LATE, sound_from=0),
    "after_its_sound.mkv": lambda path: timed_film(path, LATE, sound_from=0),
    "after_its_sound.ts": lambda path: timed_film(path, LATE, sound_from=0),
    "after_its_sound_phone.mp4": lambda path: timed_film(path, [1 + s for s in PHONE], sound_from=0),
    "before_its_sound.mp4": lambda path: timed_film(path, [i / 10 for i in range(20)], sound_from=0.7),
    "dropped.avi": lambda path: avi_with_empty_packets(path, slots=[*range(8), *range(11, 20)], fps=10),
}  # fmt: skip
CONSTANT = {name for name in FILMS if "its_sound." in name}


@pytest.fixture(scope="module", params=FILMS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """(a file, when its frames are shown)."""
    path = FILMS[request.param](tmp_path_factory.mktemp("films") / request.param)
    return path, np.array(seconds_by_pyav(path))


def test_frames_have_the_times_that_decoding_tells(film: tuple[Path, np.ndarray]) -> None:
    path, shown = film
    found = probe(path)
    times = found.times
    assert times.is_variable == (path.name not in CONSTANT)
    first = times.first_seconds
    assert np.allclose([first + times.since_first(i) for i in range(found.num_frames)], shown, rtol=0, atol=1e-6)
    assert found.fps == pytest.approx(len(shown) / (first + times.since_first(len(shown)) - shown[0]))


def test_parts_and_clips_by_time_take_what_is_shown_then(film: tuple[Path, np.ndarray]) -> None:
    path, shown = film
    times = probe(path).times
    stock_is_wrong = path.name == "before_its_sound.mp4"
    choice = ClipChoice(4, clip_fps=8.0, clips=1, short="clamp")
    for start in np.linspace(shown[0], shown[-1] - 0.4, 7):
        place = {"start_seconds": float(start), "end_seconds": float(start) + 0.7, "rng": np.random.default_rng(0)}
        inside = [i for i, seconds in enumerate(shown) if start - 1e-6 <= seconds < start + 0.7 - 1e-6]
        frames = ClipChoice("all", clips=1).frames(times, **place)[0].tolist()
        expected = inside or [max(i for i, seconds in enumerate(shown) if seconds <= start)]
        assert frames == expected
        stock_is_wrong |= frames != [i for i in range(len(shown)) if start <= i / times.fps < start + 0.7]
        clip = choice.frames(times, **place)[0]
        begin = shown[expected[0]] + max(0.0, shown[expected[-1]] - shown[expected[0]] - 3 / 8) / 2
        due = begin + np.arange(4) / 8 + 1e-6
        assert clip.tolist() == [max(i for i in expected if shown[i] <= seconds) for seconds in due]
    assert stock_is_wrong  # frames over an average rate


def test_whole_videos_at_a_rate_last_as_long_as_the_video(tmp_path: Path) -> None:
    times = probe(timed_film(tmp_path / "screen.mp4", SCREEN, until=12.0)).times
    place = {"start_seconds": nan, "end_seconds": nan, "rng": np.random.default_rng(0)}
    frames = ClipChoice("all", clip_fps=1.0, clips=1).frames(times, **place)[0]
    assert frames.tolist() == [0, 2, 2, 2, 2, 3, 4, 4, 4, 4, 6, 6]
    loops = ClipChoice(30, clip_fps=2.0, clips=1).frames(times, **place)[0]
    assert loops[24:].tolist() == [0, 2, 2, 2, 2, 2]  # after 12 s it begins again
    random = [
        ClipChoice(3, clip_fps=1.0).frames(times, **place | {"rng": np.random.default_rng(seed)})[0].tolist()
        for seed in range(40)
    ]
    assert [2, 2, 2] in random and [4, 4, 4] in random and all(clip == sorted(clip) for clip in random)
    assert ClipChoice(4).played_fps(times, start_seconds=5.0, end_seconds=9.7) == pytest.approx(2 / 4.7)
    assert ClipChoice(4, sampling="segments").played_fps(times, start_seconds=nan, end_seconds=nan) == pytest.approx(
        1 / 3
    )


def test_a_part_where_no_frame_starts_is_what_is_on_display(tmp_path: Path) -> None:
    times = probe(timed_film(tmp_path / "screen.mp4", SCREEN, until=12.0)).times
    every = ClipChoice("all", clips=1)
    for start, end, frame in ((1.0, 3.0, 2), (5.2, 5.3, 4), (10.0, 11.0, 6), (10.0, nan, 6)):
        assert every.frames(times, start_seconds=start, end_seconds=end, rng=_rng).tolist() == [[frame]]
    for start, end in ((12.0, 13.0), (3.0, 1.0)):
        with pytest.raises(
            ValueError, match=r"no frame starts between .* 7 frames at a variable rate, from 0 s to 12 s"
        ):
            every.frames(times, start_seconds=start, end_seconds=end, rng=_rng)


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24), Fraction(30)])
def test_times_rounded_to_milliseconds_are_of_a_constant_rate(fps: Fraction, tmp_path: Path) -> None:
    source = f"testsrc=size=32x32:rate={fps}:duration=4"
    run_ffmpeg(["-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", str(tmp_path / "a.mkv")])
    run_ffmpeg(["-i", str(tmp_path / "a.mkv"), "-c", "copy", str(tmp_path / "b.mp4")])
    shown = np.array(seconds_by_pyav(tmp_path / "a.mkv"))
    assert len({round(step, 6) for step in np.diff(shown)}) > 1  # the file's times are not evenly spaced
    for name in ("a.mkv", "b.mp4"):
        found = probe(tmp_path / name)
        assert not found.times.is_variable and found.first_seconds == 0
        assert found.fps == pytest.approx(float(fps), rel=1e-3 if name == "b.mp4" else 1e-12)


def test_one_dropped_frame_makes_the_rate_variable(tmp_path: Path) -> None:
    seconds = [i / 30 for i in range(60) if i != 20]
    times = probe(timed_film(tmp_path / "a.mp4", seconds)).times
    assert times.is_variable and times.first_from(1.0) == 29


def test_a_counted_file_has_the_rate_at_which_its_frames_come(tmp_path: Path) -> None:
    found = probe(avi_with_empty_packets(tmp_path / "a.avi", slots=range(0, 40, 2), fps=50))
    assert (found.num_frames, found.fps, found.duration_seconds) == (20, 25.0, 0.8)


def test_an_avi_starts_with_its_first_packet_however_late_the_decoder_is(torture: Torture) -> None:
    path, _, _ = torture("mpeg4_b_frames.avi")
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).dts == 1  # one packet later
    found, index = scan(path)
    assert found.fps == 25 and index.shown.tolist() == list(range(60))


def test_each_picture_of_a_gif_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    pictures = [Image.fromarray(numbered_picture(number)) for number in range(4)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 500, 200, 1000])
    times = probe(tmp_path / "a.gif").times
    assert times.table is not None and times.table.round(6).tolist() == [0, 0.1, 0.6, 0.8, 1.8]


def test_time_stamps_are_repaired() -> None:
    def repair(*stamps: int | None) -> list[int]:
        return repair_ticks(stamps, step=40, time_base=Fraction(1, 1000)).tolist()

    assert repair(None, 40, 80, None, 160) == [0, 40, 80, 120, 160]
    assert repair(None, None) == [0, 40]
    assert repair(0, 40, 30, 120) == [0, 40, 40, 120]
    assert repair(9000, 9040, 0, 40, 2000) == [9000, 9040, 9080, 9120, 11080]  # the clock began again


def test_a_decoder_that_counts_other_frames_has_their_rate_alone() -> None:
    times = FrameTimes(2, 10.0, 1.0, np.array([1.0, 1.1, 1.2]))
    assert times.counted_as(2) is times
    assert times.counted_as(3) == FrameTimes(3, 10.0)
