"""Which frames of each video training, validation and test read: a recipe's choices, and one applied to a sample."""

from dataclasses import dataclass, replace
from math import isnan
from typing import Annotated, Literal

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.data.manifest import Split
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
Frames = Annotated[int, Ge(1)] | Literal["all"]


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Which frames of each video training, validation and test read: `dataset.clips`.

    Raises BadRequest for several test clips, and for whole videos, of segments.
    """

    clip_fps: Annotated[float, Interval(gt=0, le=1000)] | None = None
    """Frames of a clip per second of video; None goes by dataset.stride_frames."""
    sampling: Sampling = "clip"
    """clip: frames in a row. segments: one of each of num_frames equal parts of the video (TSN)."""
    short: Short = "loop"
    """What a clip does that is longer than its video: start again, or hold the last frame (clamp)."""
    clips_per_video: Annotated[int, Ge(1)] = 1
    """Training clips of each video of a batch, taken from it while it is open, each cut and changed in its own way:
    repeated (or batch) augmentation, Hoffer et al. 2020. A step then has batch_size * clips_per_video clips, which
    resemble each other more than those of as many videos."""
    train_repeats: Annotated[int, Ge(1)] = 1
    """How often an epoch meets each training video, each time with another clip of it."""
    val_frames: Frames | None = None
    """Frames of a clip in validation; None: num_frames; "all": the whole video."""
    test_frames: Frames | None = None
    """The same of a clip in testing."""
    test_clips: Annotated[int, Ge(1)] = 1
    """Clips of each video in testing, evenly spaced; predictions are averaged per video."""

    def __post_init__(self) -> None:
        if self.sampling == "segments" and self.test_clips > 1:
            key = f"dataset.clips.test_clips={self.test_clips}"
            raise BadRequest(f"{key}: sampling=segments makes one clip of a whole video; set 1")
        for key in ("val_frames", "test_frames"):
            if self.sampling == "segments" and getattr(self, key) == "all":
                raise BadRequest(f"dataset.clips.{key}=all: whole videos are read by dataset.clips.sampling=clip")

    def choice(self, split: Split, *, num_frames: int, stride_frames: int = 1) -> "ClipChoice":
        """Which frames of a video the split's stage reads: train a random clip, val the central one, test all clips.

        num_frames: of a clip in training. stride_frames: it has every so many-th frame of what it spans.
        """
        of_training = ClipChoice(
            num_frames, stride_frames, self.clip_fps, self.sampling, self.short, random_clips=self.clips_per_video
        )
        if split == "train":
            return of_training
        return of_training.with_clips(1 if split == "val" else self.test_clips, num_frames=self.eval_frames(split))

    def eval_frames(self, split: Split) -> Frames | None:
        """Frames of a clip in an evaluation, of `val` or `test`."""
        return self.val_frames if split == "val" else self.test_frames


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
