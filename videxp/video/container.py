"""Opening a file with FFmpeg's demuxers (through PyAV): plain files in known formats only, and whole ones only."""

import stat
from collections.abc import Iterator
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from videxp.video.errors import UnreadableVideo

# Formats that hold their own frames. What refers to other files or hosts (hls, dash, concat, sdp, image2, lavfi) is
# left out: a playlist named `clip.mp4` must not be followed.
FORMATS = (
    "3g2,3gp,apng,asf,avi,dv,flv,gif,h261,h263,h264,hevc,ivf,live_flv,m4a,m4v,matroska,mj2,mjpeg,mov,mp4,mpeg,"
    "mpegts,mpegvideo,mxf,nut,obu,ogg,rm,swf,vc1,webm,wtv,y4m,yuv4mpegpipe"
)


STREAMS_KEPT = 4096
MAX_PIXELS = 89_478_485
"""Of a picture, as Pillow has it: 8192x8192 is read. A decoder may hold some twenty pictures in memory."""

DECODER_OPTIONS = {"max_pixels": str(MAX_PIXELS)}
# FFmpeg shows what was decoded of a damaged picture over what happens to be in memory, and marks it in no way.
OPTIONS_OF_DECODER = {"mjpeg": {"err_detect": "explode"}}


def plain_path(path: str | PathLike[str]) -> Path:
    """The path if it names a regular file with something in it; raises `UnreadableVideo` otherwise."""
    file = Path(path)
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        raise UnreadableVideo(path, "no such file" if isinstance(error, FileNotFoundError) else error) from None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableVideo(path, "not a regular file")
    if status.st_size == 0:
        raise UnreadableVideo(path, "the file is empty")
    return file


def file_url(path: str | PathLike[str]) -> str:
    """`file:/abs/path`: with the scheme written, `concat:a|b` or `http:` in a file's name is no protocol."""
    return f"file:{Path(path).absolute()}"


def open_container(path: str | PathLike[str], *, formats: str = FORMATS) -> tuple[InputContainer, VideoStream]:
    """The opened container and its film: its first video stream that is neither a cover nor, if there is another, a
    single picture (a thumbnail, the photograph of a moving one). Raises `UnreadableVideo`.

    formats: FFmpeg's names of those that are opened, with commas; of FORMATS.
    """
    container = _opened(plain_path(path), formats)
    films = film_streams(container)
    if not films:
        container.close()
        raise UnreadableVideo(path, "it holds no video stream that can be decoded")
    stream = next((film for film in films if len(films) > 1 and not _is_one_picture(path, film)), films[0])
    if stream.width * stream.height > MAX_PIXELS:
        size = f"{stream.width}x{stream.height}"
        container.close()
        raise UnreadableVideo(
            path, f"its pictures are {size}: at most {MAX_PIXELS:,} pixels are read: make them smaller"
        )
    stream.thread_type = "NONE"  # one core per worker; slices in threads cost more than they bring at these sizes
    stream.codec_context.thread_count = 1
    stream.codec_context.options = decoder_options(stream.codec_context.name)
    return container, stream


def decoder_options(decoder: str) -> dict[str, str]:
    """decoder: FFmpeg's name."""
    return DECODER_OPTIONS | OPTIONS_OF_DECODER.get(decoder, {})


def film_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams that can be decoded, without covers and thumbnails of chapters."""
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    return [stream for stream in streams if not stream.disposition & pictures]


def _is_one_picture(path: str | PathLike[str], stream: VideoStream) -> bool:
    if stream.disposition & av.stream.Disposition.still_image or stream.frames == 1:
        return True
    status = Path(path).stat()
    return stream.frames == 0 and _has_one_packet(str(path), stream.index, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=STREAMS_KEPT)
def _has_one_packet(path: str, stream_index: int, size_bytes: int, mtime_ns: int) -> bool:
    """Where the container doesn't tell: reads up to the stream's second packet, or the whole file."""
    with _opened(Path(path)) as container:
        try:
            packets = (packet for packet in container.demux(container.streams[stream_index]) if packet.size)
            return next(packets, None) is None or next(packets, None) is None
        except av.error.FFmpegError:
            return False


def _opened(file: Path, formats: str = FORMATS) -> InputContainer:
    options = {"protocol_whitelist": "file", "format_whitelist": formats}
    try:
        return av.open(
            file_url(file),
            mode="r",
            options=DECODER_OPTIONS,  # for what is decoded in order to open it
            container_options=options,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError, UnicodeError) as error:
        raise UnreadableVideo(file, _cause(error)) from None


def _cause(error: Exception) -> str:
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return "not a video file in a format that is read here, or damaged at its start"
    return getattr(error, "strerror", None) or str(error)


def missing_bytes(path: str | PathLike[str]) -> int:
    """How many bytes the container's own lengths promise beyond the end of the file; 0 if it is whole or says nothing.

    A copy that broke off decodes without complaint up to its end, so that 3 frames of 90 would pass for the video.
    """
    file = Path(path)
    size_bytes = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(64)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp", b"pnot"):
            end_byte = max(_boxes_ends(stream, size_bytes), default=0)
        elif head[:4] == b"\x1aE\xdf\xa3":
            end_byte = _matroska_end(head)
        elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            end_byte = 8 + int.from_bytes(head[4:8], "little")
        else:
            return 0
    return max(0, end_byte - size_bytes)


def _boxes_ends(stream: BinaryIO, size_bytes: int) -> Iterator[int]:
    """Where each top-level box of an MP4 or QuickTime file that holds frames or their index ends."""
    start = 0
    while start + 8 <= size_bytes:
        stream.seek(start)
        header = stream.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or not kind.isascii():  # 0: up to the end of the file; else rubbish after the last box
            return
        if kind in (b"moov", b"mdat", b"moof"):
            yield start + length
        start += length


def _matroska_end(head: bytes) -> int:
    """Where the segment ends; 0 where it says that it doesn't know (live recordings)."""
    start = 4
    length, width = _ebml_number(head, start)
    start += width + length
    if head[start : start + 4] != b"\x18\x53\x80\x67":
        return 0
    length, width = _ebml_number(head, start + 4)
    unknown = (1 << 7 * width) - 1
    return 0 if width == 0 or length == unknown else start + 4 + width + length


def _ebml_number(data: bytes, start: int) -> tuple[int, int]:
    """(value, bytes used) of an EBML length: the number of leading zero bits says how many bytes follow."""
    if start >= len(data) or data[start] == 0:
        return 0, 0
    width = 9 - data[start].bit_length()
    value = int.from_bytes(data[start : start + width], "big") & ((1 << 7 * width) - 1)
    return value, width
