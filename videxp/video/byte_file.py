"""Bytes of a file, from a place to a place: on a disk, or in an object store through fsspec.

A clip is one range of bytes, so that an object store is asked once for each.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from videxp.video.errors import one_line

R = TypeVar("R")

REMOTE = "://"
WAITS_SECONDS = (0.2, 1.0, 3.0)
"""Before the second, third and fourth try."""
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""What a store answers under load; other statuses stay as they are."""
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotImplementedError, ValueError, ImportError)
_filesystems: dict[tuple[int, str], Any] = {}  # by process: what a store's client holds does not outlive a fork


class ByteFile(Protocol):
    def read(self, start: int, end: int) -> bytes:
        """Fewer where the file ends before. Raises OSError; a store that is busy is asked again."""

    def close(self) -> None:
        """May be called twice."""


def is_remote(path: str | os.PathLike[str]) -> bool:
    """`s3://bucket/key`, `https://host/file`: a path for fsspec."""
    return REMOTE in str(path)


def open_bytes(path: str | os.PathLike[str]) -> ByteFile:
    """Raises OSError if a local file is gone; of a remote one, reading tells."""
    return _RemoteFile(str(path)) if is_remote(path) else _LocalFile(path)


def filesystem(url: str) -> tuple[Any, str]:
    """(fsspec's file system of this process, the path in it). Raises ImportError where its package is missing."""
    import fsspec
    from fsspec.core import strip_protocol

    protocol = url.split(REMOTE, 1)[0]
    key = (os.getpid(), protocol)
    if key not in _filesystems:
        _filesystems[key] = fsspec.filesystem(protocol, skip_instance_cache=True)
    return _filesystems[key], str(strip_protocol(url))


def ask_store(question: Callable[[], R]) -> R:
    """The answer of a store, which is asked again where it is busy, or does not answer.

    Raises OSError with status and cause; FileNotFoundError where it has no such file.
    """
    for wait in (*WAITS_SECONDS, None):
        try:
            return question()
        except FileNotFoundError:
            raise
        except Exception as error:  # each client has errors of its own
            status = next(_statuses(error), None)
            lasting = isinstance(error, LASTING) if status is None else status not in TRY_AGAIN
            if lasting or wait is None:
                tries = "" if lasting else f", asked {len(WAITS_SECONDS) + 1} times"
                told = "" if status is None else f"HTTP {status}: "
                raise OSError(f"the store answers {told}{one_line(error)}{tries}") from error
            time.sleep(wait)
    raise AssertionError


def _statuses(error: BaseException | None) -> Iterator[int]:
    """Statuses of HTTP that an error and its causes tell: as aiohttp, gcsfs and botocore (s3fs) name them."""
    while error is not None:
        response = getattr(error, "response", None)
        meta = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        found = getattr(error, "status", None) or meta.get("HTTPStatusCode") or getattr(error, "code", None)
        if str(found).isdecimal():
            yield int(str(found))
        error = error.__cause__


class _LocalFile:
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read(self, start: int, end: int) -> bytes:
        return os.pread(self._file, end - start, start)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class _RemoteFile:
    def __init__(self, url: str) -> None:
        self._filesystem, self._path = filesystem(url)

    def read(self, start: int, end: int) -> bytes:
        return ask_store(lambda: self._filesystem.cat_file(self._path, start=start, end=end))

    def close(self) -> None:
        pass
