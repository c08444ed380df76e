"""A clip sent as H.264 over a network: cut into packets, some of them lost or damaged, and what a decoder makes of it.

Each packet is one slice of at most 1,200 bytes (RFC 6184's single NAL unit mode), so that a lost one costs its slice
and what refers to it. Parameter sets arrive: they are sent by other ways. What a player cannot show, it bridges by the
frame before.

Shapes: T frames, H, W pixels, C = 3, uint8.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from videxp.video.bitstream import nal_units
from videxp.video.display import rgb_picture
from videxp.video.encoder import SMPTE_170M, default_effort, encoder_frame, frame_rate, padded_to_even, quality_options

SLICE_BYTES = 1200
_SLICES = (1, 5)  # types of NAL units: a slice of another picture, of one that stands alone
_START = b"\0\0\0\1"


@dataclass(frozen=True)
class Slice:
    """One packet of the network: part of the frame `number`, or all of it."""

    number: int
    data: bytes


@dataclass(frozen=True)
class Sent:
    """A clip on its way: slices in the order in which they are decoded."""

    slices: tuple[Slice, ...]
    parameter_sets: bytes
    shape: tuple[int, ...]
    """Of the clip, [T,H,W,C]."""

    @property
    def num_bytes(self) -> int:
        return sum(len(one.data) for one in self.slices)


def send(frames: np.ndarray, *, fps: float | Fraction, crf: int = 23) -> Sent:
    """uint8 [T,H,W,C], encoded at a CRF. One thread: the same frames give the same slices."""
    even, rate = padded_to_even(frames, codec="libx264"), frame_rate(fps)
    options = default_effort("libx264") | quality_options("libx264", crf=crf)
    options["x264-params"] += f":slice-max-size={SLICE_BYTES}"
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = even.shape[2], even.shape[1], "yuv420p"
    context.time_base, context.framerate = 1 / rate, rate
    context.gop_size, context.thread_count, context.options = 48, 1, options
    context.colorspace = SMPTE_170M
    context.flags |= Flags.bitexact | Flags.global_header
    slices = [piece for packet in _packets(context, even, rate) for piece in _slices(packet)]
    return Sent(tuple(slices), bytes(context.extradata), frames.shape)


def _packets(context: Any, frames: np.ndarray, rate: Fraction) -> Iterator[Any]:
    reformatter = VideoReformatter()
    for number, picture in enumerate(frames):
        frame = encoder_frame(picture, number=number, rate=rate, pixel_format="yuv420p", by=reformatter, accurate=True)
        yield from context.encode(frame)
    yield from context.encode(None)


def _slices(packet: Any) -> Iterator[Slice]:
    data = bytes(packet)
    for first, end in nal_units(data, 0):
        if data[first] & 31 in _SLICES:
            yield Slice(packet.pts, data[first:end])


def lose(sent: Sent, rng: np.random.Generator, *, count: int) -> Sent:
    """Without `count` of its packets, all equally likely; without any where there are no more."""
    lost = set(rng.choice(len(sent.slices), size=min(count, len(sent.slices)), replace=False).tolist())
    return replace(sent, slices=tuple(one for place, one in enumerate(sent.slices) if place not in lost))


def flip_bits(sent: Sent, rng: np.random.Generator, *, count: int) -> Sent:
    """With `count` bits the other way round, all equally likely, one of them perhaps twice."""
    ends = np.cumsum([len(one.data) for one in sent.slices])
    data = [bytearray(one.data) for one in sent.slices]
    for place, bit in zip(rng.integers(ends[-1], size=count), rng.integers(8, size=count)):
        hit = int(np.searchsorted(ends, place, side="right"))
        data[hit][place - ends[hit]] ^= 1 << int(bit)
    return replace(sent, slices=tuple(Slice(one.number, bytes(new)) for one, new in zip(sent.slices, data)))


def receive(sent: Sent) -> np.ndarray:
    """What is seen: uint8 [T,H,W,C]. A frame that the decoder does not give is the one before; at the beginning, the
    first that it gives; black where it gives none."""
    count, height, width, _ = sent.shape
    seen: dict[int, np.ndarray] = {}
    reformatter = VideoReformatter()
    for frame in _decoded(sent):
        picture = rgb_picture(frame, reformatter, accurate=True)
        is_large = picture.shape[0] >= height and picture.shape[1] >= width  # damage may have changed the size
        if frame.pts is not None and 0 <= frame.pts < count and is_large:
            seen[frame.pts] = picture[:height, :width]
    if not seen:
        return np.zeros(sent.shape, np.uint8)
    shown = seen[min(seen)]
    return np.stack([shown := seen.get(number, shown) for number in range(count)])


def _decoded(sent: Sent) -> Iterator[VideoFrame]:
    """Frames, damaged ones among them, in the order in which they are shown."""
    context: Any = av.CodecContext.create("h264", "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata, context.thread_count = sent.parameter_sets, 1
    context.flags |= Flags.output_corrupt | Flags.bitexact
    for packet in [*_frames(sent.slices), None]:
        try:
            yield from context.decode(packet)
        except av.error.InvalidDataError:  # the decoder gives up on this frame, and goes on with the next
            continue


def _frames(slices: Iterable[Slice]) -> Iterator[Any]:
    """A decoder's packets: all that has arrived of each frame."""
    of_frame: dict[int, list[bytes]] = {}
    for one in slices:
        of_frame.setdefault(one.number, []).append(one.data)
    for order, (number, data) in enumerate(of_frame.items()):
        packet = av.Packet(b"".join(_START + piece for piece in data))
        packet.pts, packet.dts = number, order
        yield packet
