"""Live sources drop the oldest frame and count it, files wait, and a file's own pace is that of its times."""

import threading
from collections import deque

import pytest

from videxp.video.live.buffer import Counts, FrameBuffer, Pace


def test_a_live_source_is_never_further_behind_than_its_buffer_lasts():
    """Frames come 30 times a second, a network takes 0.11 s for each: on a clock that the test turns."""
    fps, length, work = 30, 8, 0.11
    buffer: FrameBuffer[int] = FrameBuffer(length, policy="drop")
    unbounded: deque[int] = deque()
    now, came, taken, lags, stock_lags = 0.0, 0, [], [], []
    while now < 20:
        now += work
        while came / fps <= now:
            buffer.put(came)
            unbounded.append(came)
            came += 1
        item, counts = buffer.take()
        assert item is not None
        taken.append(item)
        lags.append(now - item / fps)
        stock_lags.append(now - unbounded.popleft() / fps)
        waiting = counts.captured - counts.dropped - len(taken)
        assert 0 <= waiting < length and counts.captured == came
    assert max(stock_lags) > 10  # a queue without an end: every second that passes adds to it
    assert max(lags) < length / fps
    assert taken == sorted(set(taken))
    buffer.close()
    rest = 0
    while buffer.take()[0] is not None:
        rest += 1
    assert buffer.take() == (None, Counts(came, came - len(taken) - rest))


def test_a_source_that_waits_loses_nothing_and_is_never_ahead_by_more_than_the_buffer():
    buffer: FrameBuffer[int] = FrameBuffer(4, policy="wait")
    put: list[int] = []

    def produce() -> None:
        for number in range(200):
            buffer.put(number)
            put.append(number)
        buffer.close()

    thread = threading.Thread(target=produce)
    thread.start()
    taken: list[int] = []
    while (item := buffer.take()[0]) is not None:
        taken.append(item)
        assert len(put) <= len(taken) + 5  # four that wait, and one that was just let in
    thread.join()
    assert taken == list(range(200)) and buffer.take()[1] == Counts(200, 0)


def test_frames_pass_at_their_own_times_and_late_ones_at_once():
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        now[0] += seconds

    pace = Pace(clock=lambda: now[0], sleep=sleep)
    pace.wait_until(2.0)  # the first at once, wherever its time starts
    pace.wait_until(2.04)
    now[0] += 0.1  # the network took its time
    pace.wait_until(2.08)
    pace.wait_until(2.12)
    pace.wait_until(2.16)
    assert slept == [0.04, 0.02] and now[0] == pytest.approx(100.16)
