"""A stream's course: frames from its source, answers to its outputs, and what became of it."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any

import torch

from videxp.core.lines import show_error
from videxp.deploy.streaming.connections import Connections
from videxp.deploy.streaming.outputs import Outputs
from videxp.deploy.streaming.streamer import Answer, Streamer
from videxp.video.live.capture import Opened
from videxp.video.live.options import CaptureOptions
from videxp.video.live.source import LiveSource


class Latency:
    """Of answers, in seconds: from when their frame was read to when they are written."""

    def __init__(self) -> None:
        self.count, self.total, self.most = 0, 0.0, 0.0

    def add(self, seconds: float) -> None:
        self.count, self.total, self.most = self.count + 1, self.total + seconds, max(self.most, seconds)

    def facts(self) -> dict[str, float]:
        mean = self.total / self.count if self.count else 0.0
        return {"answers": self.count, "latency_mean": round(mean, 4), "latency_max": round(self.most, 4)}


@torch.inference_mode()
def run_stream(
    streamer: Streamer,
    source: LiveSource,
    options: CaptureOptions,
    outputs: Outputs,
    *,
    about: dict[str, Any],
    draws: bool,
    attempts: int = 0,
    stopped: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], Any] = time.sleep,
) -> int:
    """Goes over the source until it ends, is lost or `stopped` says so; what frames wait for is then answered, too.

    about: of the first event. draws: whether pictures are made. Returns the exit status, 1 where it was lost.
    Raises LostSource where it cannot be opened in the first place, VidexpError where an output fails.
    """
    connections = Connections(
        source,
        options,
        attempts=attempts,
        picture_size=streamer.picture_size,
        tell=outputs.tell,
        stopped=stopped,
        sleep=sleep,
    )
    latency, start = Latency(), time.monotonic()
    with closing(iter(connections)) as each:
        for connection in each:
            if connections.totals.connections == 1:
                outputs.tell("opened", source=source.shown, **about, **streamer.about)
            _tell_connected(connection.opened, outputs)
            for answer in streamer.answers(connection.frames, draw=draws):  # nothing is left of the connection before
                _write(answer, outputs, latency)
    seconds = time.monotonic() - start
    reason = f"lost: {connections.lost}" if connections.lost else "interrupted" if stopped() else "end"
    totals = {name: round(value, 4) for name, value in asdict(connections.totals).items()}
    if connections.totals.connections:  # else stopped before there was any
        outputs.tell("ended", reason=reason, seconds=round(seconds, 3), **totals, **latency.facts())
    show_error(_summary(source, reason, totals, latency, seconds))
    return 1 if connections.lost else 0


def _tell_connected(opened: Opened, outputs: Outputs) -> None:
    height, width = opened.size
    outputs.fps = opened.fps
    outputs.tell("connected", size=f"{width}x{height}", fps=round(opened.fps, 3), policy=opened.policy)


def _write(answer: Answer, outputs: Outputs, latency: Latency) -> None:
    frame = answer.frame
    if answer.told is not None:
        late = time.monotonic() - frame.captured_at
        latency.add(late)
        where = {"frame": frame.number, "pts": round(frame.seconds, 6)}
        outputs.write_line({**where, **answer.told, "latency": round(late, 4)})
    if answer.picture_HWC is not None:
        outputs.write_picture(answer.picture_HWC, frame.seconds)


def _summary(source: LiveSource, reason: str, totals: dict[str, Any], latency: Latency, seconds: float) -> str:
    """Two lines."""
    counts = f"{totals['captured']:,} frames captured, {totals['processed']:,} processed, {totals['dropped']:,} dropped"
    rate = totals["processed"] / seconds if seconds else 0.0
    facts = latency.facts()
    late = f"latency {facts['latency_mean']:.3f} s on average, {facts['latency_max']:.3f} s at most"
    answers = f"{latency.count:,} answer{'' if latency.count == 1 else 's'}"
    pace = f"{answers} in {seconds:.1f} s ({rate:.1f} frames/s)"
    return f"{source.shown}: {reason}: {counts}\n{pace}; {late}"
