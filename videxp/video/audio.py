"""The audio of one file on its way into another: packets as they are, where the new container takes them."""

from collections.abc import Callable, Iterator
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

Send = Callable[[Packet], None]


class AudioTracks:
    """All audio tracks of `path`, added to `output`; they come no further than the pictures have come, so memory is
    constant however long they are, and however the source interleaves them."""

    def __init__(
        self, path: str | PathLike[str], output: OutputContainer, *, start_seconds: Fraction, say: Callable[[str], None]
    ) -> None:
        self._path, self._start_seconds = path, start_seconds
        self._container, _ = open_container(path)
        tracks = list(self._container.streams.audio)
        self._send = {track.index: _send(track, output, say=say) for track in tracks}
        self._packets: Iterator[Packet] = self._container.demux(tracks) if tracks else iter(())
        self._earliest = {track.index: -(2**62) for track in tracks}
        self._next = self._following()

    def copy_until(self, seconds: Fraction | None) -> None:
        """Writes the packets that begin before `seconds` of the new file; None: all that are left."""
        while self._next is not None:
            packet = self._next
            if packet.size and packet.dts is not None:
                shift = round(self._start_seconds / packet.time_base)
                if seconds is not None and (packet.dts - shift) * packet.time_base >= seconds:
                    return
                late = max(0, self._earliest[packet.stream.index] - (packet.dts - shift))  # muxers want ascending times
                pts = packet.dts if packet.pts is None else packet.pts
                packet.dts, packet.pts = packet.dts - shift + late, pts - shift + late
                self._earliest[packet.stream.index] = packet.dts + 1
            self._send[packet.stream.index](packet)
            self._next = self._following()

    def _following(self) -> Packet | None:
        try:
            return next(self._packets, None)
        except av.error.FFmpegError as error:
            raise DecodeError(self._path, [], f"its audio is damaged: {one_line(error.strerror or error)}") from None

    def close(self) -> None:
        self._container.close()


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

    def send(packet: Packet) -> None:
        if packet.size:  # the end is marked by an empty one
            packet.stream = copied
            output.mux(packet)

    return send


def _transcode(track: AudioStream, output: OutputContainer, *, codec: str) -> Send:
    rate = 48000 if codec == "libopus" else track.codec_context.sample_rate
    encoder: Any = output.add_stream(codec, rate=rate)
    encoder.layout = track.codec_context.layout
    copy_track_description(track, encoder)

    def send(packet: Packet) -> None:
        for frame in packet.decode():  # an empty packet drains the decoder
            output.mux(encoder.encode(frame))
        if not packet.size:
            output.mux(encoder.encode(None))

    return send
