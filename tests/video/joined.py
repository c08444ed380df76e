"""Small videos whose headers change on the way, or lie far before the pictures that need them.

Shapes: H, W pixels, C = 3.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
from av.packet import PacketSideData

from tests.video.torture_set import run_ffmpeg, source_frames

HEIGHT, WIDTH = 48, 64
NEW_EXTRADATA = 1  # as FFmpeg numbers what comes beside a packet
JPEG_TABLES = {"huffman": 0xC4, "quantisation": 0xDB}


def piece(path: Path, encode: str, *, frames: int = 24, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """A video by ffmpeg's arguments."""
    raw = f"-f rawvideo -pix_fmt rgb24 -s {size[1]}x{size[0]} -r 25 -i -".split()
    run_ffmpeg([*raw, *encode.split(), str(path)], data=source_frames(frames, size).tobytes())
    return path


def join(path: Path, pieces: Iterable[Path]) -> Path:
    """One after another, not encoded again."""
    listed = path.with_suffix(".txt")
    listed.write_text("".join(f"file '{one}'\n" for one in pieces))
    run_ffmpeg(f"-f concat -safe 0 -i {listed} -c copy {path}".split())
    return path


def repack(path: Path, sources: Iterable[Path], change: Callable[[int, bytes], bytes]) -> Path:
    """The packets of one file, or of several, in a new one, each as `change(number, data)` makes it."""
    number = 0
    with av.open(str(path), "w") as output:
        stream = None
        for source in sources:
            with av.open(str(source)) as given:
                video = given.streams.video[0]
                stream = stream or output.add_stream_from_template(video)
                for packet in given.demux(video):
                    if packet.size:
                        new = av.Packet(change(number, bytes(packet)))
                        new.pts = new.dts = number
                        new.time_base, new.stream, new.is_keyframe = Fraction(1, 25), stream, packet.is_keyframe
                        output.mux(new)
                        number += 1
    return path


def without_tables(jpeg: bytes, *kinds: str) -> bytes:
    """A JPEG without its Huffman or quantisation tables."""
    start, parts = 2, [jpeg[:2]]
    while jpeg[start + 1] != 0xDA:
        end = start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")
        if jpeg[start + 1] not in [JPEG_TABLES[kind] for kind in kinds]:
            parts.append(jpeg[start:end])
        start = end
    return b"".join([*parts, jpeg[start:]])


def new_headers(path: Path, pieces: Iterable[Path]) -> Path:
    """One after another in one track, each with its own description beside its first packet."""
    number, output = 0, av.open(str(path), "w")
    with output:
        stream = None
        for source in pieces:
            with av.open(str(source)) as given:
                video = given.streams.video[0]
                headers = bytes(video.codec_context.extradata or b"")
                stream = stream or output.add_stream_from_template(video)
                start, step = number, round(Fraction(1, 25) / video.time_base)
                for packet in given.demux(video):
                    if packet.size:
                        if number == start > 0:
                            beside = PacketSideData(NEW_EXTRADATA, len(headers))
                            beside.update(headers)
                            packet.set_sidedata(beside)
                        packet.pts, packet.dts = packet.pts + start * step, packet.dts + start * step
                        packet.stream = stream
                        output.mux(packet)
                        number += 1
    return path


def with_still(path: Path, still: Path, film: Path) -> Path:
    """The still's packets as the first stream, the film's as the second."""
    with av.open(str(still)) as one, av.open(str(film)) as two, av.open(str(path), "w") as output:
        pairs = [(given, output.add_stream_from_template(given.streams.video[0])) for given in (one, two)]
        for given, stream in pairs:
            for packet in given.demux(given.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    return path
