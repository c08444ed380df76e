"""Small videos whose frames come at any times."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICK = Fraction(1, 90000)


def timed_film(
    path: Path,
    seconds: Sequence[float],
    *,
    sound_from: float | None = None,
    until: float | None = None,
    b_frames: int = 0,
) -> Path:
    """A frame at each of `seconds`, the last one until `until`; 0.5 s of sound from `sound_from` on. Lossless."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        picture = output.add_stream("libx264", rate=30, options={"qp": "0", "preset": "ultrafast", "bf": str(b_frames)})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        picture.codec_context.thread_count, picture.codec_context.time_base = 1, TICK
        sound = None if sound_from is None else output.add_stream("mp2", rate=48000)
        packets = []
        for number, shown in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), "rgb24")
            frame.pts, frame.time_base = round(shown / TICK), TICK
            packets += picture.encode(frame)
        packets += picture.encode(None)
        if until is not None:
            max(packets, key=lambda packet: packet.pts).duration = round((until - seconds[-1]) / TICK)
        if sound is not None:
            packets += _half_a_second(sound, sound_from)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def _half_a_second(stream: av.AudioStream, start: float | None) -> list[av.Packet]:
    packets = []
    for number in range(24000 // 1152):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
        frame.pts = round((start or 0) * 48000) + 1152 * number
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def numbered_picture(number: int) -> np.ndarray:
    """uint8 [48,64,3]: stripes that say the number in binary."""
    picture = np.full((48, 64, 3), 60, np.uint8)
    for bit in range(8):
        picture[:, 8 * bit : 8 * bit + 8] = 200 if number >> bit & 1 else 40
    return picture


def number_of(picture_HWC: np.ndarray) -> int:
    return sum(1 << bit for bit in range(8) if picture_HWC[24, 8 * bit + 4, 0] > 120)


def avi_with_empty_packets(path: Path, *, slots: Sequence[int], fps: int) -> Path:
    """Frame i in place slots[i] of so many in a second; in the places between, the packet that says: the same again."""
    given = timed_film(path.with_name(f"{path.stem}-source.mp4"), [i / 10 for i in range(len(slots))])
    with av.open(str(given)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0], opaque=False)
        stream.time_base = Fraction(1, fps)
        packets = (packet for packet in source.demux(source.streams.video[0]) if packet.size)
        for packet, slot in zip(packets, slots, strict=True):
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, fps), 1
            packet.pts = packet.dts = slot
            output.mux(packet)
    given.unlink()
    return path


def seconds_by_pyav(path: Path) -> list[float]:
    """When each frame is shown, by decoding the file from end to end: 0 is where its first picture or sound starts."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        kind = "dts" if container.format.name == "avi" else "pts"  # AVI has a place for each packet
        shown = [float(getattr(frame, kind) * frame.time_base) for frame in container.decode(stream)]
    with av.open(str(path)) as container:
        sound = [float(next(container.decode(track)).time or 0) for track in container.streams.audio]
    return [seconds - min([*shown[:1], *sound]) for seconds in shown]
