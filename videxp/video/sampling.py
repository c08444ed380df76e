"""Which frames make a clip: pure functions of numbers and a generator.

All return int64 frame indices, [T] or [K,T] (K clips of T frames), inside the bounds given by `start_frame` and
`end_frame` (`end_frame` is the first frame outside; None: the video's end). `frame_range` turns a manifest row's
`start_seconds` and `end_seconds` into such bounds. Short videos: "loop" starts again at the first frame, "clamp" holds
the last one. Time goes by when each frame is shown (`FrameTimes`): a stride rounded to whole frames drifts at 29.97
fps, and an average rate says nothing of a variable one. Frames are spread evenly where nothing is said of time.
"""

import math
from math import inf
from typing import Literal

import numpy as np

from videxp.video.timing import FRAME_EPSILON, SECONDS_EPSILON, FrameTimes

Short = Literal["loop", "clamp"]


def frame_range(
    times: FrameTimes, *, start_seconds: float | None = None, end_seconds: float | None = None
) -> tuple[int, int]:
    """(first frame, frame after the last) of the frames that start in [start_seconds, end_seconds).

    10 fps, 1.0 s to 2.0 s -> (10, 20); at 29.97 fps -> (30, 60): frame 30 starts at 1.001 s, frame 60 at 2.002 s.
    At a variable rate, where none starts in there, the one that is on display all the while.
    Raises `ValueError` if there is no frame.
    """
    _check(times)
    start = 0 if start_seconds is None else times.first_from(start_seconds)
    end = times.num_frames if end_seconds is None else times.first_from(end_seconds)
    if times.table is not None and start_seconds is not None and start == end > 0:
        until = min(times.table[-1], inf if end_seconds is None else end_seconds)
        start -= int(start_seconds < until - SECONDS_EPSILON)
    if start >= end:
        between = f"between {start_seconds or 0} s and {end_seconds} s"
        raise ValueError(
            f"no frame starts {between if end_seconds is not None else f'from {start_seconds} s on'}: {times}"
        )
    return start, end


def random_clip(
    total_frames: int,
    *,
    num_frames: int,
    stride_frames: int,
    rng: np.random.Generator,
    short: Short = "loop",
    start_frame: int = 0,
    end_frame: int | None = None,
) -> np.ndarray:
    """[T]: every `stride_frames`-th frame from a random start; every start at which the clip fits is equally likely.

    total_frames=10, num_frames=3, stride_frames=2 -> one of [0 2 4] ... [5 7 9]
    total_frames=3, num_frames=4, stride_frames=1 -> [0 1 2 0] (loop) or [0 1 2 2] (clamp)
    """
    _positive(num_frames=num_frames, stride_frames=stride_frames)
    start, end = _bounds(total_frames, start_frame, end_frame)
    span = (num_frames - 1) * stride_frames + 1
    first = int(rng.integers(0, max(0, end - start - span) + 1))
    return start + _fitted(first + stride_frames * np.arange(num_frames), end - start, short)


def clip_at_fps(
    times: FrameTimes,
    *,
    num_frames: int,
    target_fps: float,
    start_seconds: float = 0.0,
    short: Short = "loop",
    start_frame: int = 0,
    end_frame: int | None = None,
) -> np.ndarray:
    """[T]: the frames on display at start_seconds + k / target_fps, counted from the start of `start_frame`.

    source 30, target 10 -> [0 3 6 9]; source 29.97, target 10 -> 0, 2.997, 5.994 -> [0 2 5 8], not [0 3 6 9]
    source 10, target 20 -> [0 0 1 1]
    """
    _positive(num_frames=num_frames, target_fps=target_fps)
    if start_seconds < 0:
        raise ValueError(f"start_seconds must be >= 0, not {start_seconds}")
    part, start = _part(times, start_frame, end_frame)
    return start + _on_display(part, start_seconds + np.arange(num_frames) / target_fps, short)


def whole_at_fps(
    times: FrameTimes, *, target_fps: float, start_frame: int = 0, end_frame: int | None = None
) -> np.ndarray:
    """[T]: the frames on display every 1 / target_fps seconds, from the first to the end.

    source 30, 10 frames, target 10 -> [0 3 6 9]
    """
    _positive(target_fps=target_fps)
    part, start = _part(times, start_frame, end_frame)
    if part.table is None:
        positions = np.arange(start, start + part.num_frames - FRAME_EPSILON, part.fps / target_fps)
        return np.floor(positions + FRAME_EPSILON).astype(np.int64)
    seconds = np.arange(0, part.since_first(part.num_frames) - SECONDS_EPSILON, 1 / target_fps)
    return start + _on_display(part, seconds, "clamp")


def random_clip_at_fps(
    times: FrameTimes,
    *,
    num_frames: int,
    target_fps: float,
    rng: np.random.Generator,
    short: Short = "loop",
    start_frame: int = 0,
    end_frame: int | None = None,
) -> np.ndarray:
    """[T]: `clip_at_fps` from a random time, uniform over all at which the clip fits.

    300 frames at 29.97 fps, num_frames=16, target 7.5: 2 s of the 10; steps of 3 or 4 frames, 3.996 on average
    """
    _positive(num_frames=num_frames, target_fps=target_fps)
    part, start = _part(times, start_frame, end_frame)
    start_seconds = float(rng.uniform(0.0, _latest_start(part, num_frames, target_fps)))
    return start + _on_display(part, start_seconds + np.arange(num_frames) / target_fps, short)


