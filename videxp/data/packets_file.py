"""The tables of packets of all files of a data set, one after another in a file beside the manifest.

Workers map it: 100,000 videos of 10 s are 450 MB on disk, of which a process holds what it has read, and shares that
with all others through the page cache.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from videxp.data.manifest import Facts
from videxp.files import replacing

SUFFIX = ".packets"


@dataclass
class PacketsWriter:
    """`file` is there after the writing."""

    stream: BinaryIO
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=6))
    file: Path | None = None

    def add(self, facts: Facts, table: bytes) -> Facts:
        """The facts, pointing to where the table stands now."""
        byte = self.stream.tell()
        self.stream.write(table + b"\0" * (-len(table) % 8))  # so that its numbers are aligned
        self.digest.update(table)
        return replace(facts, packets_byte=byte if table else 0, packets_size=len(table))


@contextmanager
def packets_writer(stem: Path) -> Iterator[PacketsWriter]:
    """A new file `STEM-DIGEST.packets`: whoever has the old manifest keeps the old tables meanwhile."""
    with replacing(stem.with_name(f"{stem.name}{SUFFIX}")) as temporary:
        with temporary.open("wb") as stream:
            writer = PacketsWriter(stream)
            yield writer
        writer.file = stem.with_name(f"{stem.name}-{writer.digest.hexdigest()}{SUFFIX}")
    stem.with_name(f"{stem.name}{SUFFIX}").replace(writer.file)


def map_packets(file: Path | None) -> np.ndarray:
    """uint8 [n], read on demand. Empty where the data was prepared anew meanwhile: containers are opened then."""
    try:
        return np.empty(0, np.uint8) if file is None else np.asarray(np.memmap(file, np.uint8, mode="r"))
    except (FileNotFoundError, ValueError):  # an empty file cannot be mapped
        return np.empty(0, np.uint8)


def remove_other_packets(file: Path | None, *, stem: Path) -> None:
    for other in stem.parent.glob(f"{stem.name}-*{SUFFIX}"):
        if other != file:
            other.unlink(missing_ok=True)
