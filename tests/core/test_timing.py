"""Timing: windows, percentiles and the busy computer, by a clock turned by hand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import pytest

from videxp.core import timing
from videxp.core.timing import CallTimes, Timing, ratios, time_in_turn


@dataclass
class Clock:
    """A computer on which calls take what they are told to."""

    now: float = 0.0
    thread: float = 0.0
    process: float = 0.0

    def perf_counter(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.thread

    def process_time(self) -> float:
        return self.process

    def calls(self, seconds: Iterator[float], *, share: float = 1.0, threads: int = 1) -> Callable[[], None]:
        """A callable: each call takes the next of `seconds`, of which its threads get `share`."""

        def call() -> None:
            wall = next(seconds)
            self.now += wall
            self.thread += share * wall
            self.process += share * wall * threads

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def timed(*seconds: float) -> Timing:
    return Timing(calls=[CallTimes(one, one, one) for one in seconds], warmup=[], is_steady=True)


def test_it_is_timed_until_two_windows_agree_and_the_calls_before_count_for_nothing(clock: Clock) -> None:
    """Windows of a second: eight calls of 0.2 s, or ten of 0.1 s. Slow calls are warm-up, however many they are."""
    call = clock.calls(chain(repeat(0.2, 16), repeat(0.1)))
    found = time_in_turn({"network": call}, seconds=10)["network"]
    assert (found.is_steady, len(found.warmup), len(found.calls)) == (True, 0, 16)  # it was steady at once, at 0.2

    call = clock.calls(chain((0.4 * 0.8**i for i in range(8)), repeat(0.1)))
    found = time_in_turn({"network": call}, seconds=10)["network"]
    assert found.is_steady
    assert found.seconds == pytest.approx([0.1] * len(found.calls))
    assert len(found.warmup) == 8
    assert clock.now < 3.2 + 10


def test_a_mean_over_all_calls_would_not_be_what_a_warm_network_takes(clock: Clock) -> None:
    call = clock.calls(chain((0.4 * 0.8**i for i in range(8)), repeat(0.1)))
    found = time_in_turn({"network": call}, seconds=10)["network"]
    every = [one.wall for one in (*found.warmup, *found.calls)]
    assert np.mean(every) > 1.2 * found.mean
    assert found.mean == pytest.approx(0.1)


def test_what_never_settles_ends_when_the_time_is_up_and_says_so(clock: Clock) -> None:
    growing = clock.calls(0.05 * 1.05**i for i in range(1000))
    found = time_in_turn({"network": growing}, seconds=10)["network"]
    assert not found.is_steady
    assert 10 <= clock.now < 11
    assert len(found.calls) - len(found.warmup) in (0, 1)  # the later half
    assert time_in_turn({"slow": clock.calls(repeat(100.0))}, seconds=1)["slow"].seconds == pytest.approx([100.0])


def test_percentiles_are_numpys(clock: Clock) -> None:
    seconds = np.random.default_rng(0).gamma(2, size=57)
    found = timed(*seconds).percentiles()
    assert found == {f"p{q}": pytest.approx(np.quantile(seconds, q / 100)) for q in (50, 90, 95, 99)}
    assert timed(1, 2, 3, 4).percentiles()["p50"] == 2.5


def test_in_turn_a_slowdown_of_the_machine_leaves_the_ratio_as_it_is(clock: Clock) -> None:
    """One network takes twice as long as another; after 3 s, everything takes three times as long."""
    order: list[str] = []

    def slowing(name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            order.append(name)
            clock.now += seconds * (3 if 3 < clock.now < 9 else 1)

        return call

    apart = {name: time_in_turn({name: slowing(name, s)}, seconds=4) for name, s in (("a", 0.2), ("b", 0.1))}
    assert apart["a"]["a"].mean / apart["b"]["b"].mean != pytest.approx(2, rel=0.1)

    clock.now = 0.0
    order.clear()
    found = time_in_turn({"a": slowing("a", 0.2), "b": slowing("b", 0.1)}, seconds=10)
    assert ratios(found["a"], found["b"])["median"] == pytest.approx(2)
    assert "".join(order[:8]) == "abbaabba"  # nobody always follows the other


def test_a_ratio_is_told_with_its_range_over_the_rounds() -> None:
    assert ratios(timed(2, 3, 8), timed(1, 1, 2)) == {"median": 3, "low": 2, "high": 4}


@pytest.mark.parametrize(
    ("share", "threads", "ratio"),
    [(1.0, 1, 1.0), (0.5, 1, 2.0), (1.0, 4, 1.0), (0.5, 4, 2.0)],
)
def test_wall_over_cpu_time_tells_how_much_others_took(clock: Clock, share: float, threads: int, ratio: float) -> None:
    call = clock.calls(repeat(0.1), share=share, threads=threads)
    found = time_in_turn({"": call}, seconds=2)[""]
    assert found.wall_over_cpu(threads=threads) == pytest.approx(ratio)


def test_of_four_threads_a_part_that_one_computes_alone_makes_no_busy_machine() -> None:
    """Wall time over all CPU time per thread would be 2.5: three threads sleep for the most part."""
    alone = Timing(calls=[CallTimes(wall=1.0, thread=1.0, process=1.6)], warmup=[], is_steady=True)
    assert 1.0 / (1.6 / 4) == 2.5
    assert alone.wall_over_cpu(threads=4) == 1.0


def test_a_thread_that_waits_for_decoders_is_no_busy_machine_and_one_that_waits_for_its_turn_is() -> None:
    decoding = Timing(calls=[CallTimes(wall=1.0, thread=0.2, process=1.9)], warmup=[], is_steady=True)
    assert decoding.wall_over_cpu(threads=1) < 1
    crowded = Timing(calls=[CallTimes(wall=1.0, thread=0.3, process=0.7)], warmup=[], is_steady=True)
    assert crowded.wall_over_cpu(threads=1) == pytest.approx(1 / 0.7)
