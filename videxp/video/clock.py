"""When each frame of a film is shown, exactly, and at which rate an editor counts its frames.

Shapes: N frames.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike

import numpy as np

from videxp.video.container import open_container
from videxp.video.index import FrameIndex, build_index
from videxp.video.timing import frame_times

STANDARD_RATES = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(48),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)
"""Of time lines, as timecode knows them (SMPTE ST 12)."""
WRITTEN_ROUGHLY = Fraction(1, 100_000)  # 29.97 stands for 30000/1001, AVI's 1000000/66667 for 15


@dataclass(frozen=True)
class FrameClock:
    """Times in ticks of `time_base` seconds, as the container counts them."""

    ticks: np.ndarray
    """int64 [N+1], never descending: when each frame is shown, and when the last one ends."""
    time_base: Fraction
    rate: Fraction
    """Frames per second; at a variable rate that of the frames' median distance."""
    is_variable: bool = False
    start_seconds: Fraction = Fraction(0)
    """When the file starts by the same clock: with its picture or its sound, whichever is first."""

    @property
    def num_frames(self) -> int:
        return len(self.ticks) - 1

    def seconds(self, frame: int) -> Fraction:
        """When `frame` is shown, from the start of the file; of `num_frames`, when the last one ends."""
        return int(self.ticks[frame]) * self.time_base - self.start_seconds

    def since_first(self, frame: int) -> Fraction:
        """The same from the first frame on."""
        return int(self.ticks[frame] - self.ticks[0]) * self.time_base


def frame_clock(
    pts: np.ndarray,
    *,
    time_base: Fraction,
    stated_rates: Iterable[Fraction] = (),
    last_ticks: int = 0,
    start_seconds: Fraction | None = None,
) -> FrameClock:
    """The clock of frames shown at `pts` (int64 [N], never descending).

    stated_rates: what the container says; the first that explains all times is the rate, standard ones before others.
    last_ticks: how long the last frame is shown; 0: not known, then one frame at the rate. start_seconds: of the file;
    None: it starts with the first frame.

    Raises ValueError for no frames, and for times that descend.
    """
    if len(pts) == 0 or (np.diff(pts) < 0).any():
        raise ValueError(f"{len(pts)} frames: their times must be given, and never descend")
    first = int(pts[0]) * time_base
    rates = [_standard(rate) for rate in stated_rates if rate > 0]
    stated = sorted(rates, key=lambda rate: rate not in STANDARD_RATES)
    times = frame_times(
        pts,
        time_base=time_base,
        last_ticks=last_ticks,
        stated_fps=[float(rate) for rate in (*stated, *STANDARD_RATES)],
        zero_seconds=float(first),
    )
    known = {float(rate): rate for rate in (*reversed(STANDARD_RATES), *reversed(stated))}
    fps = times.fps if not times.is_variable else 1 / (float(np.median(np.diff(pts))) * float(time_base) or 0.04)
    rate = _standard(known.get(fps, Fraction(fps).limit_denominator(1001)))
    last = last_ticks or max(1, round(1 / rate / time_base))
    return FrameClock(
        ticks=np.append(pts, pts[-1] + last).astype(np.int64),
        time_base=time_base,
        rate=rate,
        is_variable=times.is_variable,
        start_seconds=first if start_seconds is None else start_seconds,
    )


def read_clock(path: str | PathLike[str]) -> FrameClock:
    """The clock of a file's frames, by its packets. Raises UnreadableVideo."""
    return clock_of_index(path, build_index(path))


def clock_of_index(path: str | PathLike[str], index: FrameIndex) -> FrameClock:
    """The same where the file's index is known already. Raises UnreadableVideo."""
    container, stream = open_container(path)
    with container:
        rates = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
        sound = [
            track.start_time * track.time_base
            for track in container.streams.audio
            if track.start_time is not None and track.time_base is not None
        ]
    return frame_clock(
        index.shown,
        time_base=index.time_base,
        stated_rates=rates,
        last_ticks=index.last_ticks,
        start_seconds=min([int(index.shown[0]) * index.time_base, *sound]),
    )


def _standard(rate: Fraction) -> Fraction:
    """The standard or whole rate that this one stands for, or itself."""
    known = (*STANDARD_RATES, Fraction(max(1, round(rate))))
    return next((one for one in known if abs(rate / one - 1) <= WRITTEN_ROUGHLY), rate)
