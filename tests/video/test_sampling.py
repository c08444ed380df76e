import numpy as np
import pytest

from videxp.video import (
    clip_at_fps,
    evenly_spaced_clips,
    evenly_spaced_clips_at_fps,
    frame_range,
    random_clip,
    random_clip_at_fps,
    uniform_segments,
)
from videxp.video.timing import FrameTimes

NTSC = 30000 / 1001


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_random_clip_takes_every_start_at_which_it_fits_and_no_other():
    starts = {int(random_clip(10, num_frames=3, stride_frames=2, rng=rng(seed))[0]) for seed in range(200)}
    assert starts == {0, 1, 2, 3, 4, 5}
    clip = random_clip(10, num_frames=3, stride_frames=2, rng=rng())
    assert clip.dtype == np.int64
    assert np.diff(clip).tolist() == [2, 2]


def test_a_short_video_loops_or_clamps():
    assert random_clip(3, num_frames=4, stride_frames=1, rng=rng()).tolist() == [0, 1, 2, 0]
    assert random_clip(3, num_frames=4, stride_frames=1, rng=rng(), short="clamp").tolist() == [0, 1, 2, 2]
    assert clip_at_fps(FrameTimes(3, 10), num_frames=4, target_fps=10).tolist() == [0, 1, 2, 0]
    assert clip_at_fps(FrameTimes(3, 10), num_frames=4, target_fps=10, short="clamp").tolist() == [0, 1, 2, 2]


def test_the_same_generator_state_gives_the_same_clip():
    a, b = (random_clip(300, num_frames=8, stride_frames=4, rng=rng(5)) for _ in range(2))
    assert a.tolist() == b.tolist()


def test_bounds_keep_all_samplers_inside():
    for seed in range(50):
        for clip in (
            random_clip(100, num_frames=4, stride_frames=3, rng=rng(seed), start_frame=20, end_frame=40),
            random_clip_at_fps(
                FrameTimes(100, NTSC), num_frames=4, target_fps=9, rng=rng(seed), start_frame=20, end_frame=40
            ),
            uniform_segments(100, num_segments=5, rng=rng(seed), start_frame=20, end_frame=40),
            evenly_spaced_clips(100, num_clips=3, num_frames=9, stride_frames=4, start_frame=20, end_frame=40),
        ):
            assert clip.min() >= 20 and clip.max() < 40


def test_seconds_become_frames_that_start_inside_them():
    assert frame_range(FrameTimes(100, 10), start_seconds=1.0, end_seconds=2.0) == (10, 20)
    assert frame_range(FrameTimes(100, NTSC), start_seconds=1.0, end_seconds=2.0) == (
        30,
        60,
    )  # frame 30 starts at 1.001 s
    assert frame_range(FrameTimes(100, 10)) == (0, 100)
    assert frame_range(FrameTimes(100, 10), end_seconds=99) == (0, 100)
    with pytest.raises(ValueError, match=r"100 frames at 10 fps"):
        frame_range(FrameTimes(100, 10), start_seconds=10.5, end_seconds=11)


def test_a_clip_by_time_shows_what_is_on_display():
    assert clip_at_fps(FrameTimes(100, 30), num_frames=4, target_fps=10).tolist() == [0, 3, 6, 9]
    assert clip_at_fps(FrameTimes(100, 10), num_frames=4, target_fps=20).tolist() == [0, 0, 1, 1]
    assert clip_at_fps(FrameTimes(100, NTSC), num_frames=4, target_fps=10).tolist() == [0, 2, 5, 8]
    assert clip_at_fps(FrameTimes(100, 25), num_frames=2, target_fps=5, start_seconds=1.0).tolist() == [25, 30]


