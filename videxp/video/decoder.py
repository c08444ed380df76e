"""The one door to video files: `open_video`."""

from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from videxp.core.errors import BadRequest
from videxp.video.container import plain_path
from videxp.video.decord_reader import DecordReader, decord_is_installed
from videxp.video.errors import DecodeError, DecoderRefused, UnreadableVideo
from videxp.video.frame_folder import FrameFolderReader
from videxp.video.index import build_index
from videxp.video.packet_reader import PacketReader
from videxp.video.packets import PacketTable
from videxp.video.probing import Probe, scan, verified
from videxp.video.pyav_reader import PyavReader
from videxp.video.raw_reader import RawReader
from videxp.video.reader import VideoReader
from videxp.video.torchcodec_reader import TorchcodecReader

__all__ = ["DecodeError", "Decoder", "DecoderRefused", "UnreadableVideo", "VideoReader", "open_copy", "open_video"]

Decoder = Literal["auto", "decord", "pyav", "torchcodec"]


def open_video(
    path: str | PathLike[str],
    *,
    decoder: Decoder = "auto",
    probe: Probe | None = None,
    allow_unsafe: bool = False,
    template: str | None = None,
    fps: float | None = None,
) -> VideoReader:
    """Opens a video file, or a folder of frames if `template` (`img_{:05d}.jpg`) and `fps` are given.

    `probe`: from the manifest; spares reading the file's packets again. `auto` is the fastest that is right: FFmpeg
    (through PyAV) on the packets that the probe found, without opening the container; decord where there are none and
    the probe shows that it is right; PyAV with an exact index otherwise, and wherever there is no probe. By name,
    decord and torchcodec refuse files that they are known or feared to read wrongly, unless `allow_unsafe`; without a
    probe they have every frame decoded once by PyAV before, because they return damaged frames in silence.

    Raises `UnreadableVideo` (no video, damaged, truncated), `DecoderRefused`, `NotInstalled`, `BadRequest`.
    """
    if decoder not in get_args(Decoder):
        raise BadRequest(f"unknown decoder {decoder!r}: one of {', '.join(get_args(Decoder))}")
    if template is not None or Path(path).is_dir():
        return FrameFolderReader(path, template=template, fps=fps)
    if probe is not None and probe.packets and decoder in ("auto", "pyav"):
        return _packet_reader(plain_path(path), probe)
    if probe is not None and (
        decoder == "decord" or (decoder == "auto" and probe.decord_safe and decord_is_installed())
    ):
        return DecordReader(path, probe=probe, allow_unsafe=allow_unsafe)
    index = None
    if probe is None:
        probe, index = scan(path)
        if decoder in ("decord", "torchcodec") and not allow_unsafe:
            probe = verified(path, probe, index)
    if decoder == "decord":
        return DecordReader(path, probe=probe, allow_unsafe=allow_unsafe)
    index = index or build_index(path, num_frames=probe.num_frames)
    if decoder == "torchcodec":
        return TorchcodecReader(path, probe=probe, index=index, allow_unsafe=allow_unsafe)
    if index.num_frames != probe.num_frames:
        raise UnreadableVideo(path, f"it holds {index.num_frames} frames, its probe says {probe.num_frames}: re-scan")
    return PyavReader(path, index=index, times=probe.times, size=(probe.height, probe.width))


def open_copy(path: str | PathLike[str], *, probe: Probe, start_byte: int) -> VideoReader:
    """A video that lies in a larger file from `start_byte` on, as packets of closed groups (`probe.packets`) or as RGB.

    Raises `DecodeError` where the file is not what it was."""
    size = (probe.height, probe.width)
    if not probe.packets:
        return RawReader(path, start_byte=start_byte, times=probe.times, size=size)
    table = PacketTable.from_bytes(probe.packets)
    return PacketReader(path, table=table, times=probe.times, size=size, start_byte=start_byte, closed=True)


def _packet_reader(path: Path, probe: Probe) -> PacketReader:
    times, size = probe.times, (probe.height, probe.width)
    table = PacketTable.from_bytes(probe.packets)
    if table.num_frames != probe.num_frames:
        raise UnreadableVideo(path, f"its packets hold {table.num_frames} frames, its probe says {probe.num_frames}")

    def fallback() -> PyavReader:
        return PyavReader(path, index=build_index(path), times=times, size=size)

    return PacketReader(path, table=table, times=times, size=size, fallback=fallback)
