"""What is a video: by ending, and by content where the ending says nothing."""

import mimetypes
import os
import wave
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from videxp.video.file_kinds import VIDEO_ENDINGS, begins_like_a_video, is_image, is_video

# ending -> (PyAV's name of the container, codec)
CONTAINERS = {
    ".mp4": ("mp4", "mpeg4"), ".mov": ("mov", "mjpeg"), ".3gp": ("3gp", "mpeg4"), ".mkv": ("matroska", "mpeg4"),
    ".webm": ("webm", "libvpx"), ".avi": ("avi", "mpeg4"), ".ts": ("mpegts", "mpeg2video"),
    ".flv": ("flv", "flv"), ".mpg": ("mpeg", "mpeg2video"), ".wmv": ("asf", "wmv2"), ".mxf": ("mxf", "mpeg2video"),
    ".y4m": ("yuv4mpegpipe", "wrapped_avframe"), ".gif": ("gif", "gif"), ".ivf": ("ivf", "libvpx"),
    ".rm": ("rm", "rv10"), ".h264": ("h264", "libx264"), ".m2v": ("mpeg2video", "mpeg2video"),
}  # fmt: skip


def film(path: Path, container: str, codec: str, **options: str) -> Path:
    with av.open(str(path), "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height = 176, 144
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        for level in range(3):
            picture = np.full((144, 176, 3), 60 * level, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", CONTAINERS)
def test_every_container_is_a_video_by_its_ending_and_by_its_content(ending: str, tmp_path: Path) -> None:
    container, codec = CONTAINERS[ending]
    unnamed = film(tmp_path / "clip", container, codec)
    assert ending in VIDEO_ENDINGS
    assert mimetypes.guess_type(unnamed) == (None, None)  # the stock way looks at names alone
    assert begins_like_a_video(unnamed) and is_video(unnamed)
    with av.open(str(unnamed)) as container_found:  # and it is one
        assert container_found.streams.video


def test_transport_streams_of_cameras_have_packets_of_192_bytes(tmp_path: Path) -> None:
    assert begins_like_a_video(film(tmp_path / "clip", "mpegts", "mpeg2video", mpegts_m2ts_mode="1"))


def test_what_is_no_video_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("The free market moov")  # "free" and "moov" are names of boxes of MP4
    (tmp_path / "page").write_text("GGGG" * 100)  # 0x47 is a transport stream's first byte
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("a.txt", "a")
    with wave.open(str(tmp_path / "speech"), "wb") as speech:
        speech.setparams((1, 2, 8000, 0, "NONE", ""))
        speech.writeframes(bytes(1600))
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")  # opened, it would wait for ever
    for file in tmp_path.iterdir():
        assert not is_video(file), file
    for name in ("a.txt", "a.MP3", "a.jpg", "clip.mp4.part"):
        film(tmp_path / name, "mp4", "mpeg4")
        assert not is_video(tmp_path / name)


def test_endings_count_in_any_case() -> None:
    assert all(is_video(f"gone{ending.upper()}") for ending in VIDEO_ENDINGS)
    assert is_image("a.JPG") and not is_image("._a.jpg")
