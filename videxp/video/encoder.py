"""Writing frames to a video file, the same bytes from the same frames; and what compression leaves of them.

Shapes: T frames, H, W pixels, C = 3 (red, green, blue), uint8 in [0,255].
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import replacing
from videxp.video.color import Color, coded_picture
from videxp.video.display import rgb_picture

# One thread each, because with several the bytes depend on their number; closed GOPs, so that every reader can seek.
# Without cpu-independent, x264 on a CPU with AVX-512 writes other bytes from run to run.
ONE_THREAD = {
    "libx264": {"x264-params": "open-gop=0:cpu-independent=1", "preset": "veryfast"},
    "libx265": {"x265-params": "open-gop=0:pools=none:frame-threads=1:log-level=none", "preset": "veryfast"},
    "libvpx": {"row-mt": "0", "deadline": "good", "cpu-used": "4", "b": "0", "auto-alt-ref": "0"},
    "libvpx-vp9": {"row-mt": "0", "deadline": "good", "cpu-used": "4", "b": "0"},
    "libsvtav1": {"svtav1-params": "lp=1", "preset": "8"},
}
# x265 refuses frames smaller than a coding tree unit; where they are no wider than one, it gives others each time.
X265_UNITS = [64, 32, 16]
X265_LEAST = 32  # height and width that can be encoded the same each time
X265_TREE_LEAST = 64  # width: in narrower frames x265's CU-tree writes beyond its memory (seen up to 48)
# Encoders that can keep to a quality: FFmpeg's options for it, and the values that it takes.
QP = {"libx264": (("qp",), range(52)), "libx265": (("qp",), range(52)), "mpeg4": (("qmin", "qmax"), range(1, 32))}
CRF = {"libx264": (("crf",), range(52)), "libx265": (("crf",), range(52))}
SMPTE_170M = 6  # ITU-T H.273's code for BT.601 at 525 lines


def write_video(
    path: str | PathLike[str],
    frames: Any,
    *,
    fps: float | Fraction,
    crf: int = 18,
    codec: str = "libx264",
    keyframe_interval: int = 48,
    pixel_format: str | None = None,
    made_by: str = "",
) -> int:
    """Encodes uint8 [T,H,W,C] (array or tensor), or an iterable of [H,W,C], and returns the number of frames.

    The container follows the suffix of `path`. One thread, no dates: the same frames give the same bytes. The file
    appears whole under its name, or not at all. `pixel_format`: None takes yuv420p, the one that everything plays,
    for even sizes, and yuv444p for odd ones: yuv420p cannot hold them, and padding would change the size of the data.
    `made_by`: the file's comment.

    Raises `ValueError` for frames of another type or shape, or none at all; `BadRequest` for an unknown codec.
    """
    rate = frame_rate(fps)
    pictures = _checked(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{path}: no frames to write")
    options = encoder_options(codec, crf=crf)
    with replacing(Path(path)) as temporary:
        container = _opened(temporary)
        if made_by:
            container.metadata["comment"] = made_by
        return _encode(
            container,
            _chain(first, pictures),
            size=first.shape[:2],
            rate=rate,
            codec=codec,
            options=options,
            keyframe_interval=keyframe_interval,
            pixel_format=pixel_format or default_pixel_format(*first.shape[:2]),
        )


def compress(
    frames: np.ndarray,
    *,
    codec: str,
    bit_rate: int | None = None,
    peak_bit_rate: int | None = None,
    qp: int | None = None,
    crf: int | None = None,
    fps: float | Fraction = 25,
) -> np.ndarray:
    """What a real encoder leaves of uint8 [T,H,W,C], at a bit rate, a constant QP or a CRF: uint8 [T,H,W,C].

    bit_rate: per second; peak_bit_rate: the most in any second. qp: of P-frames; others have what the encoder takes
    with it (x264: 3 less for I, 2 more for B). In memory, with chroma at half the resolution; odd sizes are padded by
    their last row and column meanwhile. One thread: the same frames give the same. Colors are converted without a bias,
    there and back, so that what differs is the encoder's doing. Raises `BadRequest` for an unknown codec or a quality
    that it does not take, `VidexpError` where it fails.
    """
    height, width = frames.shape[1:3]
    options = quality_options(codec, qp=qp, crf=crf) if bit_rate is None else {}
    if peak_bit_rate is not None:
        options |= {"maxrate": str(peak_bit_rate), "bufsize": str(peak_bit_rate)}
    try:
        file = _in_memory(frames, codec=codec, bit_rate=bit_rate, options=options, rate=frame_rate(fps))
        decoded = _decoded(file)
    except av.error.FFmpegError as error:
        given = {"bit_rate": bit_rate, "qp": qp, "crf": crf}
        said = " ".join(f"{key}={value}" for key, value in given.items() if value is not None)
        raise VidexpError(f"codec {codec!r} with {said}: {error.strerror}") from None
    if len(decoded) != len(frames):
        raise VidexpError(f"codec {codec!r}: {len(frames)} frames went in, {len(decoded)} came out")
    return np.stack(decoded)[:, :height, :width]


def bit_rate_at(frames: np.ndarray, *, crf: int, fps: float | Fraction) -> int:
    """Bits per second that H.264 takes at a CRF for uint8 [T,H,W,C], without those of a container."""
    rate = frame_rate(fps)
    options = quality_options("libx264", crf=crf)
    file = _in_memory(frames, codec="libx264", bit_rate=None, options=options, rate=rate, muxer="h264")
    return round(8 * len(file.getbuffer()) * rate / len(frames))


def padded_to_even(frames: np.ndarray, *, codec: str) -> np.ndarray:
    """uint8 [T,H,W,C] with the last row and column repeated as far as the codec needs it."""
    least = X265_LEAST if codec == "libx265" else 2
    rows, columns = (max(least - side, side % 2) for side in frames.shape[1:3])
    return np.pad(frames, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge")


def quality_options(codec: str, *, qp: int | None = None, crf: int | None = None) -> dict[str, str]:
    """FFmpeg's options for a constant QP or a CRF. Raises `BadRequest` for a codec or a value that cannot have it."""
    if (qp is None) == (crf is None):
        raise BadRequest(f"qp={qp} crf={crf}: give one of the two")
    name, value, known = ("qp", qp, QP) if qp is not None else ("crf", crf, CRF)
    if codec not in known:
        raise BadRequest(f"codec={codec!r} cannot be told a {name}: {' or '.join(known)} can")
    keys, values = known[codec]
    if value not in values:
        raise BadRequest(f"{name}={value}: {codec} takes {values[0]} to {values[-1]}")
    return {key: str(value) for key in keys}


