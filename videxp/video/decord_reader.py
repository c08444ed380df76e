"""decord: fast on ordinary files, silently wrong on others; used where a probe shows that it is right.

Shapes: T frames, H, W as displayed, C = 3.
"""

import os
import re
from collections.abc import Iterator
from os import PathLike
from types import ModuleType

import numpy as np

from videxp.core.errors import BadRequest
from videxp.video.container import file_url
from videxp.video.errors import DecodeError, DecoderRefused, UnreadableVideo
from videxp.video.probing import Probe
from videxp.video.reader import Reader

PREFIX = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+:\s*")
END_OF_FILE_RETRIES = "128"  # decord's default of 10,240 spins for minutes on a broken tail; it is read at import


def import_decord() -> ModuleType:
    """decord, quiet; raises `BadRequest` where it isn't installed: it has no wheel for most platforms."""
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", END_OF_FILE_RETRIES)
    try:
        import decord
    except ImportError:
        raise BadRequest(
            "decord is not installed (no wheel for this platform?): use dataset.decoding.decoder=auto"
        ) from None
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def decord_is_installed() -> bool:
    """Whether it can be imported here."""
    try:
        import_decord()
    except BadRequest:
        return False
    return True


class DecordReader(Reader):
    """One thread, on the CPU; its bridge, which is global, is left alone."""

    def __init__(self, path: str | PathLike[str], *, probe: Probe, allow_unsafe: bool = False) -> None:
        if not probe.decord_safe and not allow_unsafe:
            raise DecoderRefused(path, "decord", probe.decord_unsafe_reason)
        decord = import_decord()
        self._decoder = None
        try:
            self._decoder = decord.VideoReader(file_url(path), ctx=decord.cpu(0), num_threads=1)
        except (decord.DECORDError, RuntimeError, AssertionError) as error:
            message = _message(error).replace(file_url(path), "it")
            if probe.decord_safe:  # so it could once
                raise UnreadableVideo(path, f"decord cannot open it: {message}") from None
            raise DecoderRefused(path, "decord", f"cannot open it: {message}") from None
        super().__init__(path, times=probe.times.counted_as(len(self._decoder)), size=(probe.height, probe.width))
        if self.num_frames != probe.num_frames and not allow_unsafe:
            reason = f"it counts {self.num_frames} frames of {probe.num_frames}"
            self._decoder = None
            raise DecoderRefused(path, "decord", reason)

    def _pictures(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        if self._decoder is None:
            raise DecodeError(self.path, numbers, "the reader is closed")
        try:
            clip_THWC = self._decoder.get_batch(numbers).asnumpy()
        except Exception as error:  # DECORDError, of several kinds
            raise DecodeError(self.path, numbers, f"decord: {_message(error)}") from None
        if len(clip_THWC) != len(numbers):
            raise DecodeError(self.path, numbers, f"decord gave {len(clip_THWC)} frames")
        yield from zip(numbers, clip_THWC)

    def close(self) -> None:
        self._decoder = None


def _message(error: Exception) -> str:
    """What decord says, without the source file's name before it and the ten lines of stack after it."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return PREFIX.sub("", lines[0]) if lines else type(error).__name__