def test_time_does_not_drift_at_29_97_fps_where_a_rounded_stride_does():
    # 64 frames at 10 fps: the last is due at 6.3 s. fps rounded down and floor-divided gives stride 29 // 10 = 2.
    stock = np.arange(64) * (int(NTSC) // 10)
    assert stock[-1] / NTSC == pytest.approx(4.2, abs=0.01)
    clip = clip_at_fps(FrameTimes(400, NTSC), num_frames=64, target_fps=10)
    assert clip[-1] == 188  # on display from 6.273 s to 6.306 s
    due_seconds = np.arange(64) / 10
    assert np.all(clip / NTSC <= due_seconds)
    assert np.all(due_seconds < (clip + 1) / NTSC)


@pytest.mark.parametrize("source_fps", [NTSC, 24000 / 1001, 25.0, 59.94, 10.0])
@pytest.mark.parametrize("target_fps", [3.0, 7.5, 10.0, 25.0, NTSC])
def test_every_frame_of_a_clip_by_time_is_the_one_on_display(source_fps, target_fps):
    for start_seconds in (0.0, 0.1, 1 / 3, 1.0, 2.002):
        clip = clip_at_fps(
            FrameTimes(10_000, source_fps), num_frames=50, target_fps=target_fps, start_seconds=start_seconds
        )
        due_seconds = start_seconds + np.arange(50) / target_fps
        assert np.all(clip / source_fps <= due_seconds + 1e-6)
        assert np.all(due_seconds <= (clip + 1) / source_fps + 1e-6)


def test_at_its_own_rate_a_clip_by_time_takes_every_frame_once():
    for fps in (NTSC, 24000 / 1001, 59.94, 30.0):
        assert clip_at_fps(FrameTimes(2000, fps), num_frames=2000, target_fps=fps).tolist() == list(range(2000))


def test_random_clips_by_time_reach_both_ends_and_never_wrap():
    clips = [
        random_clip_at_fps(FrameTimes(300, NTSC), num_frames=16, target_fps=7.5, rng=rng(seed)) for seed in range(500)
    ]
    assert all(np.all(np.diff(clip) >= 3) and np.all(np.diff(clip) <= 4) for clip in clips)
    assert min(int(clip[0]) for clip in clips) == 0
    assert max(int(clip[-1]) for clip in clips) >= 297


def test_segments_are_equal_and_centered_in_testing_random_in_training():
    assert uniform_segments(12, num_segments=3).tolist() == [2, 6, 10]
    assert uniform_segments(2, num_segments=4).tolist() == [0, 0, 1, 1]
    assert uniform_segments(1, num_segments=3).tolist() == [0, 0, 0]
    seen = [set(), set(), set()]
    for seed in range(200):
        for segment, frame in enumerate(uniform_segments(12, num_segments=3, rng=rng(seed))):
            seen[segment].add(int(frame))
    assert seen == [{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}]


def test_views_are_spread_from_the_start_to_the_end():
    views = evenly_spaced_clips(10, num_clips=3, num_frames=2, stride_frames=2)
    assert views.tolist() == [[0, 2], [4, 6], [7, 9]]
    assert evenly_spaced_clips(10, num_clips=1, num_frames=2, stride_frames=2).tolist() == [[4, 6]]
    views = evenly_spaced_clips_at_fps(FrameTimes(30, 10), num_clips=2, num_frames=2, target_fps=5)
    assert views.tolist() == [[0, 2], [27, 29]]
    assert evenly_spaced_clips(3, num_clips=2, num_frames=4, stride_frames=1).tolist() == [[0, 1, 2, 0]] * 2


@pytest.mark.parametrize(
    ("call", "received"),
    [
        (lambda: random_clip(0, num_frames=1, stride_frames=1, rng=rng()), "total_frames must be > 0, not 0"),
        (lambda: random_clip(9, num_frames=0, stride_frames=1, rng=rng()), "num_frames must be > 0, not 0"),
        (lambda: random_clip(9, num_frames=1, stride_frames=-2, rng=rng()), "stride_frames must be > 0, not -2"),
        (
            lambda: clip_at_fps(FrameTimes(9, float("nan")), num_frames=1, target_fps=1),
            "fps must be > 0, not nan",
        ),
        (lambda: clip_at_fps(FrameTimes(9, 1), num_frames=1, target_fps=1, short="wrap"), "not 'wrap'"),
        (lambda: clip_at_fps(FrameTimes(9, 1), num_frames=1, target_fps=1, start_seconds=-1), "not -1"),
        (lambda: uniform_segments(9, num_segments=2, start_frame=5, end_frame=12), "start_frame=5, end_frame=12"),
    ],
)
def test_errors_name_the_value_received(call, received):
    with pytest.raises(ValueError, match=received):
        call()
