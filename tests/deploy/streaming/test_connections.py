"""Over a cut connection, a network that is too slow and ten thousand frames: all frames are counted, none piles up."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.video.live.senders import LISTEN, free_port, send, write_steps
from videxp.core.memory import read_bytes
from videxp.deploy.streaming.connections import wait_seconds
from videxp.deploy.streaming.course import run_stream
from videxp.deploy.streaming.outputs import Outputs, Places, open_outputs
from videxp.deploy.streaming.streamer import Answer
from videxp.video import write_video
from videxp.video.live.capture import LiveFrame, LostSource
from videxp.video.live.options import CaptureOptions
from videxp.video.live.source import read_source


class Levels:
    """Answers with a frame's level, and with its number since the stream began or was begun anew: its state."""

    about: ClassVar[dict[str, Any]] = {"latency_frames": 0}
    remedy = ""
    is_accurate = False

    def __init__(self, *, seconds: float = 0.0, seen: list[Any] | None = None) -> None:
        self.seconds, self.seen = seconds, seen

    def picture_size(self, size: tuple[int, int]) -> None:
        return None

    def answers(self, frames: Iterator[LiveFrame], *, draw: bool) -> Iterator[Answer]:
        for number, frame in enumerate(frames):
            if self.seconds:
                time.sleep(self.seconds)
            if self.seen is not None:
                self.seen.append(number)
            yield Answer(frame, {"level": round(float(frame.pixels_HWC.mean()) / 5), "since": number})


class Kept(Outputs):
    """Lines in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.fps = 0.0

    def write_line(self, value: dict[str, Any]) -> None:
        self.lines.append(value)

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "event" not in line]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == name]


@contextmanager
def serving(content: bytes, *, length: int) -> Iterator[str]:
    """The address of an HTTP server that has one file; it says that this has `length` bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:
                pass  # it asked for a part

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.mp4"
        server.shutdown()


def stream(streamer: Any, source: str, kept: Kept, *, options: CaptureOptions | None = None, **more: Any) -> int:
    return run_stream(streamer, read_source(source), options or CaptureOptions(), kept, about={}, draws=False, **more)


@pytest.mark.slow
def test_a_cut_connection_is_opened_again_and_nothing_is_left_of_the_one_before():
    address = f"rtsp://ann:Ottokar77@127.0.0.1:{free_port()}/cam"
    first, second = send(address, count=20), send(address, count=10, waits=True)
    seen: list[int] = []

    class Twice(Kept):
        def tell(self, event: str, **facts: Any) -> None:
            super().tell(event, **facts)
            if event == "reconnecting" and second.stdin is not None:
                second.stdin.close()

    kept = Twice()
    options = CaptureOptions(timeout_seconds=2, options={**LISTEN, "listen_timeout": "2"})
    # A listener's own timeout ends the third attempt.
    status = stream(Levels(seen=seen), address, kept, options=options, attempts=1)
    for sender in (first, second):
        sender.wait()
    assert [line["level"] for line in kept.answers] == [*range(20), *range(10)]
    assert [line["since"] for line in kept.answers] == seen == [*range(20), *range(10)]
    assert [line["frame"] for line in kept.answers] == list(range(30))
    times = [line["pts"] for line in kept.answers]
    assert times == sorted(times) and times[20] - times[19] > 0.5  # it was away for longer than the wait
    assert [event["event"] for event in kept.lines if "event" in event] == [
        *("opened", "connected", "reconnecting", "connected", "reconnecting", "ended")
    ]
    (ended,) = kept.events("ended")
    assert status == 1 and ended["reason"].startswith("lost: ")
    assert (ended["captured"], ended["processed"], ended["dropped"], ended["connections"]) == (30, 30, 0, 2)
    assert "Ottokar77" not in repr(kept.lines)


