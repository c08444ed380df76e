"""What packets lay down for those after them: parameter sets, sequence headers, JPEG tables.

A decoder keeps them, so that a picture may depend on a packet far before it, or on the last file that the decoder was
used for. Recordings that were joined without being encoded again have other ones in each part, mostly of the same name.
"""

import re
from collections.abc import Iterator

from videxp.video.bitstream import nal_length_bytes, nal_units

Headers = dict[tuple[int, ...], bytes]
"""What is laid down, by the place that the next of the same kind takes: (kind,) or (kind, number)."""

H264_SEQUENCE, H264_PICTURE = (7, 13, 15), 8
HEVC_SEQUENCE, HEVC_PICTURE = (32, 33), 34
AV1_SEQUENCE = (1,)
MPEG4_SEQUENCE = (*range(0x20, 0x30), 0xB2)  # object layer, encoder's name
SEQUENCES = {"h264": H264_SEQUENCE, "hevc": HEVC_SEQUENCE, "av1": AV1_SEQUENCE, "mpeg4": MPEG4_SEQUENCE}
JPEG_QUANTISATION, JPEG_HUFFMAN, JPEG_SCAN = 0xDB, 0xC4, 0xDA
JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")
JPEG_MARKER_IN_SCAN = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
MPEG4_UNIT = re.compile(rb"\x00\x00\x01([\x20-\x2f\xb2])(.*?)(?=\x00\x00\x01|\Z)", re.DOTALL)
JPEG_DEFAULTS: Headers = {(JPEG_HUFFMAN, number): b"" for number in (0x00, 0x01, 0x10, 0x11)}


class HeadersInForce:
    """Follows a stream's packets from the first to the last."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._length_bytes = nal_length_bytes(codec, extradata)
        self._given = given_headers(codec, extradata or b"")  # what a decoder knows that starts at any packet
        self._in_force: Headers = {}
        self._relied_on: set[tuple[int, ...]] = set()
        self._replaced: set[tuple[int, ...]] = set()
        self._another_sequence = False

    def read(self, packet: bytes, *, is_entry: bool) -> tuple[bool, bool]:
        """(whether the packet lays anything down, whether a decoder that starts with it knows all that is in force)."""
        laid_down = packet_headers(self._codec, packet, nal_length_bytes=self._length_bytes)
        if not self._in_force:
            self._in_force = {**self._given, **laid_down}
        for place, content in laid_down.items():
            if content != self._given.get(place):
                self._replaced.add(place)
            if content != self._in_force.setdefault(place, content):
                self._another_sequence |= place[0] in SEQUENCES.get(self._codec, ())
                self._in_force[place] = content
        known = {**self._given, **laid_down}
        all_known = all(known.get(place) == content for place, content in self._in_force.items())
        if is_entry and all_known:
            self._relied_on |= self._in_force.keys() - laid_down.keys()
        return bool(laid_down), all_known

    @property
    def change(self) -> bool:
        """Whether what a decoder has read of the stream matters where it starts anew: there is another sequence (its
        colors hold on until something else is said), or a later packet replaces what an entry point takes as given."""
        return self._another_sequence or not self._relied_on.isdisjoint(self._replaced)


def packet_headers(codec: str, packet: bytes, *, nal_length_bytes: int) -> Headers:
    """What one packet lays down; damaged ones lay down what can be read of them."""
    if codec in ("h264", "hevc"):
        return dict(_nal_headers(codec, (packet[a:b] for a, b in _units(packet, nal_length_bytes))))
    if codec == "av1":
        return {(kind,): content for kind, content in _av1_units(packet) if kind in AV1_SEQUENCE}
    if codec == "mjpeg":
        return dict(_jpeg_tables(packet))
    if codec == "mpeg4":
        return {(unit[1][0],): unit[2].rstrip(b"\0") for unit in MPEG4_UNIT.finditer(packet)}
    return {}


def given_headers(codec: str, extradata: bytes) -> Headers:
    """What the container gives a decoder before the first packet, or the decoder has of itself."""
    if codec == "mjpeg":
        return JPEG_DEFAULTS
    if codec in ("h264", "hevc") and nal_length_bytes(codec, extradata):
        units = _avcc_units(extradata) if codec == "h264" else _hvcc_units(extradata)
        return dict(_nal_headers(codec, units))
    return packet_headers(codec, extradata[4:] if codec == "av1" else extradata, nal_length_bytes=0)


def _units(packet: bytes, nal_length_bytes: int) -> Iterator[tuple[int, int]]:
    try:
        yield from nal_units(packet, nal_length_bytes)
    except ValueError:
        return


def _nal_headers(codec: str, units: Iterator[bytes]) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Of sequences, any other one counts as taking the place of the last: whatever follows depends on them."""
    for unit in units:
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        content = unit.rstrip(b"\0")
        if codec == "h264":
            if kind in H264_SEQUENCE:
                yield (kind,), content[1:]
            elif kind == H264_PICTURE:
                yield (kind, _first_number(unit[1:])), content[1:]
        elif kind in HEVC_SEQUENCE:
            yield (kind, unit[1] >> 3), content  # of the base layer, of another one
        elif kind == HEVC_PICTURE:
            yield (kind, unit[1] >> 3, _first_number(unit[2:])), content


