"""Reads a video by several access patterns and holds every frame against ffmpeg's own decode."""

from dataclasses import dataclass, field

import numpy as np

from tests.video.torture_set import Kind, stamped_number, upright
from videxp.core.errors import VidexpError
from videxp.video import Probe, VideoReader, open_video

# Mean difference in grey levels: swscale versions scale chroma and 10 bits differently, by less than 1.2 here.
TOLERANCE = 1.5


@dataclass
class Outcome:
    """What one decoder made of one file."""

    compared: int = 0
    wrong: list[int] = field(default_factory=list)
    refused: str = ""
    largest_difference: float = 0.0


def clips(num_frames: int) -> list[list[int]]:
    """Random single frames, strided clips, the tail, repeats out of order."""
    rng = np.random.default_rng(7)
    single = [[int(i)] for i in rng.integers(num_frames, size=10)]
    strided = [
        list(range(int(first), num_frames, stride))[:8]
        for stride, first in enumerate(rng.integers(num_frames, size=5), 1)
    ]
    tail = list(range(max(0, num_frames - 5), num_frames))
    return [*single, *strided, tail, [num_frames - 1, 0, num_frames // 2, 0]]


def compare(
    path: object,
    kind: Kind,
    reference_THWC: np.ndarray,
    *,
    decoder: str,
    probe: Probe | None = None,
    allow_unsafe: bool = False,
) -> Outcome:
    """A refusal counts as such, whether it comes at opening or for some clip; a silently wrong frame is `wrong`."""
    outcome = Outcome()
    try:
        reader = open_video(path, decoder=decoder, probe=probe, allow_unsafe=allow_unsafe)
    except VidexpError as error:
        outcome.refused = str(error)
        return outcome
    with reader:
        if reader.num_frames != len(reference_THWC):
            outcome.wrong.append(-1)
        for indices in clips(min(reader.num_frames, len(reference_THWC))):
            _compare_clip(reader, indices, kind, reference_THWC, outcome)
    return outcome


def _compare_clip(
    reader: VideoReader, indices: list[int], kind: Kind, reference_THWC: np.ndarray, outcome: Outcome
) -> None:
    try:
        clip_THWC = reader.frames(indices).numpy()
    except VidexpError as error:
        outcome.refused = str(error)
        return
    for index, picture_HWC in zip(indices, clip_THWC):
        expected_HWC = reference_THWC[index]
        difference = float(np.abs(picture_HWC.astype(np.int16) - expected_HWC).mean())
        same_stamp = stamped_number(upright(picture_HWC, kind)) == stamped_number(upright(expected_HWC, kind))
        outcome.compared += 1
        outcome.largest_difference = max(outcome.largest_difference, difference)
        if not same_stamp or difference > TOLERANCE:
            outcome.wrong.append(index)
