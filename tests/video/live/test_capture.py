"""A source as a process of its own reads it: the same frames as any reader's, and an end whatever happens in it."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.timed_films import seconds_by_pyav, timed_film
from tests.video.live.senders import LISTEN, free_port, send, write_steps
from videxp.video import open_video
from videxp.video.live import capture as capturing
from videxp.video.live.capture import Capture, LiveFrame, LostSource
from videxp.video.live.options import CaptureOptions
from videxp.video.live.source import read_source
from videxp.video.sequence import VideoFile

STOCK = """
import sys, av
av.open(sys.argv[1], options={"stimeout": "200000", "rtsp_transport": "tcp"})
"""


def read_all(capture: Capture, size: tuple[int, int] | None = None) -> list[LiveFrame]:
    frames = []
    while (frame := capture.take(size)) is not None:
        frames.append(frame)
    capture.close()
    return frames


@pytest.mark.slow
def test_a_file_is_read_as_predict_reads_it(tmp_path: Path):
    """Pixels, numbers and times, of a variable rate and a late start; accurately where restoration asks for it."""
    times = [1 + s for s in (0, 0.04, 0.1, 0.5, 0.52)]
    film = timed_film(tmp_path / "a.mp4", times, sound_from=0, b_frames=2)
    source = read_source(str(film))
    frames = read_all(capture := Capture(source, CaptureOptions()))
    assert capture.opened is not None and capture.opened.size == (48, 64) and capture.opened.policy == "wait"
    assert [frame.number for frame in frames] == list(range(5)) and capture.counts.captured == 5
    assert [frame.seconds for frame in frames] == pytest.approx(seconds_by_pyav(film), abs=1e-4)
    with open_video(film) as reader:
        assert np.array_equal(np.stack([frame.pixels_HWC for frame in frames]), reader.frames(range(5)).numpy())
        small = np.stack([pixels.copy() for _, pixels in reader.pictures(range(5), size=(24, 30))])
    accurate = read_all(Capture(source, CaptureOptions(is_accurate=True)))
    for ours, picture in zip(accurate, VideoFile(film), strict=True):
        assert np.array_equal(ours.pixels_HWC, picture.pixels_HWC)
    scaled = read_all(Capture(source, CaptureOptions()), size=(24, 30))
    assert np.array_equal(np.stack([frame.pixels_HWC for frame in scaled]), small)


def test_a_file_waits_however_slow_its_reader_is(tmp_path: Path):
    film = write_steps(tmp_path / "a.mp4", 40)
    capture = Capture(read_source(str(film)), CaptureOptions(buffer=2))
    first = capture.take()
    time.sleep(0.2)
    rest = read_all(capture)
    assert first is not None and [frame.number for frame in [first, *rest]] == list(range(40))
    assert capture.counts == capturing.Counts(captured=40, dropped=0)


@pytest.mark.slow
def test_a_paced_file_before_a_slow_network_drops_and_counts(tmp_path: Path):
    """As from a camera: of 60 frames in 0.6 s, one is taken each 0.05 s, and none is older than the buffer lasts."""
    film = write_steps(tmp_path / "a.mp4", 60, fps=100)
    numbers, start = [], time.monotonic()
    capture = Capture(read_source(str(film)), CaptureOptions(policy="drop", pace="real", buffer=4))
    while (frame := capture.take()) is not None:
        assert start < frame.captured_at < time.monotonic()
        assert capture.counts.captured - frame.number <= 4
        numbers.append(frame.number)
        assert round(frame.pixels_HWC.mean() / 5) == frame.number % 50
        time.sleep(0.05)
    capture.close()
    assert capture.counts.captured == 60 == len(numbers) + capture.counts.dropped
    assert numbers[-1] == 59 and len(numbers) < 30


def test_stdin_is_read_by_the_reading_process(tmp_path: Path):
    film = write_steps(tmp_path / "a.mkv", 12)
    lines = "from videxp.video.live.capture import Capture\nfrom videxp.video.live.options import CaptureOptions\n"
    lines += "from videxp.video.live.source import read_source\ncapture = Capture(read_source('-'), CaptureOptions())\n"
    lines += "while (frame := capture.take()): print(frame.number, round(frame.pixels_HWC.mean() / 5))"
    with film.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", lines], stdin=file, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [word for n in range(12) for word in (str(n), str(n))]


@pytest.mark.slow
def test_a_silent_server_is_given_up_on(monkeypatch: pytest.MonkeyPatch):
    """It takes the connection and says nothing. The option that tutorials name, `stimeout`, waits on."""
    monkeypatch.setattr(capturing, "GRACE_SECONDS", 60)  # the start of a process is in it
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"rtsp://ann:Ottokar77@127.0.0.1:{server.getsockname()[1]}/cam"
        stock = subprocess.Popen([sys.executable, "-c", STOCK, address], stderr=subprocess.DEVNULL)
        start = time.monotonic()
        with pytest.raises(LostSource, match=r"rtsp://127.0.0.1:\d+/cam: no answer for 0\.4 s") as lost:
            Capture(read_source(address), CaptureOptions(timeout_seconds=0.4))
        assert 0.4 < time.monotonic() - start < 60 and "Ottokar77" not in str(lost.value)
        assert stock.poll() is None
        stock.kill()
        stock.wait()


@pytest.mark.slow
@pytest.mark.parametrize("is_sending", [False, True])
def test_a_process_that_hangs_is_ended(is_sending: bool, monkeypatch: pytest.MonkeyPatch):
    """As in a read of FFmpeg's that nothing interrupts, or with half a frame sent."""
    port = free_port()
    sender = send(address := f"rtsp://127.0.0.1:{port}/cam", count=1000)
    capture = Capture(read_source(address), CaptureOptions(timeout_seconds=60, options=LISTEN))
    assert capture.take() is not None
    command = Path(f"/proc/{capture.process.pid}/cmdline").read_text()
    assert "reading" in command and address not in command
    if is_sending:
        capture._ask((960, 1280))  # more than a socket holds
        assert select.select([capture._channel], [], [], 10)[0]
        time.sleep(0.3)
    os.kill(capture.process.pid, signal.SIGSTOP)
    capture._patience = 0.5
    monkeypatch.setattr(capturing, "GRACE_SECONDS", 0.2)
    with pytest.raises(LostSource, match=r"no answer for 0\.5 s"):
        read_all(capture)
    capture.close()
    assert capture.process.returncode == -signal.SIGKILL
    sender.wait()


def test_a_wait_can_be_stopped(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        address = f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam"
        capture = Capture(read_source(address), CaptureOptions(), stopped=stop.is_set)
        assert capture.opened is None
        capture.close()


@pytest.mark.parametrize(("content", "cause"), [(b"", "the file is empty"), (b"no video " * 99, "not a video file")])
def test_a_file_that_cannot_be_opened(tmp_path: Path, content: bytes, cause: str):
    (file := tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(LostSource, match=cause):
        Capture(read_source(str(file)), CaptureOptions())


def test_a_camera_that_gives_no_pictures():
    with pytest.raises(LostSource, match="/dev/null: "):
        Capture(read_source("/dev/null"), CaptureOptions(timeout_seconds=2))
