"""The audio of one file on its way into another: packets as they are, where the new container takes them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from os import PathLike
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from videxp.video.container import open_container
from videxp.video.descriptions import copy_track_description
from videxp.video.errors import DecodeError, one_line

Send = Callable[[Packet | None], None]
"""Writes a packet of a track; None: the new file ends here."""


class TrackReader:
    """The packets of one audio track, the next of them in sight, so that several files can take their share in turn."""

    def __init__(self, path: str | PathLike[str], stream_index: int) -> None:
        self._path = path
        self._container, _ = open_container(path)
        self.track: Any = self._container.streams[stream_index]
        self._packets: Iterator[Packet] = self._container.demux(self.track)
        self.next = self._following()

    def take(self) -> Packet | None:
        """The next packet; the last one is empty. Raises DecodeError where what follows is damaged."""
        packet, self.next = self.next, self._following() if self.next is not None else None
        return packet

    def _following(self) -> Packet | None:
        try:
            return next(self._packets, None)
        except av.error.FFmpegError as error:
            raise DecodeError(self._path, [], f"its audio is damaged: {one_line(error.strerror or error)}") from None

    def close(self) -> None:
        self._container.close()


def has_sound(path: str | PathLike[str]) -> bool:
    """Raises UnreadableVideo."""
    container, _ = open_container(path)
    with container:
        return bool(container.streams.audio)


@contextmanager
def open_audio(path: str | PathLike[str]) -> Iterator[list[TrackReader]]:
    """All audio tracks of a file. Each is read by itself: containers interleave them by up to a second."""
    container, _ = open_container(path)
    with container:
        numbers = [track.index for track in container.streams.audio]
    with ExitStack() as opened:
        readers = []
        for number in numbers:
            readers.append(TrackReader(path, number))
            opened.callback(readers[-1].close)
        yield readers


class AudioTracks:
    """Audio tracks in `output`; they come no further than the pictures have come, so memory is constant however long
    they are. start_seconds: of the source, with which the new file begins."""

    def __init__(
        self,
        readers: list[TrackReader],
        output: OutputContainer,
        *,
        start_seconds: Fraction,
        say: Callable[[str], None],
    ) -> None:
        self._start_seconds = start_seconds
        self._tracks = [(reader, _send(reader.track, output, say=say)) for reader in readers]
        self._earliest = {reader.track.index: -(2**62) for reader in readers}

    def copy_until(self, seconds: Fraction | None) -> None:
        """Writes the packets that begin before `seconds` of the new file; None: all that are left."""
        for reader, send in self._tracks:
            self._copy_track(reader, send, seconds)

    def _copy_track(self, reader: TrackReader, send: Send, seconds: Fraction | None) -> None:
        number = reader.track.index
        while (packet := reader.next) is not None:
            if packet.size and packet.dts is not None:
                shift = round(self._start_seconds / packet.time_base)
                if seconds is not None and (packet.dts - shift) * packet.time_base >= seconds:
                    return
                late = max(0, self._earliest[number] - (packet.dts - shift))  # muxers want ascending times
                pts = packet.dts if packet.pts is None else packet.pts
                packet.dts, packet.pts = packet.dts - shift + late, pts - shift + late
                self._earliest[number] = packet.dts + 1
            reader.take()
            send(packet)

    def finish(self) -> None:
        """Writes what encoders hold back; nothing can follow."""
        for _, send in self._tracks:
            send(None)


def _send(track: AudioStream, output: OutputContainer, *, say: Callable[[str], None]) -> Send:
    codec = track.codec_context.codec.canonical_name
    if codec in output.supported_codecs:
        return _copy(track, output)
    new = "libopus" if output.format.name == "webm" else "aac"
    say(f"audio: {output.format.name} cannot hold {codec}, so it is encoded again as {new.removeprefix('lib')}")
    return _transcode(track, output, codec=new)


def _copy(track: AudioStream, output: OutputContainer) -> Send:
    copied = output.add_stream_from_template(track)
    copy_track_description(track, copied)

    def send(packet: Packet | None) -> None:
        if packet is not None and packet.size:  # the end is marked by an empty one
            packet.stream = copied
            output.mux(packet)

    return send


def _transcode(track: AudioStream, output: OutputContainer, *, codec: str) -> Send:
    rate = 48000 if codec == "libopus" else track.codec_context.sample_rate
    encoder: Any = output.add_stream(codec, rate=rate)
    encoder.layout = track.codec_context.layout
    copy_track_description(track, encoder)

    def send(packet: Packet | None) -> None:
        if packet is None:
            output.mux(encoder.encode(None))
            return
        for frame in packet.decode():  # an empty packet drains the decoder
            output.mux(encoder.encode(frame))

    return send
