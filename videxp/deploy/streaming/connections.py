"""A source's frames over all its connections, counted; one that is lost is opened again, later and later."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from videxp.video.live.capture import Capture, LiveFrame, LostSource, Opened
from videxp.video.live.options import CaptureOptions
from videxp.video.live.source import LiveSource

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
TELL_SECONDS = 1.0  # between two events about dropped frames

Tell = Callable[..., None]
"""tell(event, **facts)"""


@dataclass
class Totals:
    """captured = processed + dropped. Seconds: of the time that frames waited to be processed."""

    captured: int = 0
    processed: int = 0
    dropped: int = 0
    connections: int = 0
    lag_max: float = 0.0


@dataclass(frozen=True)
class Connection:
    """What is known of it, and its frames up to its end."""

    opened: Opened
    frames: Iterator[LiveFrame]


def wait_seconds(attempt: int) -> float:
    """Before the attempt: 0.5, 1, 2 ... 30."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1))


class Connections:
    """Iterated over: one `Connection` after the other, whose frames are to be taken up to their end before the next.

    attempts: at opening it again, in a row. picture_size: see `Streamer`. tell: of events. stopped: whether to end.
    Afterwards `lost` says why it could not be read on; "" where it ended or was stopped.
    """

    def __init__(
        self,
        source: LiveSource,
        options: CaptureOptions,
        *,
        attempts: int,
        picture_size: Callable[[tuple[int, int]], tuple[int, int] | None],
        tell: Tell,
        stopped: Callable[[], bool],
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self.source, self.options = source, options
        self.totals = Totals()
        self.lost = ""
        self._attempts, self._picture_size = attempts, picture_size
        self._tell, self._stopped, self._sleep = tell, stopped, sleep
        self._began: float | None = None  # when the first frame came
        self._seconds = 0.0  # of the last frame
        self._told_at = 0.0

    def __iter__(self) -> Generator[Connection, None, None]:
        """Raises LostSource where the source cannot be opened in the first place."""
        capture: Capture | None = Capture(self.source, self.options, stopped=self._stopped)
        while capture is not None:
            try:
                if capture.opened is None:  # stopped before it was open
                    return
                self.totals.connections += 1
                opened, self.lost = capture.opened, ""
                yield Connection(opened, self._frames(capture))
            finally:
                capture.close()
            is_gone = not self.lost or not self.source.is_lasting or opened.ends  # a file over HTTP would begin anew
            capture = None if is_gone else self._open_again()

    def _frames(self, capture: Capture) -> Iterator[LiveFrame]:
        """Numbers and times go on from one connection to the next."""
        assert capture.opened is not None
        before, processed, late = self.totals.captured, 0, 0.0
        dropped_before, has_ended = self.totals.dropped, False
        size = self._picture_size(capture.opened.size)
        try:
            while not self._stopped():
                frame = capture.take(size)
                if frame is None:
                    has_ended = not self._stopped()
                    break
                now = time.monotonic()
                if self._began is None:
                    self._began = now - frame.seconds
                if not processed and self.totals.connections > 1:
                    late = max(now - self._began, self._seconds) - frame.seconds
                processed += 1
                self.totals.processed += 1
                self.totals.lag_max = max(self.totals.lag_max, now - frame.captured_at)
                self._tell_dropped(dropped_before + capture.counts.dropped, now)
                self._seconds = frame.seconds + late
                yield replace(frame, number=before + frame.number, seconds=self._seconds)
        except LostSource as error:
            self.lost = error.cause
        finally:
            captured, dropped = capture.counts.captured, capture.counts.dropped
            if not has_ended:  # what was still on its way: of a source that waits it was never read
                captured = processed if capture.opened.policy == "wait" else captured
                dropped = captured - processed
            self.totals.captured += captured
            self.totals.dropped = dropped_before + dropped

    def _tell_dropped(self, dropped: int, now: float) -> None:
        new = dropped - self.totals.dropped
        if new and now - self._told_at >= TELL_SECONDS:
            self.totals.dropped, self._told_at = dropped, now
            self._tell("dropped", frames=new, total=dropped)

    def _open_again(self) -> Capture | None:
        """None where it was stopped, and after the last attempt."""
        for attempt in range(1, self._attempts + 1):
            wait = wait_seconds(attempt)
            self._tell("reconnecting", cause=self.lost, attempt=attempt, of=self._attempts, wait_seconds=wait)
            until = time.monotonic() + wait
            while (left := until - time.monotonic()) > 0 and not self._stopped():
                self._sleep(min(left, 0.1))
            if self._stopped():
                self.lost = ""
                return None
            try:
                return Capture(self.source, self.options, stopped=self._stopped)
            except LostSource as error:
                self.lost = error.cause
        return None
