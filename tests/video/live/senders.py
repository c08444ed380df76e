"""What a stream is read from in tests: files, and a program that sends pictures over RTSP as a camera's server does."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from videxp.video import write_video

SEND = """
import sys, time
import av, numpy as np
address, count, fps = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
sys.stdin.read()
for attempt in range(1000):  # until somebody listens
    try:
        output = av.open(address, "w", format="rtsp", options={"rtsp_transport": "tcp"})
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
        stream = output.add_stream("libx264", rate=int(fps), options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        output.start_encoding()
        break
    except OSError:
        time.sleep(0.05)
for number in range(count):
    picture = np.full((48, 64, 3), number * 5 % 256, np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts = number
    output.mux(stream.encode(frame))
    time.sleep(1 / fps)
output.mux(stream.encode(None))
output.close()
"""
LISTEN = {"rtsp_flags": "listen", "listen_timeout": "20"}
"""FFmpeg's options, with which a reader waits for a sender."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def send(address: str, *, count: int, fps: float = 100, waits: bool = False) -> subprocess.Popen[bytes]:
    """`count` gray pictures, each 5 levels brighter than the one before; then the connection is cut.

    waits: until its stdin is closed.
    """
    command = [sys.executable, "-c", SEND, address, str(count), str(fps)]
    return subprocess.Popen(command, stdin=subprocess.PIPE if waits else subprocess.DEVNULL)


def write_steps(
    path: Path, count: int, *, fps: float = 25, size: tuple[int, int] = (24, 32), codec: str = "libx264"
) -> Path:
    """A video of gray pictures that tell their numbers: frame n has level n % 50 * 5."""
    write_video(path, (np.full((*size, 3), n % 50 * 5, np.uint8) for n in range(count)), fps=fps, codec=codec)
    return path
