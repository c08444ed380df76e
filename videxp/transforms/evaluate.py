"""Evaluation: resize, crop, normalize. Legend: N clips, T frames, H, W, C = 3 channels."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.limits import Gt
from videxp.transforms.color import normalize
from videxp.transforms.geometry import crop, fit_pictures, place_box, resize_short_side, short_side_size, view_boxes
from videxp.transforms.memory import Blocks
from videxp.transforms.train import check_clip, without
from videxp.video.placing import Fit, Placement, fitted_placement


class EvalTransform(nn.Module):
    """The short side becomes `resize` (None: `size`), then one or three squares of `size` are cut out.

    crops: 1: the center. 3: left (or top), center, right (or bottom) along the long side; the views of a clip are
        adjacent in the output, so the mean of 3 predictions in a row is the clip's.
    fit: "crop": as said. "pad", "stretch": nothing is cut off: the whole picture is brought to `size` by `size`, black
        around what it does not fill, or in another shape. So boxes at its border are kept.
    mean, std: RGB in [0,1]; the defaults are torchvision's for Kinetics.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        resize: Annotated[int, Gt(0)] | None = None,
        crops: Literal[1, 3] = 1,
        fit: Fit = "crop",
        mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645),
        std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989),
    ) -> None:
        super().__init__()
        if resize is not None and resize < size:
            raise BadRequest(f"transform: resize={resize} is smaller than size={size}: make it at least {size}")
        if fit != "crop" and (crops != 1 or resize not in (None, size)):
            raise BadRequest(f"transform: fit={fit} cuts nothing off: set resize=null crops=1, or fit=crop")
        self.size, self.resize, self.crops, self.fit = size, resize or size, crops, fit
        self.mean, self.std = tuple(mean), tuple(std)
        self._blocks = Blocks()

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A new dict with `video` in place of `clip`: uint8 [N,T,H,W,C] -> float [N*crops,T,C,size,size], a view of
        channels-last memory.

        Raises ValueError if `clip` is not uint8 [N,T,H,W,3].
        """
        clips = batch["clip"]
        check_clip(clips, items=1)
        cuts = [cut for views in self.views(tuple(clips.shape[2:4]), clips=1) for cut in views]
        return self._normalized(batch, (cut(clip) for clip in clips for cut in cuts), clips=len(clips) * self.crops)

    def views(
        self, size: tuple[int, int], *, clips: int, epoch: int = 0, index: int = 0
    ) -> list[list[Callable[[Tensor], Tensor]]]:
        """The part of `forward` that cuts and resizes, for each clip of a sample with pictures of (height, width): as
        many functions as there are crops, uint8 [T,H,W,C] -> uint8 [T,size,size,C]."""
        if self.fit != "crop":
            return [[partial(fit_pictures, size=(self.size, self.size), fit=self.fit)]] * clips
        height, width = short_side_size(height=size[0], width=size[1], short=self.resize)
        boxes = view_boxes(height=height, width=width, size=self.size, crops=self.crops)
        return [[partial(self._cut, box=box) for box in boxes]] * clips

    def placements(self, size: tuple[int, int], *, clips: int, epoch: int = 0, index: int = 0) -> list[list[Placement]]:
        """Where each of these views has what pictures of (height, width) show."""
        if self.fit != "crop":
            return [[fitted_placement(size, (self.size, self.size), self.fit)]] * clips
        inner = short_side_size(height=size[0], width=size[1], short=self.resize)
        boxes = view_boxes(height=inner[0], width=inner[1], size=self.size, crops=self.crops)
        return [[place_box(Placement(size).resize(inner), box) for box in boxes]] * clips

    def finish(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The rest of `forward`, for clips that `views` have cut: bit for bit the same result."""
        return self._normalized(batch, batch["clip"], clips=len(batch["clip"]))

    def preparation(self) -> "FramePreparation":
        """The transform of one view, for a file that is to be used alone. Raises BadRequest where pictures are brought
        within the size."""
        if self.fit == "pad":
            raise BadRequest("transform: fit=pad: an exported file cuts out the middle, or stretches: set another fit")
        return FramePreparation(size=self.size, resize=self.resize, fit=self.fit, mean=self.mean, std=self.std)

    def _cut(self, clip: Tensor, box: tuple[int, int, int, int]) -> Tensor:
        return crop(resize_short_side(clip, self.resize), box)

    def _normalized(self, batch: dict[str, Any], cuts: Iterable[Tensor], *, clips: int) -> dict[str, Any]:
        read = batch["clip"]
        out = self._blocks.take((clips, read.shape[1], self.size, self.size, 3), device=read.device)
        for n, clip in enumerate(cuts):
            normalize(clip, mean=self.mean, std=self.std, out=out[n])
        return without(batch, "clip") | {"video": out.permute(0, 1, 4, 2, 3)}