def _in_memory(
    frames: np.ndarray,
    *,
    codec: str,
    bit_rate: int | None,
    options: dict[str, str],
    rate: Fraction,
    muxer: str = "matroska",
) -> BytesIO:
    """The encoded file."""
    file, even = BytesIO(), padded_to_even(frames, codec=codec)
    _encode(
        av.open(file, "w", format=muxer, options=muxer_options(".mkv")),
        _checked(even),
        size=even.shape[1:3],
        rate=rate,
        codec=codec,
        options=default_effort(codec) | options,
        keyframe_interval=48,
        pixel_format="yuv420p",
        bit_rate=bit_rate,
        accurate=True,
    )
    return file


def default_effort(codec: str) -> dict[str, str]:
    """FFmpeg's options for one thread and closed GOPs, with the encoder's own preset."""
    return {name: value for name, value in ONE_THREAD.get(codec, {}).items() if name != "preset"}


def _decoded(file: BytesIO) -> list[np.ndarray]:
    file.seek(0)
    reformatter = VideoReformatter()
    with av.open(file) as container:
        container.streams.video[0].thread_count = 1
        return [rgb_picture(frame, reformatter, accurate=True) for frame in container.decode(video=0)]


def frame_rate(fps: float | Fraction) -> Fraction:
    """The rate as a fraction: 25 -> 25, 29.97 -> 2997/100, 30000/1001 (also as a float) -> 30000/1001."""
    rate = fps if isinstance(fps, Fraction) else Fraction(float(fps)).limit_denominator(1001)
    if rate <= 0:
        raise ValueError(f"fps must be > 0, not {fps}")
    return rate


