"""Messages between a reading process and its parent: a line of JSON, and the pixels of a frame after it."""

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

HEAD = struct.Struct("<II")  # bytes of JSON, bytes of pixels


def send(channel: socket.socket, message: dict[str, Any], pixels: memoryview | bytes = b"") -> None:
    """Raises OSError where nobody is there any more."""
    text = json.dumps(message).encode()
    channel.sendall(HEAD.pack(len(text), memoryview(pixels).nbytes) + text)
    if pixels:
        channel.sendall(pixels)


def receive(
    channel: socket.socket, *, wait: Callable[[], None] = lambda: None
) -> tuple[dict[str, Any], bytearray] | None:
    """(message, pixels); None where the other side has ended.

    wait: called before each read of a part, which waits for as long as it takes: a process may hang in mid-message.
    """
    head = _read(channel, HEAD.size, wait)
    if head is None:
        return None
    text_bytes, pixel_bytes = HEAD.unpack(head)
    text, pixels = _read(channel, text_bytes, wait), _read(channel, pixel_bytes, wait)
    return None if text is None or pixels is None else (json.loads(text), pixels)


def _read(channel: socket.socket, count: int, wait: Callable[[], None]) -> bytearray | None:
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        wait()
        try:
            got = channel.recv_into(view[done:])
        except ConnectionError:
            return None
        if got == 0:
            return None
        done += got
    return data
