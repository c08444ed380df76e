"""torchcodec, an extra: exact seek mode only, and only where its frames are those that FFmpeg presents.

Shapes: T frames, H, W as displayed, C = 3.
"""

from collections.abc import Iterator
from os import PathLike

import numpy as np

from videxp.core.errors import BadRequest, NotInstalled
from videxp.video.display import stream_display
from videxp.video.errors import DecodeError, DecoderRefused
from videxp.video.index import FrameIndex
from videxp.video.probing import Probe
from videxp.video.reader import Reader

HALF_A_TICK = 0.5


class TorchcodecReader(Reader):
    """Its time stamps are held against the index, frame by frame."""

    def __init__(
        self, path: str | PathLike[str], *, probe: Probe, index: FrameIndex, allow_unsafe: bool = False
    ) -> None:
        self._decoder = None
        reason = why_torchcodec_unsafe(index, display_unusual=stream_display(path).why_unusual)
        if reason and not allow_unsafe:
            raise DecoderRefused(path, "torchcodec", reason)
        decoder_class = import_torchcodec()
        try:
            self._decoder = decoder_class(
                str(path),
                stream_index=index.stream_index,
                dimension_order="NHWC",
                num_ffmpeg_threads=1,
                seek_mode="exact",
            )
        except (RuntimeError, ValueError, OSError) as error:
            if "Could not load libtorchcodec" in str(error):  # some versions load it on first use
                raise _no_ffmpeg() from None
            raise DecoderRefused(path, "torchcodec", f"cannot open it: {_message(error)}") from None
        super().__init__(path, times=probe.times.counted_as(len(self._decoder)), size=(probe.height, probe.width))
        self._pts_seconds = index.pts * float(index.time_base)
        self._tolerance_seconds = HALF_A_TICK * float(index.time_base) + 1e-6
        if self.num_frames != probe.num_frames and not allow_unsafe:
            self._decoder = None
            raise DecoderRefused(path, "torchcodec", f"it counts {self.num_frames} frames of {probe.num_frames}")

    def _pictures(self, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        if self._decoder is None:
            raise DecodeError(self.path, numbers, "the reader is closed")
        try:
            batch = self._decoder.get_frames_at(numbers)
        except (RuntimeError, IndexError, ValueError) as error:
            raise DecodeError(self.path, numbers, f"torchcodec: {_message(error)}") from None
        if len(self._pts_seconds) == self.num_frames:
            wanted = np.asarray(numbers)
            off_seconds = np.abs(batch.pts_seconds.numpy() - self._pts_seconds[wanted])
            if (wrong := np.flatnonzero(off_seconds > self._tolerance_seconds)).size:
                cause = f"torchcodec gave frames of other times, {off_seconds[wrong[0]]:.3f} s off: use decoder=auto"
                raise DecodeError(self.path, wanted[wrong].tolist(), cause)
        yield from zip(numbers, batch.data.numpy())

    def close(self) -> None:
        self._decoder = None


def import_torchcodec() -> type:
    """Its decoder class; raises `NotInstalled`, or `BadRequest` if it finds no FFmpeg on this machine."""
    try:
        from torchcodec.decoders import VideoDecoder
    except ImportError:
        raise NotInstalled("torchcodec", extra="torchcodec") from None
    except (RuntimeError, OSError):
        raise _no_ffmpeg() from None
    return VideoDecoder


def _no_ffmpeg() -> BadRequest:
    return BadRequest(
        "torchcodec is installed but finds none of FFmpeg's shared libraries (version 4 to 9): "
        "install FFmpeg, or use dataset.decoding.decoder=auto"
    )


def why_torchcodec_unsafe(index: FrameIndex, *, display_unusual: str) -> str:
    """Why its frames are wrong, or can't be proved to be the right ones; "" if they can."""
    if index.counted:
        return index.counted
    return display_unusual if index.keys_exact else "intra refresh: key frames that are not whole pictures"


def _message(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
