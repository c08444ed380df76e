"""Files of raw YUV 4:2:0, as codecs' test sequences come: no header, the size stands in the name."""

import re
from fractions import Fraction
from pathlib import Path

import av

from videxp.core.errors import BadRequest
from videxp.core.files import replacing
from videxp.video.encoder import SMPTE_170M, muxer_options

_NAME = re.compile(r".*_(\d+)x(\d+)(?:_(\d+))?")
FPS = 30


def wrap_yuv(source: Path, target: Path) -> int:
    """NAME_WIDTHxHEIGHT_FRAMES.yuv -> FFV1 without loss, its planes as they are, each frame a key frame, BT.601.

    The file appears whole. Returns the number of frames. Raises BadRequest where the name tells no size, or another
    one or number of frames than the file has.
    """
    found = _NAME.fullmatch(source.stem)
    if found is None:
        raise BadRequest(f"{source}: its name does not tell its size: call it NAME_WIDTHxHEIGHT_FRAMES.yuv")
    width, height = int(found[1]), int(found[2])
    frames, rest = divmod(source.stat().st_size, width * height * 3 // 2)
    if rest or not frames or (found[3] and int(found[3]) != frames):
        raise BadRequest(
            f"{source}: {source.stat().st_size} bytes are {frames} frames of {width}x{height} and {rest} more"
        )
    raw = {"video_size": f"{width}x{height}", "pixel_format": "yuv420p", "framerate": str(FPS)}
    with (
        replacing(target) as temporary,
        av.open(str(source), format="rawvideo", options=raw) as given,
        av.open(str(temporary), "w", format="matroska", options=muxer_options(".mkv")) as made,
    ):
        stream = made.add_stream("ffv1", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = 1
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace = SMPTE_170M
        for number, frame in enumerate(given.decode(video=0)):
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return frames
