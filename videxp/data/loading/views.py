"""What is kept of each decoded picture, while it is there: clips are made small before they are whole.

Legend: K clips of a sample, V views of a clip, T frames, H, W, C = 3 channels.
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from videxp.data.loading.cropping import Box
from videxp.data.loading.decoding import Decoding
from videxp.transforms.geometry import fit_pictures
from videxp.video import VideoReader
from videxp.video.placing import Fit, Move, Placement, Tile, inner_size

View = Callable[[Tensor], Tensor]
"""uint8 [1,H,W,C] -> uint8 [1,h,w,C]: one picture as a clip has it."""

WHOLE_BYTES = 16 << 20  # clips of more are not held whole: to make a picture small while it is in the cache is cheaper
_thread = threading.local()


@runtime_checkable
class Cutter(Protocol):
    """A transform whose cutting and resizing can be done where the pictures are decoded."""

    def views(self, size: tuple[int, int], *, epoch: int, index: int, clips: int) -> Sequence[Sequence[View]]:
        """For each of a sample's clips its V views on pictures of (height, width)."""

    def placements(self, size: tuple[int, int], *, epoch: int, index: int, clips: int) -> Sequence[Sequence[Placement]]:
        """Where each of these views has what the pictures show."""

    def finish(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What is left to be done with a batch of such clips, on the device."""


@runtime_checkable
class Mover(Protocol):
    """A transform that changes the position of clips, which annotations have to follow."""

    def moves(self, batch: dict[str, Any]) -> Sequence[Move]:
        """What it does to each of a batch's N clips."""

    @property
    def distorts(self) -> Sequence[str]:
        """What moves what pictures show in other ways, as settings that turn it off: `rand_augment=null`."""


@runtime_checkable
class Joiner(Protocol):
    """A transform that may make one clip of parts of several of a batch."""

    def mosaics(self, batch: dict[str, Any]) -> Sequence[Sequence[Tile]] | None:
        """What each of a batch's N clips is made of, before it is moved; None: of itself alone, always."""


class Corrupter(Protocol):
    """What corrupts clips, drawn from (epoch, index) of their sample and its own seed."""

    def corrupt(self, clip: np.ndarray, *, epoch: int, index: int, number: int, fps: float) -> np.ndarray:
        """The `number`-th clip of a sample, uint8 [T,H,W,C], which plays at `fps`."""


def corrupt_clips(clips: Tensor, corrupter: Corrupter, *, epoch: int, index: int, fps: float) -> Tensor:
    """All clips of a sample: uint8 [N,T,H,W,C]."""
    made = [
        corrupter.corrupt(clip, epoch=epoch, index=index, number=number, fps=fps)
        for number, clip in enumerate(clips.numpy())
    ]
    return torch.from_numpy(np.stack(made))


def corrupt_inputs(video: Tensor, corrupter: Corrupter, *, epoch: int, index: int, fps: float) -> Tensor:
    """The same of a network's inputs, float [N,T,C,H,W] in [0,1] on any device: rounded to 8 bits before, as files have
    them; what lies outside [0,1] is cut off."""
    clips = (video.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous().cpu()
    made = corrupt_clips(clips, corrupter, epoch=epoch, index=index, fps=fps)
    return made.permute(0, 1, 4, 2, 3).contiguous().to(video.device).to(video.dtype).div_(255)


def read_views(
    reader: VideoReader, frames_KT: np.ndarray, views: Sequence[Sequence[View]], *, size: tuple[int, int] | None = None
) -> Tensor:
    """uint8 [K*V,T,h,w,C]: the views of a clip are adjacent. Each frame is decoded once, however many clips have it.

    size: see `VideoReader.pictures`. Raises as `VideoReader.frames` does.
    """
    clips, length = frames_KT.shape
    needed, places_KT = np.unique(frames_KT, return_inverse=True)
    places_KT = places_KT.reshape(clips, length)
    height, width = size or reader.size
    if len(needed) * height * width * 3 > WHOLE_BYTES:
        return _picture_by_picture(reader.pictures(needed.tolist(), size=size), needed, places_KT, views)
    held_THWC = _workspace((len(needed), height, width, 3))
    place_of = {number: place for place, number in enumerate(needed.tolist())}
    for number, picture_HWC in reader.pictures(needed.tolist(), size=size):
        held_THWC[place_of[number]] = picture_HWC
    held = torch.from_numpy(held_THWC)
    in_order = np.arange(len(needed))
    parts = []
    for places, of_clip in zip(places_KT, views):
        clip = held if np.array_equal(places, in_order) else held[torch.from_numpy(places)]
        parts += [view(clip) for view in of_clip]
    if len(parts) == 1 and parts[0].untyped_storage().data_ptr() != held.untyped_storage().data_ptr():
        return parts[0][None]
    return torch.stack(parts)  # a copy, without which a view on all of it would stay in the workspace


def _picture_by_picture(
    pictures: Iterator[tuple[int, np.ndarray]],
    needed: np.ndarray,
    places_KT: np.ndarray,
    views: Sequence[Sequence[View]],
) -> Tensor:
    (clips, length), of_each = places_KT.shape, len(views[0])
    where: dict[int, list[tuple[int, int]]] = {int(number): [] for number in needed}
    for (clip, time), place in np.ndenumerate(places_KT):
        where[int(needed[place])].append((clip, time))
    video = torch.empty(0)
    for number, picture_HWC in pictures:
        picture = as_tensor(picture_HWC)[None]
        seen: dict[View, Tensor] = {}
        for clip, time in where[number]:
            for place, view in enumerate(views[clip]):
                if view not in seen:
                    seen[view] = view(picture)[0]
                if not len(video):
                    video = torch.empty((clips * of_each, length, *seen[view].shape), dtype=torch.uint8)
                video[clip * of_each + place, time] = seen[view]
        del picture, picture_HWC  # before the next one is decoded
    return video


def _workspace(shape: tuple[int, ...]) -> np.ndarray:
    """uint8 memory of this thread's, the same each time: new memory of some MB costs more than what is done in it."""
    if not hasattr(_thread, "memory"):
        _thread.memory = np.empty(WHOLE_BYTES, np.uint8)  # paged in as it is used
    return _thread.memory[: math.prod(shape)].reshape(shape)


def scaled_size(given: tuple[int, int], decoding: Decoding) -> tuple[int, int] | None:
    """(height, width) to which FFmpeg scales pictures of this size while it decodes; None: not at all."""
    if decoding.size is None or decoding.frame_scaler != "ffmpeg":
        return None
    return inner_size(given, decoding.size, decoding.frame_fit)


def fitted(size: tuple[int, int], fit: Fit, *, box: Box) -> View:
    """The view on `box` of a picture that is brought to (height, width) before."""
    return lambda clip: box.cut(fit_pictures(clip, size=size, fit=fit))


def as_tensor(picture_HWC: np.ndarray) -> Tensor:
    """Without a copy, where torch can have it: rows from left to right, and memory that may be written to."""
    if not picture_HWC.flags.writeable or min(picture_HWC.strides) < 0:
        picture_HWC = picture_HWC.copy()
    return torch.from_numpy(picture_HWC)
