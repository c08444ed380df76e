"""Clips of a file that is in no manifest: what prediction reads."""

from pathlib import Path

import numpy as np
from torch import Tensor

from videxp.data.loading.clips import ClipChoice
from videxp.data.loading.cropping import whole_box
from videxp.data.loading.decoding import Decoding
from videxp.data.loading.views import Cutter, View, fitted, read_views, scaled_size
from videxp.video import Decoder, UnreadableVideo, VideoReader, open_video
from videxp.video.sequence import name_template

NO_RATE = 25  # of pictures, where none is asked for


def read_clips(
    path: Path,
    *,
    choice: ClipChoice,
    decoding: Decoding = Decoding(),
    cutter: Cutter | None = None,
) -> Tensor:
    """uint8 [K*V,T,H,W,C]: the clips that a test would take from this video, or from this folder of numbered pictures;
    of each, next to one another, the V views of `cutter`, or one that is brought to the frame size. Large pictures are
    made small one by one.

    Raises UnreadableVideo or DecodeError with path and cause.
    """
    with _reader(path, choice, decoding.decoder) as reader:
        frames_KT = choice.frames(
            reader.times,
            start_seconds=np.nan,
            end_seconds=np.nan,
            rng=np.random.default_rng(0),  # a test's clips are evenly spaced: nothing is drawn
        )
        if cutter is not None:
            return read_views(reader, frames_KT, cutter.views(reader.size, epoch=0, index=0, clips=len(frames_KT)))
        views = [[whole_view(reader, decoding)]] * len(frames_KT)
        return read_views(reader, frames_KT, views, size=scaled_size(reader.size, decoding))


def whole_view(reader: VideoReader, decoding: Decoding) -> View:
    """The whole of each picture, brought to the frame size where there is one."""
    box = whole_box(decoding.size or reader.size, multiple=1)
    return box.cut if decoding.size is None else fitted(decoding.size, decoding.frame_fit, box=box)


def _reader(path: Path, choice: ClipChoice, decoder: Decoder) -> VideoReader:
    if not path.is_dir():
        return open_video(path, decoder=decoder)
    if choice.clip_fps is not None:
        raise UnreadableVideo(path, f"pictures have no rate, and the run reads {choice.clip_fps:g} frames a second")
    return open_video(path, template=name_template(path), fps=NO_RATE)
