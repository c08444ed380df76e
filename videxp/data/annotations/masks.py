"""Which pixels of a clip are hidden: drawn in the worker, or from files beside the sample's.

Legend: N clips of a batch, T frames, H, W pixels.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.annotation import Shown
from videxp.data.annotations.companion_clip import CompanionClip, Make
from videxp.data.manifest import Manifest

if TYPE_CHECKING:
    from torch import Tensor

    from videxp.data.loading.views import View
    from videxp.video.placing import Move, Placement

COLOR_TOLERANCE = 24  # levels of each channel: what compression does to a color


class Mask(CompanionClip):
    """uint8 [N,T,H,W,1]: 1 where a pixel is hidden.

    Samples that have a file of their own, the manifest's `input` (a video, or a folder of pictures, of the same frames
    and the same size), take it from there: hidden is what is of at least `threshold` in some channel or, if there is a
    `color` (red, green, blue), what is of about this color. For others `make` draws it, such as
    `videxp.transforms.Blobs`; in evaluation the same ones whatever the `seed`, so that figures can be compared.
    """

    moves = True
    follows_cuts = True

    def __init__(
        self,
        name: str = "mask",
        *,
        make: Make | None = None,
        threshold: Annotated[int, Interval(ge=1, le=255)] = 128,
        color: Sequence[int] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(name, make=make, seed=seed)
        self.columns = (*self.columns, "split")
        self.threshold = threshold
        self.color = None if color is None else rgb(color, key=f"dataset.annotations.{name}.color")
        self.is_train = False

    def for_samples(self, manifest: Manifest, samples: np.ndarray) -> Self:
        """Raises BadRequest where a sample has neither a file nor a maker."""
        bound = super().for_samples(manifest, samples)
        split = bound.values.pop("split")
        bound.is_train = bool(len(split)) and split[0] == "train"
        lacking = np.flatnonzero(bound.values["input"].lengths == 0)
        if self.make is None and len(lacking):
            path, key = manifest["path"][samples[lacking[0]]], f"dataset.annotations.{self.name}.make"
            raise BadRequest(
                f"{path} has no mask: give dataset.layout.inputs, where masks lie, or {key}, which draws them"
            )
        return bound

    def read(self, shown: Shown) -> "Tensor | None":
        if not self.values["input"][shown.row]:
            return super().read(shown)
        from videxp.data.loading.views import read_views

        placements, clips = shown.placements(), len(shown.frames_KT)
        views = [self._view(placement) for placement in placements]
        each = len(views) // clips
        with self._open(shown) as reader:
            return read_views(reader, shown.frames_KT, [views[i * each : (i + 1) * each] for i in range(clips)])

    def _view(self, placement: "Placement") -> "View":
        """uint8 [T,H,W,3] -> uint8 [T,h,w,1]: what is hidden of a picture that is placed so, by its nearest pixels."""

        def view(pictures: "Tensor") -> "Tensor":
            rows, columns = (
                _sources(placement.size[i], pictures.shape[1 + i], scale=placement.scale[i], shift=placement.shift[i])
                for i in (0, 1)
            )
            inside = (rows[0][:, None] & columns[0])[None, ..., None]
            taken = pictures[:, rows[1]][:, :, columns[1]]
            return hidden(taken, threshold=self.threshold, color=self.color) * inside

        return view

    def _made(self, make: Make, shown: Shown) -> "Tensor":
        import torch

        epoch, index = shown.key
        rng = generator(self.seed if self.is_train else 0, stream=Stream.DEGRADE, epoch=epoch, index=index)
        return torch.from_numpy(np.stack([make(clip.numpy(), rng) for clip in shown.clip]))

    def move(self, value: "Tensor", moves: Sequence["Move"], *, clip_THW: tuple[int, int, int]) -> "Tensor":
        return move_mask(value, moves)

    def largest_bytes(self, clip_bytes: int) -> int:
        return clip_bytes // 3


def _sources(length: int, source: int, *, scale: float, shift: float) -> tuple["Tensor", "Tensor"]:
    """Of each of `length` pixels: bool, whether it lies within the source; int64, which of its pixels it shows."""
    import torch

    places = ((torch.arange(length) + 0.5 - shift) / scale).floor().long()
    return (places >= 0) & (places < source), places.clamp(0, source - 1)


def move_mask(value_NTHW1: "Tensor", moves: Sequence["Move"]) -> "Tensor":
    """As the clips are moved."""
    import torch

    moved = [move.pixels(one.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) for one, move in zip(value_NTHW1, moves)]
    moved = [torch.cat([one, one.flip(0)]) if move.mirror else one for one, move in zip(moved, moves)]
    return torch.stack(moved)


def hidden(pixels: "Tensor", *, threshold: int, color: Sequence[int] | None) -> "Tensor":
    """uint8 [...,3] -> uint8 [...,1], 1 = hidden: at least `threshold` in some channel, or of about this color."""
    if color is None:
        return (pixels.amax(-1, keepdim=True) >= threshold).byte()
    apart = (pixels.short() - pixels.new_tensor(color).short()).abs().amax(-1, keepdim=True)
    return (apart <= COLOR_TOLERANCE).byte()


def rgb(color: Sequence[int], *, key: str) -> tuple[int, int, int]:
    """Raises BadRequest for what is no color."""
    if len(color) != 3 or not all(0 <= value <= 255 for value in color):
        raise BadRequest(f"{key}={list(color)} is no color: red, green and blue from 0 to 255, such as [0,255,0]")
    return color[0], color[1], color[2]
