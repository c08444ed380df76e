"""What the service counts, as Prometheus reads it (text format 0.0.4)."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds in seconds."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RECENT = 0.2
"""Weight of the newest batch in `seconds_per_answer`."""


class Meters:
    def __init__(self) -> None:
        self.in_flight = self.restarts = self.batches = self.batched = 0
        self.seconds_per_answer = 0.0
        self.statuses: Counter[int] = Counter()
        self.seconds_sum, self.buckets = 0.0, [0] * (len(BUCKETS) + 1)

    @contextmanager
    def timed_batch(self, size: int) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.batches += 1
        self.batched += size
        seconds = (time.perf_counter() - start) / size
        self.seconds_per_answer += RECENT * (seconds - self.seconds_per_answer)

    def count_request(self, status: int, seconds: float) -> None:
        """Of a prediction; seconds: from its first byte to its last one."""
        self.statuses[status] += 1
        if status == 200:
            self.seconds_sum += seconds
            self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def text(self, *, ready: int, slots: int) -> str:
        lines = [*_head("videxp_requests_total", "counter", "Requests for a prediction, by status.")]
        lines += [
            f'videxp_requests_total{{status="{status}"}} {count}' for status, count in sorted(self.statuses.items())
        ]
        lines += _head("videxp_request_seconds", "histogram", "From a request to its answer, of those that got one.")
        count = 0
        for bound, number in zip((*BUCKETS, "+Inf"), self.buckets):
            count += number
            lines.append(f'videxp_request_seconds_bucket{{le="{bound}"}} {count}')
        lines += [f"videxp_request_seconds_sum {self.seconds_sum:.6f}", f"videxp_request_seconds_count {count}"]
        for name, kind, what, value in (
            ("videxp_requests_in_flight", "gauge", "Requests taken in, waiting or under way.", self.in_flight),
            ("videxp_request_slots", "gauge", "Requests that may be in flight.", slots),
            ("videxp_workers_ready", "gauge", "Workers that can answer.", ready),
            ("videxp_worker_restarts_total", "counter", "Workers that were replaced.", self.restarts),
            ("videxp_batches_total", "counter", "Batches that workers answered.", self.batches),
            ("videxp_batched_requests_total", "counter", "Requests in them.", self.batched),
        ):
            lines += [*_head(name, kind, what), f"{name} {value}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]