def _first_number(data: bytes) -> int:
    """The Exp-Golomb number at the start: 1 -> 0, 010 -> 1, 011 -> 2, 00100 -> 3."""
    head = data[:8].ljust(8, b"\0")
    bits = int.from_bytes(head, "big")
    zeros = 64 - bits.bit_length()
    return (bits >> 63 - 2 * zeros) - 1 if zeros < 32 else -1


def _avcc_units(extradata: bytes) -> Iterator[bytes]:
    start = 5
    for mask in (31, 255):  # sequences, pictures
        count = extradata[start] & mask if start < len(extradata) else 0
        start += 1
        for _ in range(count):
            unit, start = _counted_bytes(extradata, start)
            if unit:
                yield unit


def _hvcc_units(extradata: bytes) -> Iterator[bytes]:
    start = 23
    for _ in range(extradata[22]):
        count, start = int.from_bytes(extradata[start + 1 : start + 3], "big"), start + 3
        for _ in range(count):
            if start >= len(extradata):  # damaged: a count without its units
                return
            unit, start = _counted_bytes(extradata, start)
            if len(unit) > 2:
                yield unit


def _counted_bytes(data: bytes, start: int) -> tuple[bytes, int]:
    """(the bytes behind a length of two bytes, where they end)."""
    end = start + 2 + int.from_bytes(data[start : start + 2], "big")
    return data[start + 2 : end], end


def _av1_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, content) of each open bitstream unit."""
    start = 0
    while start < len(data):
        kind, has_extension, has_size = data[start] >> 3 & 15, data[start] >> 2 & 1, data[start] >> 1 & 1
        start += 1 + has_extension
        size, shift = 0, 0
        while has_size and start < len(data) and shift < 56:  # seven bits a byte, the lowest first
            size |= (data[start] & 127) << shift
            shift, start, more = shift + 7, start + 1, data[start] & 128
            if not more:
                break
        end = start + size if has_size else len(data)
        yield kind, data[start:end]
        start = end


def _jpeg_tables(picture: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """((marker, number of the table), its content) of all scans."""
    start, marker = 0, JPEG_MARKER
    while found := marker.search(picture, start):
        kind, start, marker = found[1][0], found.end(), JPEG_MARKER
        if kind in JPEG_WITHOUT_LENGTH:
            continue
        end = start + int.from_bytes(picture[start : start + 2], "big")
        segment, start = picture[start + 2 : end], max(end, start + 2)
        if kind == JPEG_SCAN:
            marker = JPEG_MARKER_IN_SCAN
        while kind in (JPEG_QUANTISATION, JPEG_HUFFMAN) and segment:
            number, size = segment[0], 17 + sum(segment[1:17])
            if kind == JPEG_QUANTISATION:
                number, size = segment[0] & 15, 129 if segment[0] >> 4 else 65
            yield (kind, number), segment[:size]
            segment = segment[size:]
