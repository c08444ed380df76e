"""Which frames of a stream a network sees: those that a clip of a file would have, chosen as they come."""

from typing import Generic, Protocol, TypeVar

from videxp.video.timing import SECONDS_EPSILON


class Timed(Protocol):
    """What comes with a time."""

    @property
    def seconds(self) -> float: ...


Item = TypeVar("Item", bound=Timed)


class Sampler(Generic[Item]):
    """Every `stride`-th frame or, where fps is given, the one on display every 1 / fps seconds from the first on.

    stride=2: 0 2 4 ...; fps=10 of a stream at 30: 0 3 6 ..., at 29.97: 0 2 5 8 ...
    """

    def __init__(self, *, stride: int = 1, fps: float | None = None) -> None:
        self._stride, self._fps = stride, fps
        self._count = 0  # frames that came, or, by time, that were chosen
        self._start = 0.0
        self._before: Item | None = None

    def take(self, item: Item) -> list[Item]:
        """Those that are known to be chosen now that `item` came: it, the one before it (several times), or none."""
        if self._fps is None:
            self._count += 1
            return [item] if (self._count - 1) % self._stride == 0 else []
        if self._before is None:
            self._start, self._before = item.seconds, item
        chosen: list[Item] = []
        while (due := self._start + self._count / self._fps) <= item.seconds + SECONDS_EPSILON:
            is_here = due >= item.seconds - SECONDS_EPSILON
            chosen.append(item if is_here else self._before)
            self._count += 1
        self._before = item
        return chosen