def _encode(
    container: OutputContainer,
    pictures: Iterator[np.ndarray],
    *,
    size: tuple[int, int],
    rate: Fraction,
    codec: str,
    options: dict[str, str],
    keyframe_interval: int,
    pixel_format: str,
    bit_rate: int | None = None,
    accurate: bool = False,
) -> int:
    reformatter = VideoReformatter()
    count = 0
    with container:
        stream = _stream(container, codec, rate, _for_size(options, size))
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        stream.codec_context.gop_size = keyframe_interval
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        if pixel_format.startswith("yuv"):
            stream.codec_context.colorspace = SMPTE_170M
        for picture_HWC in pictures:
            if picture_HWC.shape[:2] != size:
                raise ValueError(f"frame {count} has size {picture_HWC.shape[:2]}, the first {size}")
            frame = encoder_frame(
                picture_HWC, number=count, rate=rate, pixel_format=pixel_format, by=reformatter, accurate=accurate
            )
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count


def encoder_frame(
    picture_HWC: np.ndarray,
    *,
    number: int,
    rate: Fraction,
    pixel_format: str,
    by: VideoReformatter,
    accurate: bool = False,
) -> VideoFrame:
    """A picture as an encoder takes it: BT.601, the `number`-th at `rate` per second.

    accurate: colors are rounded to the nearest; otherwise down, as FFmpeg does where nobody says how.
    """
    if accurate:
        coded = coded_picture(picture_HWC, Color(), pixel_format=pixel_format, reformatter=by)
    else:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture_HWC), format="rgb24")
        coded = by.reformat(frame, format=pixel_format, dst_colorspace=Colorspace.ITU601, threads=1)
    coded.pts, coded.time_base = number, 1 / rate
    return coded


def _opened(path: Path) -> OutputContainer:
    try:
        return av.open(str(path), "w", options=muxer_options(path.suffix))
    except (av.error.FFmpegError, ValueError) as error:
        raise BadRequest(f"{path.parent}: cannot write a {path.suffix or 'suffixless'} video there: {error}") from None


def muxer_options(suffix: str) -> dict[str, str]:
    """No dates and versions in the file; the index of an mp4 at its start, so that a browser can play it at once."""
    bitexact = {"fflags": "+bitexact"}
    return {**bitexact, "movflags": "+faststart"} if suffix.lower() in (".mp4", ".mov", ".m4v") else bitexact


def encoder_options(codec: str, *, crf: int) -> dict[str, str]:
    """FFmpeg's options for a codec: one thread, closed GOPs, and the quality if the codec knows it by that name."""
    return {**ONE_THREAD[codec], "crf": str(crf)} if codec in ONE_THREAD else {}


def _for_size(options: dict[str, str], size: tuple[int, int]) -> dict[str, str]:
    """For frames of (height, width): x265's coding tree units smaller than they are, and no CU-tree in narrow ones."""
    fits = [unit for unit in X265_UNITS if size[0] >= unit and size[1] > unit]
    if "x265-params" not in options or fits == X265_UNITS:
        return options
    limits = f"ctu={max(fits, default=X265_UNITS[-1])}" + (":cutree=0" if size[1] < X265_TREE_LEAST else "")
    return {**options, "x265-params": f"{options['x265-params']}:{limits}"}


def default_pixel_format(height: int, width: int) -> str:
    """yuv420p halves the chroma, so it needs even sizes."""
    return "yuv420p" if height % 2 == 0 and width % 2 == 0 else "yuv444p"


def _stream(container: Any, codec: str, rate: Fraction, options: dict[str, str]) -> VideoStream:
    try:
        return container.add_stream(codec, rate=rate, options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise BadRequest(f"codec {codec!r} cannot be written here: {error}") from None


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _checked(frames: Any) -> Iterator[np.ndarray]:
    """uint8 [H,W,C] pictures from a clip or an iterable of pictures, numpy or torch."""
    if not isinstance(frames, Iterable):
        raise ValueError(f"frames must be uint8 [T,H,W,C] or an iterable of [H,W,C], not {type(frames).__name__}")
    for number, picture in enumerate(frames):
        array = picture if isinstance(picture, np.ndarray) else np.asarray(picture)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
            raise ValueError(f"frame {number} must be uint8 [H,W,3], not {array.dtype} {list(array.shape)}")
        yield array