def uniform_segments(
    total_frames: int,
    *,
    num_segments: int,
    rng: np.random.Generator | None = None,
    start_frame: int = 0,
    end_frame: int | None = None,
) -> np.ndarray:
    """[T], T = num_segments: one frame of each of equal segments (TSN); random with `rng` (training), else the center.

    total_frames=12, num_segments=3: segments [0,4) [4,8) [8,12) -> centers [2 6 10]
    total_frames=2, num_segments=4: [0,.5) [.5,1) [1,1.5) [1.5,2) -> [0 0 1 1]
    """
    _positive(num_segments=num_segments)
    start, end = _bounds(total_frames, start_frame, end_frame)
    length = (end - start) / num_segments
    offsets = np.full(num_segments, 0.5) if rng is None else rng.random(num_segments)
    frames = np.floor((np.arange(num_segments) + offsets) * length + FRAME_EPSILON).astype(np.int64)
    return start + np.minimum(frames, end - start - 1)


def evenly_spaced_clips(
    total_frames: int,
    *,
    num_clips: int,
    num_frames: int,
    stride_frames: int,
    short: Short = "loop",
    start_frame: int = 0,
    end_frame: int | None = None,
) -> np.ndarray:
    """[K,T], K = num_clips, for multi-view testing: the first clip at the start, the last at the end.

    total_frames=10, num_clips=3, num_frames=2, stride_frames=2 -> [[0 2] [4 6] [7 9]] (starts 0, 3.5 -> 4, 7)
    num_clips=1 -> the central clip, [[4 6]]
    """
    _positive(num_clips=num_clips, num_frames=num_frames, stride_frames=stride_frames)
    start, end = _bounds(total_frames, start_frame, end_frame)
    latest = max(0, end - start - (num_frames - 1) * stride_frames - 1)
    starts = np.floor(_spread(num_clips, latest) + 0.5).astype(np.int64)
    positions_KT = starts[:, None] + stride_frames * np.arange(num_frames)
    return start + _fitted(positions_KT, end - start, short)


def evenly_spaced_clips_at_fps(
    times: FrameTimes,
    *,
    num_clips: int,
    num_frames: int,
    target_fps: float,
    short: Short = "loop",
    start_frame: int = 0,
    end_frame: int | None = None,
) -> np.ndarray:
    """[K,T]: the same by time.

    30 frames at 10 fps, num_clips=2, num_frames=2, target 5 fps -> starts 0 s and 2.7 s: [[0 2] [27 29]]
    """
    _positive(num_clips=num_clips, num_frames=num_frames, target_fps=target_fps)
    part, start = _part(times, start_frame, end_frame)
    starts_K = _spread(num_clips, _latest_start(part, num_frames, target_fps))
    return start + _on_display(part, starts_K[:, None] + np.arange(num_frames) / target_fps, short)


def _on_display(times: FrameTimes, seconds: np.ndarray, short: Short) -> np.ndarray:
    """int64, shaped as `seconds` (after the first frame is shown): the frame on display at each."""
    if times.table is None:
        positions = np.floor(seconds * times.fps + FRAME_EPSILON).astype(np.int64)
        return _fitted(positions, times.num_frames, short)
    due = seconds + SECONDS_EPSILON
    if short == "loop":
        due = due % times.since_first(times.num_frames)
    return np.searchsorted(times.table[:-1], times.table[0] + due, side="right") - 1


def _latest_start(times: FrameTimes, num_frames: int, target_fps: float) -> float:
    """The latest time (s) from which the clip's last frame is the video's last: 10 frames, 10 fps, 1 frame -> 0.9 s."""
    return max(0.0, times.since_first(times.num_frames - 1) - (num_frames - 1) / target_fps)


def _spread(count: int, latest: float) -> np.ndarray:
    """`count` numbers from 0 to `latest`; one alone stands in the middle."""
    return np.array([latest / 2]) if count == 1 else np.linspace(0.0, latest, count)


def _fitted(positions: np.ndarray, total_frames: int, short: Short) -> np.ndarray:
    if short == "loop":
        return positions % total_frames
    if short == "clamp":
        return np.minimum(positions, total_frames - 1)
    raise ValueError(f"short must be 'loop' or 'clamp', not {short!r}")


def _part(times: FrameTimes, start_frame: int, end_frame: int | None) -> tuple[FrameTimes, int]:
    """(the times of the frames inside the bounds, the first of them)."""
    _check(times)
    start, end = _bounds(times.num_frames, start_frame, end_frame)
    return times.part(start, end), start


def _check(times: FrameTimes) -> None:
    _positive(total_frames=times.num_frames, fps=times.fps)


def _bounds(total_frames: int, start_frame: int, end_frame: int | None) -> tuple[int, int]:
    _positive(total_frames=total_frames)
    end = total_frames if end_frame is None else end_frame
    if not 0 <= start_frame < end <= total_frames:
        raise ValueError(f"start_frame={start_frame}, end_frame={end_frame} do not lie in a video of {total_frames}")
    return start_frame, end


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be > 0, not {value}")
