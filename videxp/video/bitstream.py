"""What one packet says about itself: can decoding start here, is it shown, does anything refer to it?

Containers mark key frames, but what a key frame promises depends on the codec: after an H.264 recovery point or an HEVC
CRA come frames that are shown before it and need what lies before it. So the packet's own headers are read.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)  # there is one for each packet of a video of hours
class PacketFacts:
    """`clean`: nothing after it, in either order, needs what lies before it (an IDR). `entry`: every frame shown at its
    time or later comes out exactly when decoding starts here. `frames`: pictures it shows; None if that is unknown."""

    entry: bool = False
    clean: bool = False
    frames: int | None = 1
    disposable: bool = False  # no other picture refers to it
    reordered: bool = False  # it may be shown before a packet that precedes it in the file
    broken_link: bool = False


# Every packet is one picture that stands alone.
INTRA_CODECS = frozenset({"mjpeg", "prores", "dnxhd", "rawvideo", "png", "huffyuv", "ffvhuff", "utvideo", "dvvideo"})
# Key frame = start afresh, no reordering between packets.
FORWARD_CODECS = frozenset({"vp9", "av1", "ffv1", "gif", "theora", "flv1", "h263"})
UNKNOWN = PacketFacts(frames=None)


def packet_facts(codec: str, data: bytes, *, is_key: bool, nal_length_bytes: int) -> PacketFacts:
    """Facts of one packet. `nal_length_bytes`: 1-4 for length-prefixed NAL units (mp4, mkv), 0 for start codes."""
    if not data:
        return UNKNOWN
    if codec in ("h264", "hevc"):
        read = _h264 if codec == "h264" else _hevc
        try:
            return read(data, is_key=is_key, nal_length_bytes=nal_length_bytes)
        except ValueError:
            return UNKNOWN
    if codec == "mpeg4":
        return _mpeg4(data)
    if codec == "vp8":  # bit 0: 0 = key frame; bit 4: shown (alternate reference frames are not)
        return PacketFacts(entry=not data[0] & 1, clean=not data[0] & 1, frames=data[0] >> 4 & 1)
    if codec == "vp9" and not _vp9_is_shown(data):
        return UNKNOWN
    if codec in INTRA_CODECS:
        return PacketFacts(entry=True, clean=True)
    if codec in FORWARD_CODECS:
        return PacketFacts(entry=is_key, clean=is_key)
    return UNKNOWN


def nal_length_bytes(codec: str, extradata: bytes | None) -> int:
    """How many bytes give a NAL unit's length, from the avcC or hvcC box; 0: the stream has start codes."""
    if codec == "h264" and extradata and len(extradata) > 6 and extradata[0] == 1:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and extradata and len(extradata) > 22 and (extradata[0] or extradata[1] or extradata[2] > 1):
        return (extradata[21] & 3) + 1
    return 0


def nal_units(data: bytes, nal_length_bytes: int) -> Iterator[tuple[int, int]]:
    """(first byte, byte after the last) of each NAL unit. Raises `ValueError` if their lengths are damaged."""
    if nal_length_bytes == 0:
        yield from _annexb_units(data)
        return
    start = 0
    while start + nal_length_bytes < len(data):
        first = start + nal_length_bytes
        start = first + int.from_bytes(data[start:first], "big")
        if start > len(data) or start == first:
            raise ValueError("lengths of NAL units that do not fill their packet")
        yield first, start


def _annexb_units(data: bytes) -> Iterator[tuple[int, int]]:
    found = data.find(b"\0\0\1")
    while found >= 0:
        following = data.find(b"\0\0\1", found + 3)
        if found + 3 < len(data):
            yield found + 3, following if following >= 0 else len(data)
        found = following


def _h264(data: bytes, *, is_key: bool, nal_length_bytes: int) -> PacketFacts:
    idr = recovers = False
    slices = reference_slices = 0
    for first, end in nal_units(data, nal_length_bytes):
        kind = data[first] & 31
        if kind in (1, 2, 5):
            slices += 1
            reference_slices += bool(data[first] & 0x60)
            idr |= kind == 5
        elif kind == 6:
            recovers |= _recovers_at_once(data[first + 1 : end])
    if slices == 0:
        return UNKNOWN
    # Several slices, the two fields of a frame, redundant slices: in these containers a packet is one frame.
    return PacketFacts(
        entry=idr or (is_key and recovers),
        clean=idr,
        disposable=reference_slices == 0,
        reordered=True,
    )


def _recovers_at_once(sei: bytes) -> bool:
    """Does this SEI hold a recovery point with recovery_frame_cnt = 0 and exact_match_flag = 1, broken_link = 0?

    Intra refresh has a count > 0: pictures are whole only that many frames later.
    """
    start = 0
    while start + 2 < len(sei):
        kind, start = _sei_number(sei, start)
        size, start = _sei_number(sei, start)
        if kind == 6 and start < len(sei):
            return sei[start] >> 5 == 0b110  # ue(0) = "1", exact_match "1", broken_link "0"
        start += size
    return False


def _sei_number(sei: bytes, start: int) -> tuple[int, int]:
    value = 0
    while start < len(sei) and sei[start] == 255:
        value, start = value + 255, start + 1
    return (value + sei[start], start + 1) if start < len(sei) else (value, start)


def _hevc(data: bytes, *, is_key: bool, nal_length_bytes: int) -> PacketFacts:
    kinds = [data[first] >> 1 & 63 for first, _ in nal_units(data, nal_length_bytes)]
    pictures = [kind for kind in kinds if kind < 32]
    if not pictures:
        return UNKNOWN
    kind = pictures[0]
    return PacketFacts(
        entry=is_key and 16 <= kind <= 21,
        clean=kind in (19, 20),  # IDR_W_RADL, IDR_N_LP; 21 is CRA, 16-18 BLA
        disposable=False,
        reordered=True,
        broken_link=16 <= kind <= 18,
    )


def _mpeg4(data: bytes) -> PacketFacts:
    """MPEG-4 part 2: `00 00 01 B6` starts a picture, the next two bits are its type (0 I, 1 P, 2 B, 3 sprite)."""
    found = data.find(b"\0\0\1\xb6")
    if found < 0 or found + 4 >= len(data):
        return UNKNOWN
    packed = data.find(b"\0\0\1\xb6", found + 4) >= 0
    if packed or len(data) - found < 10:  # two pictures in a packet, or one that says "nothing coded"
        return UNKNOWN
    kind = data[found + 4] >> 6
    return PacketFacts(entry=kind == 0, reordered=kind == 2)


def _vp9_is_shown(data: bytes) -> bool:
    """One picture shown per packet: a superframe, or a frame with show_existing_frame or show_frame set."""
    if data[-1] & 0xE0 == 0xC0:  # superframe index: hidden frames packed with the one that is shown
        return True
    first = data[0]
    if first >> 6 != 2:
        return False
    profile = (first >> 5 & 1) | (first >> 4 & 1) << 1
    shift = 2 if profile == 3 else 3  # profile 3 has one reserved bit more
    show_existing = first >> shift & 1
    show_frame = first >> (shift - 2) & 1
    return bool(show_existing or show_frame)
