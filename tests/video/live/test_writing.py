"""Pictures written as they come: at their own times, to a file that is whole or not there, and to a server."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.live.senders import free_port
from videxp.core.errors import VidexpError
from videxp.video.live.source import read_address
from videxp.video.live.writing import send_to, write_file

LISTENER = """
import sys, av
options = {"rtsp_flags": "listen", "listen_timeout": "20"}
with av.open(sys.argv[1], options=options, timeout=(20, 20)) as container:
    try:
        for frame in container.decode(video=0):
            print(round(frame.to_ndarray(format="rgb24").mean()), flush=True)
    except OSError:
        pass
"""


def gray(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_a_file_has_each_picture_at_its_time(tmp_path: Path, name: str):
    """Times as a live source has them: with gaps where frames were dropped, and the same twice."""
    seconds = [0, 0.04, 0.32, 0.32, 0.36, 2.0]
    with write_file(tmp_path / name, fps=25) as writer:
        for number, when in enumerate(seconds):
            writer.write(gray(40 * number), when)
        assert not (tmp_path / name).exists()
    with av.open(str(tmp_path / name)) as container:
        frames = list(container.decode(video=0))
    tick = 1 / 90000 if name == "a.mp4" else 0.001
    assert [frame.time for frame in frames] == pytest.approx(seconds, abs=2 * tick)
    levels = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    assert levels == pytest.approx([40 * n for n in range(6)], abs=2)


def test_a_file_that_is_not_finished_is_not_there(tmp_path: Path):
    refused = pytest.raises(VidexpError, match=r"a\.mp4: pictures are now 32x24, were 64x48")
    with refused, write_file(tmp_path / "a.mp4", fps=25) as writer:
        writer.write(gray(0), 0)
        writer.write(gray(0, 24, 32), 0.04)
    assert list(tmp_path.iterdir()) == []


def test_pictures_reach_a_server():
    address = f"rtsp://ann:Ottokar77@127.0.0.1:{free_port()}/live"
    listener = subprocess.Popen([sys.executable, "-c", LISTENER, address], stdout=subprocess.PIPE, text=True)
    for _ in range(1000):  # until it listens
        try:
            with send_to(read_address(address), fps=25) as writer:
                for number in range(20):
                    writer.write(gray(10 * number), number / 25)
            break
        except VidexpError:
            time.sleep(0.05)
    levels = [int(line) for line in listener.communicate(timeout=60)[0].split()]
    assert levels == pytest.approx([10 * number for number in range(20)], abs=2)


def test_a_server_that_is_not_there_is_told_without_its_password():
    target = read_address("rtsp://ann:Ottokar77@127.0.0.1:9/live")
    with pytest.raises(VidexpError) as failed, send_to(target, fps=25) as writer:
        writer.write(gray(0), 0)
    assert str(failed.value) == "--to rtsp://127.0.0.1:9/live: cannot be written: Connection refused"


@pytest.mark.slow
def test_a_server_that_says_nothing_is_given_up_on():
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = read_address(f"rtsp://127.0.0.1:{server.getsockname()[1]}/live")
        silent = pytest.raises(VidexpError, match=r"--to rtsp://127.0.0.1:\d+/live: no answer for 0\.4 s")
        with silent, send_to(target, fps=25, timeout_seconds=0.4) as writer:
            writer.write(gray(0), 0)
