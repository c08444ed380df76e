"""Why a request is not answered: a status of HTTP and one line, in which there is no path."""

import math
import re
from dataclasses import dataclass

A_PATH = re.compile(r"(?<![\w.<])(?:[A-Za-z]:)?[\\/]\w")


@dataclass(frozen=True)
class RequestLimits:
    """What one request may cost."""

    max_bytes: int
    max_seconds: float
    """Of video."""
    max_pixels: int
    """Of a frame: width x height."""
    seconds: float
    """Of work: decoding and prediction."""
    memory_bytes: int
    """That a worker may take beyond what it has before its first video."""


class Refused(Exception):
    """`status` of HTTP; `retry_after` in seconds where it may be asked again."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.retry_after = None if retry_after is None else math.ceil(retry_after)


def without_paths(text: str, *, folder: str) -> str:
    """The first line of a message on a file in `folder`; what names another path is not told at all."""
    line = re.sub(rf"{re.escape(folder)}[^\s:,'\"]*", "the video", text.strip().partition("\n")[0])
    return "the video cannot be answered" if A_PATH.search(line) else line
