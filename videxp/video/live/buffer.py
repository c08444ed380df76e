"""Frames on their way from a source that does not wait to a network that takes its time; and a file's own pace."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Counts:
    """captured = taken + dropped + those that wait."""

    captured: int
    dropped: int


class FrameBuffer(Generic[Item]):
    """At most `length` items, between one thread that puts and one that takes.

    wait: `put` waits while it is full, so nothing is lost. drop: the oldest gives way and is counted; as long as items
    come, what is taken was put less than `length` intervals of the source ago.
    """

    def __init__(self, length: int, *, policy: Literal["wait", "drop"]) -> None:
        self.policy = policy
        self._length = length
        self._items: deque[Item] = deque()
        self._captured = self._dropped = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        with self._changed:
            if self.policy == "wait":
                self._changed.wait_for(lambda: len(self._items) < self._length)
            elif len(self._items) == self._length:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._captured += 1
            self._changed.notify_all()

    def take(self) -> tuple[Item | None, Counts]:
        """The oldest item, as soon as there is one, and what was counted so far; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closed)
            item = self._items.popleft() if self._items else None
            self._changed.notify_all()
            return item, Counts(self._captured, self._dropped)

    def close(self) -> None:
        """No more will come; those that wait can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class Pace:
    """Lets the frames of a file pass at their own times, the first at once; one that is late does not wait."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._start: float | None = None

    def wait_until(self, seconds: float) -> None:
        """seconds: when the frame is shown."""
        now = self._clock()
        if self._start is None:
            self._start = now - seconds
        if (early := self._start + seconds - now) > 0:
            self._sleep(early)
