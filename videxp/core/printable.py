"""What videxp prints: names of files, classes and runs may come from anyone, and messages may hold keys.

A terminal obeys what it is sent: a name can retitle its window, fill its clipboard, or paint over other lines. So
characters that are not to be seen are written as they would be typed in Python, and secrets are blotted out.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from videxp.core.secrets import scrubbed

# Control characters but tab and newline; what turns the direction of writing; halves of characters, as which Python
# reads bytes of a name that are no UTF-8.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""`bad\x1b]0;title\x07.mp4` with its backslashes; text that can be seen stays as it is."""
    return _HIDDEN.sub(_escape, text)


def in_one_line(text: str) -> str:
    r"""A name as a cell of a table or a part of a line: tabs and line ends with their backslashes, too."""
    return printable(re.sub(r"[\t\n]", _escape, text))


def as_typed_here(path: Path) -> Path:
    """Relative where it lies in the current folder; else as it is."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def as_json(value: Any, *, indent: int | None = None) -> str:
    """JSON in which names can be read, and hidden characters stand as JSON's own escapes: printed, it stays JSON."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


@contextmanager
def clean_streams() -> Iterator[None]:
    """Meanwhile, what is printed is `printable` and without secrets, whether to a terminal, a file or a pipe."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, CleanStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class CleanStream:
    """A text stream in front of another."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        # What rich's Console writes to instead: colors are its own, and `videxp.core.console` cleans the text in them.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        self.stream.write(text if text == "\n" else printable(scrubbed(text)))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # the byte that it stands for
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def number_text(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """`48 s`, `12 min 05 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def aligned(rows: list[tuple[str, ...]], *, right: set[int]) -> list[str]:
    """Columns of equal width, two blanks apart; those of numbers end, others begin, beneath one another."""
    rows = [tuple(map(in_one_line, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines
