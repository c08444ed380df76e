"""When the frames of a video are shown, in seconds from the start of its file.

A file starts where its picture or its sound does, whichever is first; players show that as 0. Shapes: N frames.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

# Positions and times are known to no better than this: 4.999999999 is frame 5, and 1.9999999 s is 2 s.
FRAME_EPSILON = 1e-6
SECONDS_EPSILON = 1e-6

ROUNDING_SECONDS = 0.002  # how far the times of a constant rate spread when they were rounded to milliseconds, twice
LONG_LAST_FRAME = 2  # frames' worth that the last one may be shown for, and the rate still be called constant


@dataclass(frozen=True)
class FrameTimes:
    """Frame i is shown from `first_seconds + i / fps` on; at a variable rate, from `table[i]` on."""

    num_frames: int
    fps: float
    """At a variable rate the average: frames over the time that they are shown."""
    first_seconds: float = 0.0
    table: np.ndarray | None = None
    """float64 [N+1], never descending; the last is when the last frame ends. None at a constant rate."""

    @property
    def is_variable(self) -> bool:
        return self.table is not None

    def since_first(self, frame: int) -> float:
        """Seconds from the first frame to `frame`; of `num_frames`, to the end."""
        return frame / self.fps if self.table is None else float(self.table[frame] - self.table[0])

    def part(self, start_frame: int, end_frame: int) -> "FrameTimes":
        """Of the frames in [start_frame, end_frame) alone; `fps` is their own average."""
        count = end_frame - start_frame
        if self.table is None:
            return FrameTimes(count, self.fps, self.first_seconds + start_frame / self.fps)
        table = self.table[start_frame : end_frame + 1]
        return FrameTimes(count, count / float(table[-1] - table[0]), float(table[0]), table)

    def first_from(self, seconds: float) -> int:
        """The first frame that is shown from `seconds` on or later; num_frames where none is."""
        if self.table is not None:
            return int(np.searchsorted(self.table[:-1], seconds - SECONDS_EPSILON))
        position = np.ceil((seconds - self.first_seconds) * self.fps - FRAME_EPSILON)
        return int(np.clip(position, 0, self.num_frames))

    def counted_as(self, num_frames: int) -> "FrameTimes":
        """For a decoder that counts other frames: nothing is known of them but the rate."""
        return self if num_frames == self.num_frames else FrameTimes(num_frames, self.fps)

    def __str__(self) -> str:
        """`100 frames at 10 fps`, `72 frames at a variable rate, from 0.5 s to 4.5 s`."""
        if self.table is not None:
            return f"{self.num_frames} frames at a variable rate, from {self.table[0]:g} s to {self.table[-1]:g} s"
        start = f" from {self.first_seconds:g} s on" if self.first_seconds else ""
        return f"{self.num_frames} frames at {self.fps:g} fps{start}"


def frame_times(
    ticks: np.ndarray, *, time_base: Fraction, last_ticks: int, stated_fps: Iterable[float], zero_seconds: float
) -> FrameTimes:
    """The times of frames that are shown at `ticks` (int64 [N], never descending) of `time_base` seconds.

    Constant where a rate explains all of them but for rounding, as Matroska's to 1 ms: the first of `stated_fps` that
    does, since a file's header has 29.97 where 30 frames in milliseconds measure 30.0; else what they measure.
    last_ticks: how long the last frame is shown; 0: not known. zero_seconds: when the file starts, by the same clock.
    """
    seconds, tick = ticks * float(time_base), float(time_base)
    first, num_frames = float(seconds[0]) - zero_seconds, len(ticks)
    span = float(seconds[-1] - seconds[0])
    stated = [fps for fps in stated_fps if fps > 0]
    measured = [(num_frames - 1) / span] if span > 0 else []
    for fps in [*stated, *measured] or [25.0]:
        if _explains(fps, seconds, tick=tick) and last_ticks * tick <= LONG_LAST_FRAME / fps + ROUNDING_SECONDS:
            return FrameTimes(num_frames, fps, first if abs(first) > SECONDS_EPSILON else 0.0)
    last = last_ticks * tick or float(seconds[-1] - seconds[-2] if num_frames > 1 else 0) or 1 / (stated or [25.0])[0]
    table = np.append(seconds, seconds[-1] + last) - zero_seconds
    return FrameTimes(num_frames, num_frames / (span + last), first, table)


def _explains(fps: float, seconds: np.ndarray, *, tick: float) -> bool:
    drift = seconds - np.arange(len(seconds)) / fps
    return float(np.ptp(drift)) <= min(max(tick, ROUNDING_SECONDS), 0.5 / fps) + 1e-9


def repair_ticks(stamps: Sequence[int | None], *, step: int, time_base: Fraction) -> np.ndarray:
    """int64 [N], never descending: the time stamps of frames in the order in which they are shown.

    One that is missing is `step` after the one before. One that is a little early is moved up; where the clock jumps
    back by more than a second (recordings one after another), all that follows goes on from there.

    [None, 40, 80, None, 160], step 40 -> 0 40 80 120 160
    """
    known = next((number for number, stamp in enumerate(stamps) if stamp is not None), None)
    if known is None:
        return np.arange(len(stamps), dtype=np.int64) * step
    first = stamps[known]
    assert first is not None
    ticks, shift = [first - (known - number) * step for number in range(known)], 0
    for stamp in stamps[known:]:
        before = ticks[-1] if ticks else first
        now = before + step if stamp is None else stamp + shift
        if (before - now) * time_base > 1:
            shift += before + step - now
            now = before + step
        ticks.append(max(now, before))
    return np.array(ticks, np.int64)