@pytest.mark.slow
def test_a_file_of_a_server_is_read_to_its_end_once(tmp_path: Path):
    """Its length is known, so nothing of it is dropped; where it breaks off it does not begin anew."""
    write_video(tmp_path / "a.mp4", np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8), fps=25)
    whole = (tmp_path / "a.mp4").read_bytes()
    for served, status in ((whole, 0), (whole[: len(whole) * 2 // 3], 1)):
        with serving(served, length=len(whole)) as address:
            kept = Kept()
            assert stream(Levels(seconds=0.002), address, kept, attempts=3) == status
        assert kept.events("connected")[0]["policy"] == "wait" and not kept.events("reconnecting")
        answered = [line["frame"] for line in kept.answers]
        assert answered == list(range(60 if status == 0 else len(answered)))
        assert len(answered) > 20 and kept.events("ended")[0]["captured"] == len(answered)


def test_attempts_come_later_and_later():
    assert [wait_seconds(attempt) for attempt in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@pytest.mark.slow
def test_a_slow_network_before_a_live_source_drops_and_the_sum_holds(tmp_path: Path):
    film = write_steps(tmp_path / "a.mp4", 60, fps=100)
    kept = Kept()
    options = CaptureOptions(policy="drop", pace="real", buffer=4)
    assert stream(Levels(seconds=0.05), str(film), kept, options=options) == 0
    (ended,) = kept.events("ended")
    assert ended["captured"] == 60 == ended["processed"] + ended["dropped"]
    assert ended["answers"] == ended["processed"] == len(kept.answers) < 30
    assert kept.events("dropped")[0]["frames"] > 0
    assert all(line["level"] == line["frame"] % 50 for line in kept.answers)


def test_the_same_network_before_a_file_loses_nothing(tmp_path: Path):
    film = write_steps(tmp_path / "a.mp4", 30)
    kept = Kept()
    assert stream(Levels(seconds=0.005), str(film), kept, options=CaptureOptions(buffer=2)) == 0
    assert [line["level"] for line in kept.answers] == list(range(30))
    (ended,) = kept.events("ended")
    assert (ended["captured"], ended["processed"], ended["dropped"], ended["reason"]) == (30, 30, 0, "end")


def test_a_file_that_breaks_off_is_answered_up_to_there(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    write_video(film := tmp_path / "a.mkv", noise, fps=25)
    film.write_bytes(film.read_bytes()[:-20_000])
    kept = Kept()
    assert stream(Levels(), str(film), kept) == 1
    answered = [line["frame"] for line in kept.answers]
    assert answered == list(range(len(answered))) and 10 < len(answered) < 30
    assert kept.events("ended")[0]["reason"] == "lost: it breaks off: 20,000 bytes are missing at its end"


def test_what_cannot_be_opened_is_an_error(tmp_path: Path):
    (file := tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(LostSource, match="not a video file"):
        stream(Levels(), str(file), Kept())


def test_a_stop_ends_a_file_and_what_it_had_ready_was_never_captured(tmp_path: Path):
    film = write_steps(tmp_path / "a.mp4", 40)
    kept = Kept()
    stream(Levels(), str(film), kept, stopped=lambda: len(kept.answers) >= 7)
    (ended,) = kept.events("ended")
    assert (ended["captured"], ended["processed"], ended["dropped"]) == (7, 7, 0)
    assert ended["reason"] == "interrupted"


def test_a_stop_before_the_source_is_open_leaves_nothing(tmp_path: Path):
    film = write_steps(tmp_path / "a.mp4", 4)
    kept = Kept()
    assert stream(Levels(), str(film), kept, stopped=lambda: True) == 0
    assert kept.lines == []


@pytest.mark.slow
def test_ten_thousand_frames_take_no_more_memory_than_a_thousand(tmp_path: Path):
    film = write_steps(tmp_path / "a.avi", 10_000, codec="mpeg4")
    resident: dict[int, int] = {}

    class Measuring(Levels):
        def answers(self, frames: Iterator[LiveFrame], *, draw: bool) -> Iterator[Answer]:
            for answer in super().answers(frames, draw=draw):
                if answer.frame.number in (1_000, 9_999):
                    resident[answer.frame.number] = read_bytes(Path("/proc/self/status"), "VmRSS") or 0
                yield answer

    with open_outputs(Places(tmp_path / "a.jsonl", None, None, shows=False)) as outputs:
        run_stream(Measuring(), read_source(str(film)), CaptureOptions(), outputs, about={}, draws=False)
    assert (tmp_path / "a.jsonl").read_text().count('"level"') == 10_000
    assert resident[9_999] - resident[1_000] < 1 << 20
