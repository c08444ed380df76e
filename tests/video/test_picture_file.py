"""Pictures of folders of frames: 8 and 16 bits, palettes, transparency, CMYK, EXIF turns; and what is no picture."""

import io
import struct
import zlib

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.video.torture_set import source_frames
from videxp.video import DecodeError, open_video
from videxp.video.picture_file import BadPicture, decode_picture, ends_whole, picture_size

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def values():
    """uint16 [H,W,4]: 0, 65535 and steps of 257 and 1 among them."""
    steps = np.array([0, 1, 128, 129, 255, 256, 257, 32767, 32768, 65406, 65407, 65535], np.uint16)
    rest = np.random.default_rng(0).integers(0, 65536, 12 * 10 * 4 - len(steps), np.uint16)
    return np.concatenate([steps, rest]).reshape(10, 12, 4)


def rounded(values):
    """v * 255 / 65535, to the nearest."""
    return np.round(values.astype(np.float64) * 255 / 65535).astype(np.uint8)


def png_of_16_bits(values):
    """Written by the standard's rules: grey, grey and alpha, RGB or RGBA, rows without a filter."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def saved(picture, kind, **options):
    written = io.BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_become_8_by_rounding_without_transparency(values, channels):
    given = values[..., :channels]
    expected = rounded(given[..., :3] if channels > 2 else given[..., :1].repeat(3, axis=2))
    data = png_of_16_bits(given)
    assert picture_size(data) == (10, 12)
    assert np.array_equal(decode_picture(data), expected)
    with Image.open(io.BytesIO(data)) as picture:  # the negative control
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - expected).max() > 0


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_so_do_those_of_a_tiff(values, compression):
    grey = values[..., 0]
    data = saved(Image.fromarray(grey), "TIFF", compression=compression)
    assert np.array_equal(decode_picture(data), rounded(grey)[..., None].repeat(3, axis=2))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(values[..., :3]), format="rgb48le")
    encoder = av.CodecContext.create("tiff", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 12, 10, "rgb48le", 1
    colors = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    assert np.array_equal(decode_picture(colors), rounded(values[..., :3]))


def test_palettes_cmyk_grey_and_bits_are_read_as_pillow_converts_them():
    picture = Image.fromarray(source_frames(1, (48, 64))[0])
    for mode, kind in [("P", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("1", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")]:
        data = saved(picture.convert(mode), kind, **({"lossless": True} if kind == "WEBP" else {}))
        with Image.open(io.BytesIO(data)) as again:
            assert np.array_equal(decode_picture(data), np.asarray(again.convert("RGB"))), mode


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_are_turned_as_their_exif_says(kind, orientation):
    picture = Image.fromarray(source_frames(1, (48, 64))[0])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = saved(picture, kind, exif=exif)
    with Image.open(io.BytesIO(data)) as again:
        expected = np.asarray(ImageOps.exif_transpose(again).convert("RGB"))
    assert picture_size(data) == expected.shape[:2]
    assert np.array_equal(decode_picture(data), expected)


def test_what_is_no_picture_says_why(monkeypatch):
    jpeg = saved(Image.fromarray(source_frames(1, (48, 64))[0]), "JPEG")
    floats = saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    for data, cause in [
        (b"", "the file is empty"),
        (b"no picture", "not a picture in a format that is read here"),
        (jpeg[: len(jpeg) // 2], "(?i)truncated"),
        (floats, "floating-point numbers, of which none is known to be white"),
    ]:
        with pytest.raises(BadPicture, match=cause):
            decode_picture(data)
    assert ends_whole(jpeg) and not ends_whole(jpeg[:-3])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3071)
    with pytest.raises(BadPicture, match="it is 64x48: at most 3,071 pixels are read"):
        picture_size(jpeg)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadPicture, match="it is 64x48: at most 1,000 pixels are read"):
        picture_size(jpeg)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_a_folder_of_such_pictures_is_a_video(tmp_path, values):
    for number in range(3):
        (tmp_path / f"img_{number}.png").write_bytes(png_of_16_bits(values[..., :3] // (number + 1)))
    with open_video(tmp_path, template="img_{}.png", fps=10) as reader:
        clip = reader.frames([2, 0]).numpy()
    assert np.array_equal(clip, rounded(np.stack([values[..., :3] // 3, values[..., :3]])))
    (tmp_path / "img_1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with (
        open_video(tmp_path, template="img_{}.png", fps=10) as reader,
        pytest.raises(DecodeError, match=r"img_1\.png"),
    ):
        reader.frames([1])
