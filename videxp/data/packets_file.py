"""The tables of packets of all files of a data set, and the times of frames where the rate is variable, one after
another in a file beside the manifest.

Workers map it: 100,000 videos of 10 s are 450 MB on disk, of which a process holds what it has read, and shares that
with all others through the page cache.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.files import hash_file, replacing
from videxp.data.manifest import Facts
from videxp.video.timing import FrameTimes

SUFFIX = ".packets"
DIGEST_BYTES = 6


@dataclass(frozen=True)
class Tables:
    """What is kept of one file beside its facts; empty where there is none."""

    packets: bytes = b""
    times: bytes = b""
    """float64 [num_frames + 1], see `FrameTimes`."""

    @classmethod
    def read(cls, facts: Facts, mapped: np.ndarray) -> "Tables":
        """From where the facts point to."""
        packets = mapped[facts.packets_byte : facts.packets_byte + facts.packets_size].tobytes()
        times = _times_table(mapped, facts.times_byte, facts.num_frames).tobytes() if facts.times_byte >= 0 else b""
        return cls(packets, times)


@dataclass
class PacketsWriter:
    """`file` is there after the writing."""

    stream: BinaryIO
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=DIGEST_BYTES))
    file: Path | None = None

    def add(self, facts: Facts, tables: Tables) -> Facts:
        """The facts, pointing to where the tables stand now."""
        packets_byte, times_byte = self._append(tables.packets), self._append(tables.times)
        return replace(
            facts,
            packets_byte=packets_byte if tables.packets else 0,
            packets_size=len(tables.packets),
            times_byte=times_byte if tables.times else -1,
        )

    def _append(self, table: bytes) -> int:
        byte = self.stream.tell()
        padded = table + b"\0" * (-len(table) % 8)  # so that its numbers are aligned
        self.stream.write(padded)
        self.digest.update(padded)
        return byte


@contextmanager
def packets_writer(stem: Path) -> Iterator[PacketsWriter]:
    """A new file `STEM-DIGEST.packets`: whoever has the old manifest keeps the old tables meanwhile."""
    with replacing(stem.with_name(f"{stem.name}{SUFFIX}")) as temporary:
        with temporary.open("wb") as stream:
            writer = PacketsWriter(stream)
            yield writer
        writer.file = stem.with_name(f"{stem.name}-{writer.digest.hexdigest()}{SUFFIX}")
    stem.with_name(f"{stem.name}{SUFFIX}").replace(writer.file)


def is_whole(file: Path) -> bool:
    """Whether a file of tables is there, as it was written: its name has the digest of its content."""
    try:
        return file.stem.endswith(f"-{hash_file(file, hashlib.blake2b(digest_size=DIGEST_BYTES))}")
    except OSError:
        return False


def map_packets(file: Path | None) -> np.ndarray:
    """uint8 [n], read on demand. Empty where the data was prepared anew meanwhile: containers are opened then."""
    try:
        return np.empty(0, np.uint8) if file is None else np.asarray(np.memmap(file, np.uint8, mode="r"))
    except (FileNotFoundError, ValueError):  # an empty file cannot be mapped
        return np.empty(0, np.uint8)


def frame_times(values: Mapping[str, Any], mapped: np.ndarray) -> FrameTimes:
    """When the frames of a file are shown. values: of a manifest's columns. mapped: its file of tables.

    Raises BadRequest where that file has gone."""
    num_frames = int(values["num_frames"])
    byte = int(values["times_byte"])
    table = _times_table(mapped, byte, num_frames) if byte >= 0 else None
    if table is not None and len(table) <= num_frames:
        raise BadRequest("The data was prepared anew meanwhile, by another command: start this one again")
    return FrameTimes(num_frames, float(values["fps"]), float(values["first_seconds"]), table)


def _times_table(mapped: np.ndarray, byte: int, num_frames: int) -> np.ndarray:
    """float64 [num_frames + 1], a view; shorter where the file has gone."""
    found = mapped[byte : byte + 8 * (num_frames + 1)]
    return found[: len(found) // 8 * 8].view(np.float64)


def remove_other_packets(file: Path | None, *, stem: Path) -> None:
    for other in stem.parent.glob(f"{stem.name}-*{SUFFIX}"):
        if other != file:
            other.unlink(missing_ok=True)
