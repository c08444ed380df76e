"""A video file made anew with other pictures: same times, audio, color and proportions.

Shapes: H, W = height and width as displayed, C = 3 (red, green, blue), uint8 in [0,255].
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import naming_file, replacing, temporary_name
from videxp.video.audio import AudioTracks, open_audio
from videxp.video.color import coded_picture
from videxp.video.container import open_container
from videxp.video.descriptions import copy_description, copy_track_description, describe, lost_descriptions, with_maker
from videxp.video.encoder import default_pixel_format, encoder_options, muxer_options
from videxp.video.errors import one_line
from videxp.video.sequence import Picture, VideoFile
from videxp.video.timed_files import require_timed

KEYFRAME_INTERVAL = 120  # some 4 s: to be watched rather than sampled at random

Write = Callable[[Picture], None]


@contextmanager
def remade_video(
    path: Path,
    *,
    like: VideoFile,
    size: tuple[int, int],
    codec: str | None = None,
    crf: int = 18,
    pixel_format: str | None = None,
    made_by: str = "",
    say: Callable[[str], None] = print,
) -> Iterator[Write]:
    """Yields a function that takes the new pictures, of `size` (height, width), with the times of those of `like`.

    The file appears whole under its name when the block ends well, or not at all. Turned pictures stay upright, and
    need no turn any more. `codec`: None takes libx264, in WebM libvpx-vp9. `pixel_format`: None takes yuv420p for even
    sizes and yuv444p for odd ones, which yuv420p cannot hold. `made_by`: is put behind the comment that the file has.

    Raises `BadRequest` for a container, codec or pixel format that cannot be written.
    """
    require_timed(path)
    codec = codec or ("libvpx-vp9" if path.suffix.lower() == ".webm" else "libx264")
    pixel_format = pixel_format or default_pixel_format(*size)
    _tell(like, size=size, pixel_format=pixel_format, say=say)
    options = muxer_options(path.suffix)
    if "movflags" in options:  # MP4 keeps when a track starts in ticks of its own, by default 1 ms
        options["movie_timescale"] = str(like.time_base.denominator)
    with replacing(path) as temporary:
        with (
            av.open(str(temporary), "w", options=options) as output,
            _writer(
                output,
                path,
                like=like,
                size=size,
                codec=codec,
                crf=crf,
                pixel_format=pixel_format,
                made_by=made_by,
                say=say,
            ) as write,
        ):
            yield write
        due = describe(like.path)
        due.tags = with_maker(due.tags, made_by)
        lost = lost_descriptions(due, describe(temporary), start_seconds=float(like.start_seconds))
        if lost:
            say(f"left out, since {path.suffix} has no place for it: {', '.join(lost)}")


@contextmanager
def _writer(
    output: OutputContainer,
    path: Path,
    *,
    like: VideoFile,
    size: tuple[int, int],
    codec: str,
    crf: int,
    pixel_format: str,
    made_by: str,
    say: Callable[[str], None],
) -> Iterator[Write]:
    """Encodes pictures, with the audio and the descriptions of `like`. `path`: what the file is called in the end."""
    try:
        stream: Any = output.add_stream(codec, rate=like.rate, options=encoder_options(codec, crf=crf))
        configure_stream(stream, like=like, size=size, pixel_format=pixel_format)
    except (av.error.FFmpegError, ValueError, TypeError) as error:
        raise BadRequest(f"{path}: {codec} with {pixel_format} cannot be written there: {error}") from None
    source, video = open_container(like.path)
    with source:
        copy_description(source, output, start_seconds=like.start_seconds, made_by=made_by)
        copy_track_description(video, stream)
    reformatter = VideoReformatter()
    with open_audio(like.path) as tracks:
        audio = AudioTracks(tracks, output, start_seconds=like.start_seconds, say=say)

        def write(picture: Picture) -> None:
            if picture.pixels_HWC.shape[:2] != size:
                raise ValueError(f"{path}: a picture of size {picture.pixels_HWC.shape[:2]} where {size} is due")
            frame = coded_picture(picture.pixels_HWC, like.color, pixel_format=pixel_format, reformatter=reformatter)
            frame.pts, frame.duration, frame.time_base = picture.pts, picture.duration, like.time_base
            audio.copy_until(picture.pts * like.time_base)
            output.mux(stream.encode(frame))

        try:
            yield write
            audio.copy_until(None)
            audio.finish()
            output.mux(stream.encode(None))
        except av.error.FFmpegError as error:
            raise VidexpError(f"{path}: cannot be written: {one_line(error.strerror or error)}") from None


def configure_stream(stream: VideoStream, *, like: VideoFile, size: tuple[int, int], pixel_format: str) -> None:
    """Opens the encoder, so that what it cannot do is told before any work is done."""
    context = stream.codec_context
    stream.height, stream.width = size
    stream.pix_fmt = pixel_format
    context.time_base = like.time_base
    context.gop_size = KEYFRAME_INTERVAL
    context.thread_count = 1
    context.flags |= av.codec.context.Flags.bitexact
    context.sample_aspect_ratio = like.pixel_ratio
    context.color_primaries, context.color_trc = like.color.primaries, like.color.transfer
    if pixel_format.startswith("yuv"):
        context.colorspace = like.color.matrix
        context.color_range = ColorRange.JPEG if like.color.full_range else ColorRange.MPEG
    context.open()


def _tell(like: VideoFile, *, size: tuple[int, int], pixel_format: str, say: Callable[[str], None]) -> None:
    if like.bits > 8:
        say(f"pictures: {like.bits} bits become 8")
    if pixel_format == "yuv444p" and (size[0] % 2 or size[1] % 2):
        say(f"pictures: {size[1]}x{size[0]} is odd, so they are written as yuv444p, which some players do not show")
    if like.other_streams:
        say(f"left out: {like.other_streams}")  # subtitles, second videos, cover pictures, data


@contextmanager
def picture_folder(folder: Path) -> Iterator[Write]:
    """Yields a function that takes pictures with names, and writes each as PNG.

    The folder appears whole when the block ends well, in place of one that is there already, or not at all.
    """
    folder = folder.resolve()  # not a link to it
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix, _ = temporary_name(folder)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix))
    try:
        with naming_file(folder, writing=temporary / "more"):
            yield lambda picture: Image.fromarray(picture.pixels_HWC).save(temporary / f"{picture.name}.png")
        temporary.chmod(folder.parent.stat().st_mode & 0o777)  # mkdtemp's 0700 would shut colleagues out
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{prefix}old-"))
            os.replace(folder, old)  # a folder may take the place of an empty one
            os.replace(temporary, folder)
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
