"""Parameter sets, sequence headers and tables in packets, from bytes written here by the standards' rules."""

import pytest

from videxp.video.headers import HeadersInForce, given_headers, packet_headers

SEQUENCE, PICTURE_0, PICTURE_1 = b"\x67\x42\x00\x1e\xab", b"\x68\xce\x3c", b"\x68\x4e\x3c"
OTHER_PICTURE_0, SLICE = b"\x68\xce\x7d", b"\x65\x88\x80"
AVCC = b"\x01\x42\x00\x1e\xff\xe1" + b"\x00\x05" + SEQUENCE + b"\x01" + b"\x00\x03" + PICTURE_0


def prefixed(*units):
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def jpeg(*segments):
    body = b"".join(b"\xff" + kind + (2 + len(data)).to_bytes(2, "big") + data for kind, data in segments)
    return b"\xff\xd8" + body + b"\xff\xda\x00\x02\x12\xff\x00\x34\xff\xd0\x56\xff\xd9"


def huffman(number, symbol):
    return bytes([number, 1, *[0] * 15, symbol])


def followed(codec, extradata, *packets):
    headers = HeadersInForce(codec, extradata)
    return [headers.read(packet, is_entry=True)[1] for packet in packets], headers.change


def test_h264_sets_are_told_by_their_numbers_with_lengths_and_with_start_codes():
    told = {(7,): SEQUENCE[1:], (8, 0): PICTURE_0[1:], (8, 1): PICTURE_1[1:]}
    units = (SEQUENCE, PICTURE_0, PICTURE_1, SLICE)
    assert packet_headers("h264", prefixed(*units), nal_length_bytes=4) == told
    assert packet_headers("h264", b"".join(b"\0\0\0\1" + unit for unit in units), nal_length_bytes=0) == told
    assert given_headers("h264", AVCC) == {(7,): SEQUENCE[1:], (8, 0): PICTURE_0[1:]}


def test_an_entry_needs_all_that_is_in_force():
    """PICTURE_1 is laid down once, and not by the container."""
    packets = [prefixed(SLICE), prefixed(PICTURE_1, SLICE), prefixed(SLICE), prefixed(PICTURE_1, SLICE)]
    assert followed("h264", AVCC, *packets) == ([True, True, False, True], False)


def test_a_set_that_takes_the_place_of_a_given_one_matters_only_to_entries_that_rely_on_the_given():
    first, second = prefixed(PICTURE_0, SLICE), prefixed(OTHER_PICTURE_0, SLICE)
    assert followed("h264", AVCC, first, second, first) == ([True, True, True], False)
    assert followed("h264", AVCC, prefixed(SLICE), second, prefixed(SLICE)) == ([True, True, False], True)


@pytest.mark.parametrize(
    ("codec", "one", "other"),
    [
        ("h264", b"\0\0\1" + SEQUENCE, b"\0\0\1" + SEQUENCE + b"\1"),
        ("hevc", b"\0\0\1\x42\x01\x01", b"\0\0\1\x42\x01\x02"),
        ("av1", b"\x12\x00\x0a\x02\x11\x22", b"\x12\x00\x0a\x02\x11\x23"),
        ("mpeg4", b"\0\0\1\x20\x11\0\0\1\xb6\x10", b"\0\0\1\x20\x12\0\0\1\xb6\x10"),
    ],
)
def test_another_sequence_is_a_change(codec, one, other):
    assert followed(codec, None, one, one, one)[1] is False
    assert followed(codec, None, one, other, other)[1] is True


def test_jpeg_tables_are_found_in_all_scans_but_not_in_thumbnails():
    thumbnail = (b"\xe1", jpeg((b"\xc4", huffman(3, 9))))
    two_scans = jpeg(thumbnail, (b"\xdb", b"\x01" + b"\x05" * 64), (b"\xc4", huffman(0, 1) + huffman(0x10, 2)))
    two_scans = two_scans[:-2] + jpeg((b"\xc4", huffman(0, 7)))[2:]
    assert packet_headers("mjpeg", two_scans, nal_length_bytes=0) == {
        (0xDB, 1): b"\x01" + b"\x05" * 64,
        (0xC4, 0): huffman(0, 7),
        (0xC4, 0x10): huffman(0x10, 2),
    }


def test_pictures_without_huffman_tables_rely_on_the_decoders_own():
    own, none = jpeg((b"\xc4", huffman(0, 1))), jpeg()
    assert followed("mjpeg", None, none, none) == ([True, True], False)
    assert followed("mjpeg", None, own, own) == ([True, True], False)
    assert followed("mjpeg", None, own, none) == ([True, False], False)
    assert followed("mjpeg", None, none, own, none) == ([True, True, False], True)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "mjpeg", "mpeg4"])
def test_damaged_packets_do_not_stop_the_reading(codec):
    data = bytes((37 * i * i + 11) % 256 for i in range(300))
    for first in range(60):
        packet_headers(codec, data[first : first + 5 * first], nal_length_bytes=4)
        given_headers(codec, data[first : first + 40])
        given_headers(codec, b"\1" + data[first : first + 40])
