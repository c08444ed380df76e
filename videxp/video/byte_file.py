"""Bytes of a file, from a place to a place: on a disk, or in an object store through fsspec.

A clip is one range of bytes, so that an object store is asked once for each.
"""

import os
from typing import Any, Protocol

REMOTE = "://"
_filesystems: dict[tuple[int, str], Any] = {}  # by process: what a store's client holds does not outlive a fork


class ByteFile(Protocol):
    def read(self, start: int, end: int) -> bytes:
        """Fewer where the file ends before. Raises OSError."""

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

    protocol = url.split(REMOTE, 1)[0]
    key = (os.getpid(), protocol)
    if key not in _filesystems:
        _filesystems[key] = fsspec.filesystem(protocol, skip_instance_cache=True)
    return _filesystems[key], _filesystems[key]._strip_protocol(url)


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
        return self._filesystem.cat_file(self._path, start=start, end=end)

    def close(self) -> None:
        pass
