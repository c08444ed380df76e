"""A shard: copies of some videos, one after another, and a list of them at the end. Written whole or not at all.

[copy, padded to a page] ... [tables of packets] [list, JSON] [its length, 8 bytes] [b"videxp01"]
"""

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import replacing
from videxp.transforms.geometry import fit_pictures
from videxp.video import VideoReader, open_video

CacheFormat = Literal["small", "medium", "raw"]
GOPS = {"small": 64, "medium": 24}
PAGE_BYTES = 4096  # raw frames are mapped
BLOCK_BYTES = 1 << 20
END = b"videxp01"


@dataclass(frozen=True)
class Making:
    """How a copy is made of a video.

    format: small: H.264 for few bytes, a key frame every 64 frames. medium: every 24 frames, without arithmetic coding
        and deblocking, which decodes twice as fast. raw: RGB as it is.
    short_side: pixels; None: as the source. Nothing is enlarged.
    stride: frames from one frame of a clip to the next; frames between are made disposable.
    crf: H.264's quality, see `videxp.video.packing.pack`.
    """

    format: CacheFormat
    short_side: int | None
    stride: int
    crf: float

    def __str__(self) -> str:
        """`medium, short side 128, crf 21, stride 4`"""
        quality = "" if self.format == "raw" else f", crf {self.crf:g}, stride {self.stride}"
        return self.format + (f", short side {self.short_side}" if self.short_side else "") + quality

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a copy: even where colors are halved."""
        scale = 1.0 if self.short_side is None else min(1.0, self.short_side / min(height, width))
        step = 1 if self.format == "raw" else 2
        return max(step, round(height * scale / step) * step), max(step, round(width * scale / step) * step)

    @property
    def reference_every(self) -> int:
        """Frames from one that others are predicted from to the next: two strides, as far as H.264 has it. Half of a
        clip's frames, at best, are such ones; with one stride, all of a clip's frames would be at best, and at worst
        it needs twice as many. Of stride 4, four: a clip of 16 needs 20 of the 61 frames that it spans rather than 23,
        which is 12 % of its time for 0.7 dB; of stride 2 that gains nothing (`benchmarks/cache.py`)."""
        strides = 4 if self.stride >= 4 else 2
        return next((n for n in (strides * self.stride, 2 * self.stride, self.stride) if n <= 16), 16)

    @property
    def gop(self) -> int:
        """Frames from one key frame to the next: a multiple of the distance of references."""
        return -(-GOPS[self.format] // self.reference_every) * self.reference_every


@dataclass(frozen=True)
class SourceVideo:
    """A video to be copied. `template`: where it is a folder of pictures."""

    path: Path
    content_hash: str
    fps: float
    template: str


@dataclass(frozen=True)
class Shard:
    """What a shard is to hold. Its name is a digest of that, and of how it is made."""

    sources: tuple[SourceVideo, ...]
    making: Making

    @property
    def name(self) -> str:
        told = json.dumps([END.decode(), asdict(self.making), [source.content_hash for source in self.sources]])
        return hashlib.blake2b(told.encode(), digest_size=12).hexdigest() + ".shard"

    def __str__(self) -> str:
        return f"{self.sources[0].path} and {len(self.sources) - 1} more"


@dataclass(frozen=True)
class Copy:
    """Where the copy of a video lies in its shard, and its table of packets; in bytes."""

    content_hash: str  # of the source
    byte: int
    size: int
    table_byte: int
    table_size: int
    height: int
    width: int
    checksum: str


def make_shard(shard: Shard, *, folder: Path) -> None:
    """Raises VidexpError where a source no longer decodes, or where the disk is full."""
    copies, tables = [], []
    try:
        with replacing(folder / shard.name) as temporary, temporary.open("wb") as stream:
            for source in shard.sources:
                stream.write(b"\0" * (-stream.tell() % PAGE_BYTES))
                copy, table = _write_copy(stream, source, shard.making)
                copies.append(copy)
                tables.append(table)
            for number, table in enumerate(tables):
                copies[number] = replace(copies[number], table_byte=stream.tell(), table_size=len(table))
                stream.write(table)
            told = json.dumps([asdict(copy) for copy in copies]).encode()
            stream.write(told + struct.pack("<Q", len(told)) + END)
    except OSError as error:
        raise VidexpError(f"{folder}: the cache cannot be written: {error.strerror}") from None


def _write_copy(stream: BinaryIO, source: SourceVideo, making: Making) -> tuple[Copy, bytes]:
    start, digest, table = stream.tell(), hashlib.blake2b(digest_size=16), b""
    with open_video(source.path, template=source.template or None, fps=source.fps) as reader:
        size = making.size(*reader.size)
        pictures = _resized(reader, size)
        if making.format == "raw":
            for picture_HWC in pictures:
                digest.update(picture_HWC.data)
                stream.write(picture_HWC.data)
        else:
            from videxp.video.packing import pack

            quick = making.format != "small"
            distances = {"gop": making.gop, "reference_every": making.reference_every}
            data, packets = pack(pictures, size=size, **distances, crf=making.crf, quick=quick)
            digest.update(data)
            stream.write(data)
            table = packets.to_bytes()
    return Copy(source.content_hash, start, stream.tell() - start, 0, 0, *size, digest.hexdigest()), table


def _resized(reader: VideoReader, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """uint8 [H,W,C] of every frame, in order, contiguous."""
    due = 0
    for number, picture_HWC in reader.pictures(range(reader.num_frames)):
        if number != due:  # a reader may begin again
            continue
        due += 1
        picture = torch.from_numpy(np.array(picture_HWC))
        yield np.ascontiguousarray(fit_pictures(picture[None], size=size, fit="stretch")[0].numpy())


def read_list(path: Path) -> list[Copy]:
    """What a shard holds. Raises BadRequest where it is none, or not a whole one."""
    try:
        with path.open("rb") as stream:
            stream.seek(-16, 2)
            length, end = struct.unpack("<Q8s", stream.read(16))
            if end != END:
                raise ValueError
            stream.seek(-16 - length, 2)
            return [Copy(**told) for told in json.loads(stream.read(length))]
    except (OSError, ValueError, TypeError, struct.error):
        raise BadRequest(f"{path}: no whole shard of this version: prepare the cache again") from None


def read_table(path: Path, copy: Copy) -> bytes:
    with path.open("rb") as stream:
        stream.seek(copy.table_byte)
        return stream.read(copy.table_size)


def damaged(path: Path) -> list[Copy]:
    """The copies in a shard that are not as they were written."""
    found = []
    with path.open("rb") as stream:
        for copy in read_list(path):
            stream.seek(copy.byte)
            digest, left = hashlib.blake2b(digest_size=16), copy.size
            while left and (block := stream.read(min(left, BLOCK_BYTES))):
                digest.update(block)
                left -= len(block)
            if digest.hexdigest() != copy.checksum:
                found.append(copy)
    return found
