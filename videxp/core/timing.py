"""How long calls take: timed in turn until it no longer changes, with the CPU time that tells whether they ran alone.

Several calls are timed in rounds, each once in a round, so that whatever slows the machine slows all of them, and the
ratio of two within each round says more than their times.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

PERCENTILES = (50, 90, 95, 99)
WINDOW_CALLS = 8  # at least
WINDOWS = 10  # that the given time has room for
AGREE_WITHIN = 0.05  # of the longer median
IDLE_UNTIL = 1.2  # wall time over CPU time
STEADY = (
    f"timed until the medians of two neighboring windows agree within {100 * AGREE_WITHIN:.0f} %; a window is a "
    f"{WINDOWS}th of the given time, and {WINDOW_CALLS} calls or more; percentiles are over the calls of these two"
)
"""The rule, for whoever reads the figures."""


@dataclass(frozen=True)
class CallTimes:
    """One call's times, in seconds."""

    wall: float
    thread: float
    """CPU time of the thread that called."""
    process: float
    """CPU time of all threads of this process."""


@dataclass(frozen=True)
class Timing:
    """Times of one callable."""

    calls: Sequence[CallTimes]
    """Those that count: of the last two windows. Where no two windows agreed, the later half of all calls."""
    warmup: Sequence[CallTimes]
    """Those before them."""
    is_steady: bool
    """Whether two windows agreed before the time was up."""

    @property
    def seconds(self) -> list[float]:
        return [call.wall for call in self.calls]

    @property
    def mean(self) -> float:
        return sum(self.seconds) / len(self.calls)

    def percentiles(self) -> dict[str, float]:
        """`{"p50": seconds, "p90": ...}`, interpolated linearly between calls as numpy does."""
        return {f"p{q}": float(np.percentile(self.seconds, q)) for q in PERCENTILES}

    def wall_over_cpu(self, *, threads: int) -> float:
        """1 where the computer did nothing else meanwhile.

        threads: how many are at work at once. The CPU time that a call needs no less than its wall time is that of the
        calling thread, which computes or waits actively for the others, or the mean of all threads where it sleeps.
        """
        calls = [*self.warmup, *self.calls]
        cpu = max(sum(call.thread for call in calls), sum(call.process for call in calls) / threads)
        return sum(call.wall for call in calls) / max(cpu, 1e-9)


@dataclass
class _Rounds:
    """Rounds in windows: each is a list of rounds, each round the calls by name."""

    windows: list[list[Mapping[str, CallTimes]]] = field(default_factory=lambda: [[]])

    def medians(self, window: int) -> dict[str, float]:
        rounds = self.windows[window]
        return {name: median(one[name].wall for one in rounds) for name in rounds[0]}

    def agree(self) -> bool:
        """Whether the last two windows do, for each callable."""
        if len(self.windows) < 2:
            return False
        before, last = self.medians(-2), self.medians(-1)
        return all(abs(last[name] - before[name]) <= AGREE_WITHIN * max(last[name], before[name]) for name in last)


def time_call(call: Callable[[], Any], *, finish: Callable[[], None] | None = None) -> CallTimes:
    """finish: waits for what the call has queued on a device."""
    wall, thread, process = time.perf_counter(), time.thread_time(), time.process_time()
    call()
    if finish is not None:
        finish()
    return CallTimes(time.perf_counter() - wall, time.thread_time() - thread, time.process_time() - process)


def time_in_turn(
    callables: Mapping[str, Callable[[], Any]], *, seconds: float, finish: Callable[[], None] | None = None
) -> dict[str, Timing]:
    """Time each callable once in every round, until all are steady or `seconds` have passed; at least one round.

    The order within a round moves on by one from round to round: nobody always follows the same one.
    """
    names = list(callables)
    found = _Rounds()
    steady, number = False, 0
    begun = window_begun = time.perf_counter()
    while not steady:
        order = names[number % len(names) :] + names[: number % len(names)]
        calls = {name: time_call(callables[name], finish=finish) for name in order}
        found.windows[-1].append(calls)
        number += 1
        now = time.perf_counter()
        if len(found.windows[-1]) >= WINDOW_CALLS and now - window_begun >= seconds / WINDOWS:
            steady = found.agree()
            if not steady:
                found.windows.append([])
                window_begun = now
        if now - begun >= seconds:
            break
    rounds = [one for window in found.windows for one in window]
    counted = len(found.windows[-1]) + len(found.windows[-2]) if steady else -(-len(rounds) // 2)
    return {
        name: Timing(
            calls=[one[name] for one in rounds[-counted:]],
            warmup=[one[name] for one in rounds[:-counted]],
            is_steady=steady,
        )
        for name in names
    }


def ratios(of: Timing, to: Timing) -> dict[str, float]:
    """Time of one over that of another, timed in the same rounds: `median`, `low` and `high` over the rounds."""
    per_round = [one.wall / other.wall for one, other in zip(of.calls, to.calls, strict=True)]
    return {"median": median(per_round), "low": min(per_round), "high": max(per_round)}
