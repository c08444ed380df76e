"""What is refused of a video before any picture of it is decoded."""

from pathlib import Path

from videxp.deploy.serving.refusal import Refused, RequestLimits, without_paths
from videxp.video.container import open_container
from videxp.video.errors import UnreadableVideo
from videxp.video.probing import Probe, scan

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
"""FFmpeg's names of mp4 and mov, mkv and webm, avi, ts: none refers to another file."""
CONTAINER_WORDS = "mp4, mov, mkv, webm, avi or ts"
MAX_FPS = 240
"""A video of `max_seconds` has at most so many frames a second."""


def inspect(path: Path, limits: RequestLimits) -> Probe:
    """What its packets tell, all of which are counted: a length that the container states may be wrong.

    Raises Refused: 415 for another container, 422 for a damaged file, 413 beyond the limits.
    """
    try:
        container, stream = open_container(path, formats=CONTAINERS)
    except UnreadableVideo as error:
        raise Refused(415, f"not a video in {CONTAINER_WORDS}: {_cause(error, path)}") from None
    with container:
        _require_pixels(stream.width, stream.height, limits)
        lengths = [float((container.duration or 0) / 1e6)]
        if stream.duration and stream.time_base:
            lengths.append(float(stream.duration * stream.time_base))
        _require_seconds(max(lengths), limits)
    try:
        found, _ = scan(path)
    except UnreadableVideo as error:
        raise Refused(422, _cause(error, path)) from None
    _require_pixels(found.width, found.height, limits)
    _require_seconds(found.duration_seconds, limits)
    if found.num_frames > limits.max_seconds * MAX_FPS:
        raise Refused(413, f"the video has {found.num_frames} frames: at most {limits.max_seconds * MAX_FPS:g}")
    return found


def _require_pixels(width: int, height: int, limits: RequestLimits) -> None:
    if width * height > limits.max_pixels:
        raise Refused(413, f"its pictures are {width}x{height}: at most {limits.max_pixels:,} pixels")


def _require_seconds(seconds: float, limits: RequestLimits) -> None:
    if seconds > limits.max_seconds:
        raise Refused(413, f"the video is {seconds:.1f} s long: at most {limits.max_seconds:g} s")


def _cause(error: Exception, path: Path) -> str:
    return without_paths(str(error), folder=str(path.parent)).removeprefix("the video: ")
