"""Frames as bare packets, made to be read at random: closed groups, disposable frames between those that are kept.

Shapes: H, W pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

from collections.abc import Iterable
from fractions import Fraction
from zlib import crc32

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter

from videxp.video.bitstream import packet_facts
from videxp.video.encoder import SMPTE_170M
from videxp.video.packets import PacketTable, flags_of

QUICK = ":cabac=0:no-deblock=1:weightb=0:weightp=0:partitions=none:no-8x8dct=1"


def pack(
    pictures: Iterable[np.ndarray], *, size: tuple[int, int], gop: int, reference_every: int, crf: float, quick: bool
) -> tuple[bytes, PacketTable]:
    """H.264 packets of pictures of (height, width), both even, and the table to read them by. One thread.

    gop: frames from one key frame to the next: what has to be decoded before a clip is half of it on average.
    reference_every: of so many frames one is predicted from; the others are disposable, so that of what lies between
        the frames of a clip most is not decoded. 1 to 17; 1: none is disposable.
    crf: quality, 0 to 51; 18 is hard to tell from the source, 6 more halve the bytes.
    quick: without arithmetic coding, deblocking, small partitions and large transforms: decoding takes half the time,
        the same quality a third more bytes.
    """
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.height, encoder.width = size
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
    encoder.thread_count, encoder.colorspace = 1, SMPTE_170M
    encoder.flags |= av.codec.context.Flags.bitexact | av.codec.context.Flags.global_header
    encoder.options = {
        "preset": "medium",
        "crf": str(crf),
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:bframes={reference_every - 1}:b-adapt=0:"
        "b-pyramid=none:cpu-independent=1:threads=1" + (QUICK if quick else ""),
    }
    encoder.open()
    packets = list(_encoded(encoder, pictures))
    sizes = np.array([len(data) for data, _ in packets], np.int32)
    facts = [packet_facts("h264", data, is_key=False, nal_length_bytes=0) for data, _ in packets]
    return b"".join(data for data, _ in packets), PacketTable(
        decoder="h264",
        extradata=bytes(encoder.extradata or b""),
        matrix=SMPTE_170M,
        color_range=0,
        turn="none",
        byte=np.cumsum(sizes, dtype=np.int64) - sizes,
        size=sizes,
        number=np.array([number for _, number in packets], np.int32),
        checksum=np.array([crc32(data) for data, _ in packets], np.uint32),
        flags=flags_of(facts),
    )


def _encoded(encoder: VideoCodecContext, pictures: Iterable[np.ndarray]) -> Iterable[tuple[bytes, int]]:
    """(packet, which frame it is), in the order of decoding."""
    reformatter = VideoReformatter()
    for number, picture_HWC in enumerate(pictures):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture_HWC), format="rgb24")
        coded = reformatter.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU601, threads=1)
        coded.pts, coded.time_base = number, encoder.time_base
        for packet in encoder.encode(coded):
            yield bytes(packet), int(packet.pts or 0)
    for packet in encoder.encode(None):
        yield bytes(packet), int(packet.pts or 0)
