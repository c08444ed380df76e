"""A source as a process of its own reads it: frames when they are asked for, and an end whatever that process does.

Shapes: H, W as displayed, C = 3 (red, green, blue), uint8 in [0,255].
"""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from videxp.core.errors import VidexpError
from videxp.core.processes import program
from videxp.video.live.buffer import Counts
from videxp.video.live.messages import receive, send
from videxp.video.live.options import CaptureOptions
from videxp.video.live.source import LiveSource

LOOK_SECONDS = 0.1  # between two looks at whether to go on
GRACE_SECONDS = 5.0
"""After its own timeout, by which a process that works has said so; its start is in it."""


class LostSource(VidexpError):
    """A source that cannot be opened, or not be read on; `cause` in one line."""

    def __init__(self, source: LiveSource, cause: str) -> None:
        self.cause = cause
        super().__init__(f"{source.shown}: {cause}")


@dataclass(frozen=True)
class LiveFrame:
    """A frame, and when it was shown and read."""

    pixels_HWC: np.ndarray
    number: int
    """Among all that were captured: one that is missing was dropped."""
    seconds: float
    captured_at: float
    """By `time.monotonic`."""


@dataclass(frozen=True)
class Opened:
    """What is known of a source with its first frame."""

    size: tuple[int, int]
    """(height, width) as displayed"""
    fps: float
    """As stated; 25 where nothing is."""
    policy: str
    ends: bool
    """Whether its end is an end: a live source that ends is lost."""


class _Stopped(Exception):
    """Nobody waits any more."""


class Capture:
    """Opens the source in a new process. `stopped` is looked at while waiting. Close it: it ends that process.

    Raises LostSource where it cannot be opened.
    """

    def __init__(
        self, source: LiveSource, options: CaptureOptions, *, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self.source, self._stopped = source, stopped
        self.counts = Counts(0, 0)
        self._patience = options.timeout_seconds + GRACE_SECONDS if source.is_lasting else None
        self._is_asked = False
        self._channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    program("from videxp.video.live.reading import main\nmain()"),
                    str(theirs.fileno()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=None if source.kind == "stdin" else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is answered here
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        try:
            send(self._channel, {"source": asdict(source), "options": options.as_dict()})
            message, _ = self._next()
            self.opened = None if message is None else _opened(message)
        except BaseException:
            self.close()
            raise

    def take(self, size: tuple[int, int] | None = None) -> LiveFrame | None:
        """The next frame that waits; None at the end, and when it was stopped. size: to be scaled to.

        Raises LostSource where a source that lasts ends, and any that cannot be read on.
        """
        self._ask(size)
        message, pixels = self._next()
        if message is None:
            return None
        self._is_asked = False
        self.counts = Counts(message["captured"], message["dropped"])
        if message["kind"] == "ended":
            assert self.opened is not None
            if message["cause"] or not self.opened.ends:
                raise LostSource(self.source, message["cause"] or "it ended")
            return None
        if self.opened is not None and self.opened.policy == "wait":
            self._ask(size)  # it is made ready meanwhile
        picture_HWC = np.frombuffer(pixels, np.uint8).reshape(*message["size"], 3)
        return LiveFrame(picture_HWC, message["number"], message["seconds"], message["captured_at"])

    def _ask(self, size: tuple[int, int] | None) -> None:
        if not self._is_asked:
            try:
                send(self._channel, {"size": size})
            except OSError:
                pass  # what it has said before it ended is still to be read
            self._is_asked = True

    def _next(self) -> tuple[dict[str, Any] | None, bytearray]:
        """A message and its pixels; (None, nothing) when it was stopped."""
        try:
            answer = receive(self._channel, wait=self._wait)
        except _Stopped:
            return None, bytearray()
        if answer is None:
            raise LostSource(self.source, f"its reading process ended (exit status {self._status()})")
        if answer[0]["kind"] == "failed":
            raise LostSource(self.source, answer[0]["cause"])
        return answer

    def _wait(self) -> None:
        """Until there is something to read. Raises _Stopped, and LostSource where nothing comes for too long."""
        since = time.monotonic()
        while not select.select([self._channel], [], [], LOOK_SECONDS)[0]:
            if self._stopped():
                raise _Stopped
            if self._patience is not None and time.monotonic() - since > self._patience:
                raise LostSource(self.source, f"no answer for {self._patience:g} s")

    def _status(self) -> int | None:
        try:
            return self.process.wait(1)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """Whatever the process hangs in."""
        self.process.kill()
        self.process.wait()
        self._channel.close()


def _opened(message: dict[str, Any]) -> Opened:
    height, width = message["size"]
    return Opened((height, width), message["fps"], message["policy"], message["ends"])
