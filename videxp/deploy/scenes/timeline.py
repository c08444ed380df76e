"""A film on an editor's time line: a constant rate of those that timecode knows, and timecodes on it."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from videxp.video.clock import STANDARD_RATES, FrameClock

HOURS = 24  # then timecode begins again
DROP_FRAME_RATES = (Fraction(30000, 1001), Fraction(60000, 1001))


@dataclass(frozen=True)
class Timeline:
    """The film's first frame is its frame 0."""

    clock: FrameClock
    rate: Fraction
    per_frame: int
    """How many of its frames show one of the film's; 0: each boundary is rounded from its own time."""

    def place(self, frame: int) -> int:
        """The frame of the time line at which the film's `frame` begins; of `num_frames`, at which the film ends."""
        return frame * self.per_frame if self.per_frame else floor(self.exact_place(frame) + Fraction(1, 2))

    def exact_place(self, frame: int) -> Fraction:
        """The same before it is rounded."""
        return Fraction(frame * self.per_frame) if self.per_frame else self.clock.since_first(frame) * self.rate

    def __str__(self) -> str:
        """`25 fps`, `30 fps (the film's rate is variable: each cut is at the nearest frame)`."""
        if self.per_frame == 1:
            return rate_text(self.rate)
        film = "variable" if self.clock.is_variable else rate_text(self.clock.rate)
        place = "each cut is at the nearest frame" if not self.per_frame else f"{self.per_frame} of it for each frame"
        return f"{rate_text(self.rate)} (the film's rate is {film}: {place})"


def timeline_of(clock: FrameClock) -> Timeline:
    """At the film's own rate, or the lowest standard one that is a multiple of it; where none is (a variable rate, 28
    fps) at the nearest standard one."""
    if not clock.is_variable:
        for rate in STANDARD_RATES:
            if (rate / clock.rate).denominator == 1:
                return Timeline(clock, rate, int(rate / clock.rate))
    return Timeline(clock, min(STANDARD_RATES, key=lambda rate: max(rate / clock.rate, clock.rate / rate)), 0)


def timecode(number: int, rate: Fraction, *, drop_frame: bool = False) -> str:
    """`01:00:00:00`, with drop frames `01:00:00;00`: the timecode that counts frame `number` from 00:00:00:00 on.

    Frames are counted at 24, 30 or 60 a second where they come at 23.976, 29.97 or 59.94: an hour of timecode is 3.6 s
    longer than one of the clock. Drop frame leaves out the first 2 (of 60: 4) numbers of each minute but the tenth.

    Raises ValueError for more than 24 hours, and for drop frames at a rate that has none.
    """
    counted = ceil(rate)
    if drop_frame:
        if rate not in DROP_FRAME_RATES:
            raise ValueError(f"{rate_text(rate)} has no drop-frame timecode: 29.97 and 59.94 fps have")
        dropped = counted // 15
        tens, rest = divmod(number, 600 * counted - 9 * dropped)
        number += dropped * (9 * tens + max(0, rest - dropped) // (60 * counted - dropped))
    seconds, frame = divmod(number, counted)
    if seconds >= HOURS * 3600:
        raise ValueError(f"timecode has {HOURS} hours, this is {seconds / 3600:.1f}")
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{';' if drop_frame else ':'}{frame:02d}"


def rate_text(rate: Fraction) -> str:
    """`25 fps`, `29.97 fps`, `23.976 fps`."""
    return f"{float(rate):.3f}".rstrip("0").rstrip(".") + " fps"