class FramePreparation(nn.Module):
    """uint8 [B,T,H,W,3] of any size -> float [B,T,3,size,size], normalized: a graph of plain operations.

    The centered square that has `size` of `resize` pixels of the short side, or with fit "stretch" the whole picture,
    is resized, antialiased, and rounded to levels. `EvalTransform` resizes the whole picture, in integers, so pixels
    may be a level away from its own; where the short side has `resize` pixels, they are the same.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        size: int,
        resize: int,
        fit: Literal["crop", "stretch"] = "crop",
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.size, self.resize, self.fit = size, resize, fit
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1))

    def forward(self, clip: Tensor) -> Tensor:
        batch, frames, height, width, _ = clip.shape
        top, left, inner_height, inner_width = self._cut(height, width)
        video = clip.permute(0, 1, 4, 2, 3).float().narrow(3, top, inner_height).narrow(4, left, inner_width)
        pictures = F.interpolate(
            video.flatten(0, 1), size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False
        )
        video = pictures.round().unflatten(0, (batch, frames))
        return (video / 255 - self.mean) / self.std

    def placed(self, xyxy_M4: Tensor, clip: Tensor) -> Tensor:
        """Corners in pixels of `clip` -> in pixels of what `forward` makes of it, [M,4]."""
        top, left, height, width = self._cut(clip.shape[2], clip.shape[3])
        x0, y0, x1, y1 = xyxy_M4.unbind(1)
        across, down = self.size / width, self.size / height
        return torch.stack([(x0 - left) * across, (y0 - top) * down, (x1 - left) * across, (y1 - top) * down], dim=1)

    def undone(self, video: Tensor) -> Tensor:
        """float [B,T,3,size,size] as `EvalTransform` gives it -> uint8 [B,T,resize,resize,3] of which `forward` makes
        the same: its levels in the middle, black around."""
        mean, std = self.mean.to(video), self.std.to(video)
        levels = ((video * std + mean) * 255).round().clamp(0, 255).to(torch.uint8).movedim(2, -1)
        after = self.resize - self.size - self._margin
        return F.pad(levels, (0, 0, self._margin, after, self._margin, after))

    def placed_before(self, xyxy_M4: Tensor) -> Tensor:
        """Corners in pixels of a video -> in pixels of what is `undone` of it, [M,4]."""
        return xyxy_M4 + self._margin

    @property
    def _margin(self) -> int:
        return (self.resize - self.size) // 2

    def _cut(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of what is seen."""
        if self.fit == "stretch":
            return 0, 0, height, width
        side = cast(int, torch.sym_min(height, width)) * self.size // self.resize
        return (height - side) // 2, (width - side) // 2, side, side


def preparation_of(transform: nn.Module) -> FramePreparation:
    """What a file does before its network. Raises BadRequest for a transform that is no `EvalTransform`."""
    if not isinstance(transform, EvalTransform):
        raise BadRequest(f"{type(transform).__name__}: files hold what EvalTransform does: let it inherit from that")
    return transform.preparation()
