"""What a stream is read from, and that no message, file or process list tells its password."""

import subprocess
import sys
from pathlib import Path

import pytest

import videxp
from videxp.core.errors import BadRequest
from videxp.core.process_title import hide_arguments
from videxp.core.secrets import scrubbed
from videxp.video.live.source import read_source, secrets_of, shown_address

SCRIPT = """
import sys
sys.path.append(sys.argv[2])
from videxp.core.process_title import hide_arguments
from videxp.video.live.source import secrets_of
shown = lambda: open("/proc/self/cmdline").read().split(chr(0))[2]
print(shown())
hide_arguments(secrets_of(sys.argv[1]))
print(shown(), sys.argv[1], sep=chr(10))
"""
ADDRESSES = {
    "rtsp://ann:Ottokar77@10.0.0.7:554/cam/1?token=x9": ("rtsp://10.0.0.7:554/cam/1", ["Ottokar77", "token=x9"]),
    "rtsp://ann:p/w@d@host/cam": ("rtsp://host/cam", ["p/w@d"]),
    "rtsp://host:554/user=ann_password=Ottokar77_channel=1": (
        "rtsp://host:554/user=...",
        ["ann_password=Ottokar77_channel=1"],
    ),
    "rtmp://host/live/a8Kd-93kQ": ("rtmp://host/live/...", ["a8Kd-93kQ"]),
    "http://host/video.mp4": ("http://host/video.mp4", []),
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_shown_without_its_secrets(address: str):
    shown, secrets = ADDRESSES[address]
    assert (shown_address(address), secrets_of(address)) == (shown, secrets)
    source = read_source(address)
    assert (source.kind, source.address, source.shown) == ("network", address, shown)
    assert source.hide(f"Connection to {address} refused") == f"Connection to {shown} refused"


def test_a_password_is_blotted_out_of_whatever_is_said_later():
    read_source("rtsp://ann:Bl%2Fue7horse@camera/1")
    assert "horse" not in scrubbed("401 for ann, Bl/ue7horse") + scrubbed("in Bl%2Fue7horse")


def test_kinds_of_sources(tmp_path: Path):
    file = tmp_path / "a.mp4"
    file.touch()
    assert read_source(str(file)).kind == "file"
    assert read_source("-").kind == "stdin"
    assert read_source("/dev/null").kind == "camera"  # a device; that it gives no pictures is found when it is opened
    for text, words in {
        str(tmp_path / "no.mp4"): "no such video file, camera",
        str(tmp_path): "is a folder",
        "/dev/video97": "no such camera",
        "ftp://ann:Ottokar77@host/a.mp4": r"ftp://host/a.mp4: ftp:// is not supported: one of rtsp://",
    }.items():
        with pytest.raises(BadRequest, match=words) as refused:
            read_source(text)
        assert "Ottokar77" not in str(refused.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="command lines in ps: told by Linux's /proc alone")
def test_the_list_of_processes_does_not_tell_it(tmp_path: Path):
    (script := tmp_path / "script.py").write_text(SCRIPT)
    address = "rtsp://ann:Ottokar77@host/cam"
    words = [sys.executable, script, address, str(Path(videxp.__file__).parents[1])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    before, after, own = done.stdout.splitlines()
    assert before == own == address  # as ps shows it to everybody; the program itself still has it
    assert after == "rtsp://ann:*********@host/cam"


def test_nothing_to_hide():
    hide_arguments([])
    hide_arguments(["", "not among the arguments"])
