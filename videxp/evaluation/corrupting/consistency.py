"""How often a prediction changes when the clip begins a few frames later: what somebody sees who watches it live."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from videxp.data.loading.clips import ClipChoice
from videxp.evaluation.subject import Subject, Tested
from videxp.video.timing import FrameTimes

SHIFT_FRAMES = 2  # of the video


@dataclass(frozen=True)
class ShiftedChoice(ClipChoice):
    """The same clips, each `shift_frames` later; where its video ends before, earlier; where there is room for neither,
    as it is."""

    shift_frames: int = 0

    def frames(
        self, times: FrameTimes, *, start_seconds: float, end_seconds: float, rng: np.random.Generator
    ) -> np.ndarray:
        frames_KT = super().frames(times, start_seconds=start_seconds, end_seconds=end_seconds, rng=rng)
        start, end = self._bounds(times, start_seconds, end_seconds)
        fits_later = frames_KT.max(1) + self.shift_frames < end
        fits_earlier = frames_KT.min(1) - self.shift_frames >= start
        shift_K = np.where(fits_later, self.shift_frames, np.where(fits_earlier, -self.shift_frames, 0))
        return frames_KT + shift_K[:, None]


def measure_consistency(subject: Subject, tested: Tested) -> dict[str, Any]:
    """{"videos": those whose clips could be shifted, "flips": the share of them that are then predicted otherwise};
    `does_not_apply` where no video is longer than its clips.

    tested: the predictions of the clips as they are.
    """
    dataset = subject.datamodule.dataset("test")
    choice = dataset.choice
    shifted = ShiftedChoice(**vars(choice), shift_frames=SHIFT_FRAMES)
    rng = np.random.default_rng(0)  # a test's choice draws nothing
    before = {row["index"]: row["predicted"] for row in tested.rows}
    moved = []
    for index in before:
        place = {"times": dataset.times(index), **dataset.seconds(index), "rng": rng}
        if (choice.frames(**place) != shifted.frames(**place)).any():
            moved.append(index)
    if not moved:
        return {"does_not_apply": f"no video has {SHIFT_FRAMES} frames more than its clips take"}
    dataset.choice = shifted
    try:
        after = {row["index"]: row["predicted"] for row in subject.test().rows}
    finally:
        dataset.choice = choice
    flips = sum(before[index] != after[index] for index in moved)
    return {"shift_frames": SHIFT_FRAMES, "videos": len(moved), "flips": flips / len(moved)}
