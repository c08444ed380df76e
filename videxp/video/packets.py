"""Where the packets of a stream lie in its file, so that frames are decoded without opening the container again.

Opening one costs a demuxer, its index and a decoder each time (2 ms for 10 s of 340x256, 12 ms for 720p), which is more
than decoding a short clip. A table of packets, made when the file is probed, stands in for all of it.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from videxp.video.bitstream import PacketFacts
from videxp.video.display import Display, Turn
from videxp.video.index import CODEC_OF_DECODER, FrameIndex, Packets

# Decoders that need nothing from the container but their packets in order and the stream's extradata.
CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mjpeg"})
ENTRY, DISPOSABLE = 1, 2  # bits of `flags`
NOT_SHOWN = -1
_ARRAYS: dict[str, str] = {"byte": "<i8", "size": "<i4", "number": "<i4", "checksum": "<u4", "flags": "u1"}


@dataclass(frozen=True)
class PacketTable:
    """P packets of one video stream, in the order of the file, which is that of decoding."""

    decoder: str
    """FFmpeg's name: h264, libdav1d."""
    extradata: bytes
    matrix: int
    """What the container says of YUV to RGB, as ITU-T H.273 numbers it; the stream's own word comes before."""
    color_range: int
    turn: Turn
    byte: np.ndarray
    """int64 [P]: where each starts in the file."""
    size: np.ndarray
    """int32 [P], bytes."""
    number: np.ndarray
    """int32 [P]: which frame it is as presented, from 0; -1: it shows none."""
    checksum: np.ndarray
    """uint32 [P]: CRC-32 of each packet."""
    flags: np.ndarray
    """uint8 [P]: ENTRY: every frame shown at its time or later comes out exactly when decoding starts here.
    DISPOSABLE: no other picture refers to it."""

    @property
    def num_frames(self) -> int:
        return int(self.number.max(initial=NOT_SHOWN)) + 1

    @cached_property
    def packet_of(self) -> np.ndarray:
        """int32 [num_frames]: the packet of each frame."""
        shown = np.flatnonzero(self.number != NOT_SHOWN)
        packets = np.empty(self.num_frames, np.int32)
        packets[self.number[shown]] = shown
        return packets

    @cached_property
    def entries(self) -> list[int]:
        """The packets where decoding can start."""
        return np.flatnonzero((self.flags & ENTRY).astype(bool) & (self.number != NOT_SHOWN)).tolist()

    def to_bytes(self) -> bytes:
        about = {"decoder": self.decoder, "extradata": self.extradata.hex(), "matrix": self.matrix}
        about |= {"color_range": self.color_range, "turn": self.turn, "packets": len(self.byte)}
        head = json.dumps(about).encode()
        head += b" " * (-(len(head) + 4) % 8)
        arrays = (getattr(self, name).astype(kind).tobytes() for name, kind in _ARRAYS.items())
        return b"".join((struct.pack("<I", len(head)), head, *arrays))

    @classmethod
    def from_bytes(cls, written: bytes | memoryview) -> "PacketTable":
        """The arrays stay views, of a mapped file for one."""
        data = np.frombuffer(written, np.uint8)
        start = 4 + int(data[:4].view("<u4")[0])
        about = json.loads(data[4:start].tobytes())
        count, arrays = about.pop("packets"), dict[str, Any]()
        for name, kind in _ARRAYS.items():
            end = start + count * np.dtype(kind).itemsize
            arrays[name] = np.frombuffer(data[start:end], kind)
            start = end
        return cls(**{**about, "extradata": bytes.fromhex(about["extradata"])}, **arrays)


def packet_table(
    container: InputContainer, stream: VideoStream, packets: Packets, index: FrameIndex, display: Display
) -> PacketTable | None:
    """None where frames must be counted, where packets do not lie in the file as they are demuxed, and for codecs whose
    decoders were not shown to do without the container."""
    context = stream.codec_context
    if index.counted or CODEC_OF_DECODER.get(context.name, context.name) not in CODECS or -1 in packets.byte:
        return None
    facts = packets.facts
    number = np.full(len(facts), NOT_SHOWN, np.int32)
    shown = np.array([bool(fact.frames) and not out for fact, out in zip(facts, packets.discard)])
    number[shown] = np.searchsorted(index.pts, np.array(packets.pts)[shown].astype(np.int64))
    return PacketTable(
        decoder=context.name,
        extradata=bytes(context.extradata or b""),
        matrix=int(context.colorspace),
        color_range=int(context.color_range),
        turn=display.turn,
        byte=np.array(packets.byte, np.int64),
        size=np.array(packets.size, np.int32),
        number=number,
        checksum=np.array(packets.checksum, np.uint32),
        flags=flags_of(facts),
    )


def flags_of(facts: Sequence[PacketFacts]) -> np.ndarray:
    """uint8 [P]."""
    return np.array([ENTRY * fact.entry | DISPOSABLE * fact.disposable for fact in facts], np.uint8)
