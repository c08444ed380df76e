import pytest

from videxp.video.bitstream import UNKNOWN, nal_length_bytes, nal_units, packet_facts

IDR, SLICE, DISPOSABLE, SEI = 0x65, 0x41, 0x01, 0x06
RECOVERS_AT_ONCE, RECOVERS_LATER = bytes([SEI, 6, 1, 0b11000000, 0x80]), bytes([SEI, 6, 1, 0b00101100, 0x80])


def prefixed(*units):
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def h264(*units, is_key=False):
    return packet_facts("h264", prefixed(*units), is_key=is_key, nal_length_bytes=4)


def test_an_idr_is_clean_and_an_entry():
    facts = h264(bytes([IDR, 0x88, 0]), is_key=True)
    assert facts.clean and facts.entry and facts.frames == 1


def test_a_recovery_point_is_an_entry_only_if_it_recovers_at_once():
    picture = bytes([SLICE, 0x88, 0])
    assert h264(RECOVERS_AT_ONCE, picture, is_key=True).entry
    assert not h264(RECOVERS_AT_ONCE, picture, is_key=True).clean
    assert not h264(RECOVERS_LATER, picture, is_key=True).entry
    assert not h264(picture, is_key=True).entry


def test_a_picture_is_disposable_if_no_slice_of_it_is_referred_to():
    assert h264(bytes([DISPOSABLE, 0x88, 0]), bytes([DISPOSABLE, 0x44, 0])).disposable
    assert not h264(bytes([DISPOSABLE, 0x88, 0]), bytes([SLICE, 0x44, 0])).disposable


def test_start_codes_and_lengths_give_the_same_units():
    units = [bytes([SEI, 6, 1, 0xC0]), bytes([IDR, 0x88, 1])]
    by_length = prefixed(*units)
    by_code = b"\0\0\1".join([b"", *units])
    assert [by_length[a:b] for a, b in nal_units(by_length, 4)] == units
    assert [by_code[a:b] for a, b in nal_units(by_code, 0)] == units


@pytest.mark.parametrize("damaged", [b"\0\0\0\xff\x65\x88", b"\0\0\0\0\x65\x88", b"\0\0\0\2\x65\x88\0\0\0\x09\x41\0\0"])
def test_lengths_that_do_not_fill_the_packet_make_it_unknown(damaged):
    assert packet_facts("h264", damaged, is_key=True, nal_length_bytes=4) == UNKNOWN


@pytest.mark.parametrize(
    ("kind", "entry", "clean", "broken"), [(19, 1, 1, 0), (20, 1, 1, 0), (21, 1, 0, 0), (16, 1, 0, 1), (1, 0, 0, 0)]
)
def test_hevc_pictures(kind, entry, clean, broken):
    facts = packet_facts("hevc", prefixed(bytes([kind << 1, 1, 0x80])), is_key=kind >= 16, nal_length_bytes=4)
    assert (facts.entry, facts.clean, facts.broken_link) == (entry, clean, broken)


def test_vp8_tells_key_and_hidden_frames():
    for first_byte, entry, frames in [(0b10000, True, 1), (0b10001, False, 1), (0b00001, False, 0)]:
        facts = packet_facts("vp8", bytes([first_byte, 0, 0]), is_key=entry, nal_length_bytes=0)
        assert (facts.entry, facts.frames) == (entry, frames)


def test_a_vp9_frame_that_is_not_shown_alone_is_unknown():
    shown, hidden, again = 0b10000010, 0b10000000, 0b10001000
    for first_byte, known in [(shown, True), (hidden, False), (again, True)]:
        facts = packet_facts("vp9", bytes([first_byte, 0, 0]), is_key=False, nal_length_bytes=0)
        assert (facts != UNKNOWN) is known


def test_mpeg4_packed_and_empty_pictures_are_unknown():
    def facts(data):
        return packet_facts("mpeg4", data, is_key=False, nal_length_bytes=0)

    code, body = b"\0\0\1\xb6", bytes(20)
    assert facts(code + b"\x10" + body).entry
    assert facts(code + b"\x90" + body).reordered
    assert facts(code + b"\x50" + body + code + b"\x90" + body) == UNKNOWN
    assert facts(code + b"\x50\0") == UNKNOWN


def test_length_of_lengths_is_read_from_the_header():
    assert nal_length_bytes("h264", bytes([1, 100, 0, 30, 0xFF, 0xE1, 0, 0])) == 4
    assert nal_length_bytes("h264", b"\0\0\0\1\x67\x64\0") == 0
    assert nal_length_bytes("hevc", bytes(21) + b"\xff" + bytes(4)) == 0
    assert nal_length_bytes("hevc", b"\1" + bytes(20) + b"\xff" + bytes(4)) == 4
    assert nal_length_bytes("vp9", None) == 0
