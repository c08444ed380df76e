"""One picture of a folder of frames, whatever kind it is, as 8-bit RGB and upright.

Shapes: H, W pixels as displayed, C = 3 (red, green, blue), uint8 in [0,255].
"""

import io
import warnings

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from videxp.video.display import Turn, turned
from videxp.video.errors import one_line

ORIENTATION = 0x0112  # EXIF
TURNS: dict[int, Turn] = {
    2: "mirror",
    3: "half",
    4: "flip",
    5: "transpose",
    6: "clockwise",
    7: "transverse",
    8: "anticlockwise",
}
QUARTER_TURNS = frozenset({"transpose", "clockwise", "transverse", "anticlockwise"})
WITHOUT_WHITE = {"I": "whole numbers of 32 bits", "F": "floating-point numbers"}
VALUES_OF_A_PIXEL = {"gray16": 1, "ya16": 2, "rgb48": 3, "rgba64": 4}
STARTS_AND_ENDS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND\xaeB`\x82"))


class BadPicture(Exception):
    """Why a file is no picture, or not one that is read."""


def picture_size(data: bytes) -> tuple[int, int]:
    """(height, width) as displayed, from the picture's header. Raises `BadPicture`."""
    with _opened(data) as picture:
        width, height = picture.size
        is_turned = picture.format != "TIFF" and _turn(picture) in QUARTER_TURNS  # Pillow reckons with that of a TIFF
    return (width, height) if is_turned else (height, width)


def decode_picture(data: bytes) -> np.ndarray:
    """uint8 [H,W,C]. 16 bits become 8 as v * 255 / 65535, rounded; transparency is left out. Raises `BadPicture`."""
    with _opened(data) as picture:
        try:
            if picture.mode.startswith("I;16"):
                pixels, turn = _eight_bits(np.asarray(picture))[..., None].repeat(3, axis=2), _left_to_turn(picture)
            elif _has_colors_of_16_bits(picture):  # of which Pillow gives the upper 8
                pixels, turn = _eight_bits(_decode_16_bits(data, codec=str(picture.format).lower())), _turn(picture)
            else:
                turn = _left_to_turn(picture)
                pixels = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
        except BadPicture:
            raise
        except Exception as error:  # each format fails in its own ways
            raise BadPicture(one_line(error)) from None
    return turned(pixels, turn)


def not_in_pixels(data: bytes) -> list[str]:
    """What a picture has that its 8-bit RGB does not tell any more: `16 bits`, `transparency`, `color profile`."""
    with _opened(data) as picture:
        wide = picture.mode.startswith("I;16") or _has_colors_of_16_bits(picture)
        clear = picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info
        found = {
            "16 bits (8 are written)": wide,
            "transparency": clear,
            "color profile": "icc_profile" in picture.info,
        }
    return [name for name, is_there in found.items() if is_there]


def ends_whole(data: bytes) -> bool:
    """Whether a JPEG or PNG has its end; False for what does not tell."""
    return any(data.startswith(start) and data.rstrip(b"\0").endswith(end) for start, end in STARTS_AND_ENDS)


def _opened(data: bytes) -> Image.Image:
    if not data:
        raise BadPicture("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        width, height = _size_of_any(data)
        raise BadPicture(
            f"it is {width}x{height}: at most {Image.MAX_IMAGE_PIXELS:,} pixels are read: make it smaller"
        ) from None
    except Exception as error:
        unknown = isinstance(error, Image.UnidentifiedImageError)
        raise BadPicture("not a picture in a format that is read here" if unknown else one_line(error)) from None
    if said := WITHOUT_WHITE.get(picture.mode):
        raise BadPicture(f"its values are {said}, of which none is known to be white: make them 8 or 16 bits")
    return picture


def _size_of_any(data: bytes) -> tuple[int, int]:
    """(width, height), however large, from the header."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.size
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _turn(picture: Image.Image) -> Turn:
    """As the picture's EXIF says."""
    if picture.format == "PNG" and "exif" not in picture.info:  # to look behind the pixels takes decoding them
        return "none"
    return TURNS.get(picture.getexif().get(ORIENTATION, 1), "none")


def _left_to_turn(picture: Image.Image) -> Turn:
    """Pillow turns a TIFF when it decodes it, and nothing else."""
    return "none" if picture.format == "TIFF" else _turn(picture)


def _has_colors_of_16_bits(picture: Image.Image) -> bool:
    """Whether a PNG or TIFF has several values of 16 bits a pixel, by the layout that Pillow takes them from."""
    if picture.format not in ("PNG", "TIFF"):
        return False
    arguments = [tile[3] for tile in getattr(picture, "tile", [])]
    return any("16" in str(one[0] if isinstance(one, tuple) else one) for one in arguments)


def _decode_16_bits(data: bytes, *, codec: str) -> np.ndarray:
    """uint16 [H,W,C] by FFmpeg."""
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    frame = [*context.decode(av.Packet(data)), *context.decode(None)][0]
    kind, order = frame.format.name[:-2], frame.format.name[-2:]
    if kind not in VALUES_OF_A_PIXEL:
        raise BadPicture(f"pixels of kind {frame.format.name} are not read: make them 8 bits")
    count, plane = VALUES_OF_A_PIXEL[kind], frame.planes[0]
    rows = np.frombuffer(memoryview(plane), ">u2" if order == "be" else "<u2").reshape(frame.height, -1)
    values = rows[:, : frame.width * count].reshape(frame.height, frame.width, count)
    return values[..., :3] if count >= 3 else values[..., :1].repeat(3, axis=2)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """65535 -> 255, 32768 -> 128: v * 255 / 65535 = v / 257."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
