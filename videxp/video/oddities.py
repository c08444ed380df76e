"""What is odd about a file, though every frame of it can be read: holes, lost packets, other video streams."""

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from videxp.video.container import film_streams
from videxp.video.index import EMPTY_PACKETS, FrameIndex, Packets

HOLE_SECONDS, HOLE_FRAMES = 1.0, 10


def describe_oddities(container: InputContainer, stream: VideoStream, packets: Packets, index: FrameIndex) -> str:
    """ "" for most files."""
    found = [_other_streams(container, stream), _lost_packets(packets), decoding_note(index.complaint), _holes(index)]
    return "; ".join(one for one in found if one)


def _other_streams(container: InputContainer, stream: VideoStream) -> str:
    films = film_streams(container)
    if len(films) == 1:
        return ""
    still = "" if stream.index == films[0].index else ", because those before it are one picture each"
    return f"{len(films)} video streams: stream {stream.index} is read{still}"


def _lost_packets(packets: Packets) -> str:
    if packets.error and packets.error != EMPTY_PACKETS:
        return f"its container is damaged ({packets.error})"
    return "packets were lost or damaged, or recordings joined: its counters jump" if packets.corrupt else ""


def decoding_note(complaint: str) -> str:
    """Of the last error that FFmpeg got over while it decoded."""
    return f"frames of it may be damaged (FFmpeg: {complaint})" if complaint else ""


def _holes(index: FrameIndex) -> str:
    """Where no frame is shown for a second and for ten frames' time: `no frame between 2.7 s and 5.3 s`."""
    seconds = (index.shown - index.shown[:1]) * float(index.time_base)
    if len(seconds) < 3:
        return ""
    lengths = np.diff(seconds)
    holes = np.flatnonzero((lengths > HOLE_SECONDS) & (lengths > HOLE_FRAMES * np.median(lengths)))
    if not len(holes):
        return ""
    first = f"no frame between {seconds[holes[0]]:.1f} s and {seconds[holes[0] + 1]:.1f} s"
    return first if len(holes) == 1 else f"{first}, and {len(holes) - 1} more such holes"
