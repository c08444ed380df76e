"""Which frames of each video a split is read with: the choices of a recipe, applied to one sample."""

from dataclasses import dataclass, replace
from math import isnan
from typing import Literal

import numpy as np

from videxp.video.sampling import (
    Short,
    evenly_spaced_clips,
    evenly_spaced_clips_at_fps,
    frame_range,
    random_clip,
    random_clip_at_fps,
    uniform_segments,
    whole_at_fps,
)
from videxp.video.timing import FrameTimes

Sampling = Literal["clip", "segments"]


@dataclass(frozen=True)
class ClipChoice:
    """`clips` None: at random, `random_clips` of them (training); 1: the central one; more: evenly spaced from start to
    end.

    num_frames "all": the whole video from its start (every stride_frames-th frame, or clip_fps of them per second).
    clip: num_frames in a row, every stride_frames-th or, where clip_fps is given, as many per second.
    segments: one frame of each of num_frames equal parts of the video (TSN).
    """

    num_frames: int | Literal["all"]
    stride_frames: int = 1
    clip_fps: float | None = None
    sampling: Sampling = "clip"
    short: Short = "loop"
    clips: int | None = None
    random_clips: int = 1

    def with_clips(self, clips: int, *, num_frames: int | Literal["all"] | None = None) -> "ClipChoice":
        """For evaluation; `num_frames` None: as many as in training."""
        return replace(self, clips=clips, num_frames=num_frames or self.num_frames)

    def frames(
        self, times: FrameTimes, *, start_seconds: float, end_seconds: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Frame indices int64 [K,T] of a video with these times, between two of them (nan: its start, its end)."""
        start, end = self._bounds(times, start_seconds, end_seconds)
        if self.clips is not None:
            return self._clips(times, start, end, rng=rng)
        return np.concatenate([self._clips(times, start, end, rng=rng) for _ in range(self.random_clips)])

    def part(self, times: FrameTimes, *, start_seconds: float, end_seconds: float) -> FrameTimes:
        """The times of what lies between two of them (nan: the video's start, its end)."""
        return times.part(*self._bounds(times, start_seconds, end_seconds))

    @staticmethod
    def _bounds(times: FrameTimes, start_seconds: float, end_seconds: float) -> tuple[int, int]:
        return frame_range(
            times,
            start_seconds=None if isnan(start_seconds) else start_seconds,
            end_seconds=None if isnan(end_seconds) else end_seconds,
        )

    def played_fps(self, times: FrameTimes, *, start_seconds: float, end_seconds: float) -> float:
        """Frames per second at which a clip plays as fast, on average, as what it is from of the video."""
        part = self.part(times, start_seconds=start_seconds, end_seconds=end_seconds)
        if self.sampling == "segments" and self.num_frames != "all":
            return self.num_frames / part.since_first(part.num_frames)
        return self.clip_fps or part.fps / self.stride_frames

    def _clips(self, times: FrameTimes, start: int, end: int, *, rng: np.random.Generator) -> np.ndarray:
        length, total = self.num_frames, times.num_frames
        if length == "all":
            if self.clip_fps is None:
                return np.arange(start, end, self.stride_frames)[None]
            return whole_at_fps(times, target_fps=self.clip_fps, start_frame=start, end_frame=end)[None]
        if self.sampling == "segments":
            drawn = rng if self.clips is None else None
            return uniform_segments(total, num_segments=length, rng=drawn, start_frame=start, end_frame=end)[None]
        if self.clip_fps is None:
            bounds = {"start_frame": start, "end_frame": end}
            size = {"num_frames": length, "stride_frames": self.stride_frames}
            if self.clips is None:
                return random_clip(total, rng=rng, short=self.short, **size, **bounds)[None]
            return evenly_spaced_clips(total, num_clips=self.clips, short=self.short, **size, **bounds)
        if self.clips is None:
            return random_clip_at_fps(
                times,
                num_frames=length,
                target_fps=self.clip_fps,
                rng=rng,
                short=self.short,
                start_frame=start,
                end_frame=end,
            )[None]
        return evenly_spaced_clips_at_fps(
            times,
            num_clips=self.clips,
            num_frames=length,
            target_fps=self.clip_fps,
            short=self.short,
            start_frame=start,
            end_frame=end,
        )
