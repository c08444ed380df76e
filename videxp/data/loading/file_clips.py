"""Clips of a file that is in no manifest: what prediction reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from videxp.data.loading.clips import ClipChoice
from videxp.data.loading.cropping import whole_box
from videxp.data.loading.decoding import Decoding
from videxp.data.loading.views import Cutter, View, fitted, read_views, scaled_size
from videxp.video import Decoder, UnreadableVideo, VideoReader, open_video
from videxp.video.sequence import name_template
from videxp.video.timing import FrameTimes

NO_RATE = 25  # of pictures, where none is asked for


@dataclass(frozen=True)
class FileClips:
    """Clips of a file, and which of its frames they have."""

    clip: Tensor
    """uint8 [K*V,T,H,W,C]"""
    frames_KT: np.ndarray
    times: FrameTimes
    """When each frame of the file is shown."""
    fps: float
    """Frames per second at which the clips play as fast as the file."""


@dataclass(frozen=True)
class NetworkClips:
    """V clips of one file as a network gets them, and which of its frames they are."""

    batch: dict[str, Tensor]
    """`video` float [V,T,C,H,W], and what else the network is told."""
    frames_VT: np.ndarray
    """int64, numbers in the file"""
    seconds_VT: np.ndarray
    """float64, when they are shown"""
    fps: float


def read_clips(
    path: Path,
    *,
    choice: ClipChoice,
    decoding: Decoding = Decoding(),
    cutter: Cutter | None = None,
) -> Tensor:
    """uint8 [K*V,T,H,W,C]: the clips of `read_file_clips` alone."""
    return read_file_clips(path, choice=choice, decoding=decoding, cutter=cutter).clip


def read_file_clips(
    path: Path,
    *,
    choice: ClipChoice,
    decoding: Decoding = Decoding(),
    cutter: Cutter | None = None,
    frames: Sequence[int] | None = None,
) -> FileClips:
    """The clips that a test would take from this video, or from this folder of numbered pictures; of each, next to one
    another, the V views of `cutter`, or one that is brought to the frame size. Large pictures are made small one by
    one. frames: one clip of these, in place of those of `choice`.

    Raises UnreadableVideo or DecodeError with path and cause.
    """
    with _reader(path, choice, decoding.decoder) as reader:
        whole = {"start_seconds": np.nan, "end_seconds": np.nan}
        if frames is None:  # a test's clips are evenly spaced: nothing is drawn
            frames_KT = choice.frames(reader.times, **whole, rng=np.random.default_rng(0))
        else:
            frames_KT = np.asarray(frames)[None]
        if cutter is not None:
            clip = read_views(reader, frames_KT, cutter.views(reader.size, epoch=0, index=0, clips=len(frames_KT)))
        else:
            views = [[whole_view(reader.size, decoding)]] * len(frames_KT)
            clip = read_views(reader, frames_KT, views, size=scaled_size(reader.size, decoding))
        return FileClips(clip, frames_KT, reader.times, choice.played_fps(reader.times, **whole))


def whole_view(size: tuple[int, int], decoding: Decoding) -> View:
    """The whole of each picture of (height, width), brought to the frame size where there is one."""
    box = whole_box(decoding.size or size, multiple=1)
    return box.cut if decoding.size is None else fitted(decoding.size, decoding.frame_fit, box=box)


def _reader(path: Path, choice: ClipChoice, decoder: Decoder) -> VideoReader:
    if not path.is_dir():
        return open_video(path, decoder=decoder)
    if choice.clip_fps is not None:
        raise UnreadableVideo(path, f"pictures have no rate, and the run reads {choice.clip_fps:g} frames a second")
    return open_video(path, template=name_template(path), fps=NO_RATE)


def with_times(batch: dict[str, Any], read: FileClips) -> NetworkClips:
    """The batch that was made of clips of a file, whose views of one clip are adjacent."""
    frames_VT = read.frames_KT.repeat(len(batch["video"]) // len(read.frames_KT), axis=0)
    first = read.times.first_seconds if read.times.table is None else float(read.times.table[0])
    seconds_VT = np.vectorize(lambda frame: first + read.times.since_first(int(frame)))(frames_VT)
    return NetworkClips(batch, frames_VT, seconds_VT, read.fps)
