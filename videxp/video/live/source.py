"""What a stream is read from: a file, a camera, an address of a network, or stdin; and how it is named in messages."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from videxp.core.errors import BadRequest
from videxp.core.secrets import remember

Kind = Literal["file", "camera", "network", "stdin"]
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "tcp")
SENDING = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "tcp")
"""Those that pictures can be sent to."""
KEY_SCHEMES = ("rtmp", "rtmps")
"""The last part of these addresses is a key: who knows it may publish."""


@dataclass(frozen=True)
class LiveSource:
    """`address` is for FFmpeg alone: it may hold a password. `shown` is for people and files."""

    kind: Kind
    address: str
    shown: str

    @property
    def is_lasting(self) -> bool:
        """Whether it may be there again after it was lost."""
        return self.kind in ("camera", "network")

    def hide(self, text: str) -> str:
        """A message of FFmpeg's about it, without its address."""
        return text.replace(self.address, self.shown)


def read_source(text: str) -> LiveSource:
    """`VIDEO.mp4`, `/dev/video0`, `rtsp://user:password@host/path`, `-`.

    Raises BadRequest for a file or camera that is not there, a folder, and an address of another kind.
    """
    if text == "-":
        return LiveSource("stdin", text, "stdin")
    if "://" in text:
        return read_address(text)
    path = Path(text)
    if text.startswith("/dev/video") or (path.exists() and stat.S_ISCHR(path.stat().st_mode)):
        if not path.exists():
            raise BadRequest(f"{text}: no such camera: ls /dev/video* lists those that are there")
        return LiveSource("camera", text, text)
    if path.is_dir():
        raise BadRequest(f"{text} is a folder: a stream is read from one video file, a camera or an address")
    if not path.is_file() or not os.access(path, os.R_OK):
        raise BadRequest(f"{text}: no such video file, camera (/dev/video0), address (rtsp://...) or - for stdin")
    return LiveSource("file", text, text)


def read_address(text: str, *, schemes: tuple[str, ...] = SCHEMES) -> LiveSource:
    """Its password is blotted out of all that this process says from now on. Raises BadRequest for another scheme."""
    scheme = text.partition("://")[0].lower()
    if scheme not in schemes:
        known = ", ".join(f"{scheme}://" for scheme in schemes)
        raise BadRequest(f"{shown_address(text)}: {scheme}:// is not supported: one of {known}")
    for secret in secrets_of(text):
        remember(secret)
        remember(unquote(secret))
    return LiveSource("network", text, shown_address(text))


def shown_address(text: str) -> str:
    """Without what may be secret: user and password, the query, values within the path, and the key of RTMP.

    rtsp://ann:hunter2@10.0.0.7:554/cam/1?token=x -> rtsp://10.0.0.7:554/cam/1
    rtmp://host/live/a8Kd93kQ -> rtmp://host/live/...
    """
    scheme, _, rest = text.partition("://")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    if "@" in rest:  # a password may hold a slash
        host, slash, path = rest.rpartition("@")[2].partition("/")
    path = re.sub(r"=[^/&;]*", "=...", path)
    if scheme.lower() in KEY_SCHEMES and "/" in path:
        path = f"{path.rpartition('/')[0]}/..."
    return f"{scheme}://{host}{slash}{path}"


def secrets_of(text: str) -> list[str]:
    """Parts of an address that may be secret: the password, the query, values within the path, the key of RTMP."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return []
    before, at, after = rest.rpartition("@")
    place, _, query = after.partition("?")
    found = [before.partition(":")[2] if at else "", query, *re.findall(r"=([^/&;]+)", place)]
    if scheme.lower() in KEY_SCHEMES and place.count("/") > 1:
        found.append(place.rpartition("/")[2])
    return [secret for secret in found if secret]
