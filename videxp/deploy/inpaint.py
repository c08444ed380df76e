"""Holes in whole videos filled, however long, in constant memory.

Shapes: B = 1 clip, T frames, H, W = height and width in pixels, C = 3; a mask is bool [H,W], True where a pixel is
hidden.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest, VidexpError
from videxp.data.annotations.masks import hidden
from videxp.deploy.restore import WHOLE_FRAME_PIXELS, require_finite, scale_and_radius
from videxp.video.file_kinds import is_image
from videxp.video.picture_file import BadPicture, decode_picture
from videxp.video.sequence import FrameSequence, Picture, open_sequence

MARGIN = 128  # pixels around the holes of large frames
AROUND, AROUND_WITH_REFERENCES = 15, 5
"""Frames to either side: of a network that sees these alone, and of STTN, as its authors have it."""


@dataclass(frozen=True)
class InpaintPlan:
    """How a video is cut up: windows of `around` frames to either side of every `stride`-th one, beside which the
    network sees every `reference_step`-th frame (0: none) of `references` steps to either side."""

    around: int
    stride: int
    reference_step: int
    references: int
    margin: int
    """Pixels around the holes that the network sees; 0: whole frames."""

    @property
    def reach(self) -> int:
        """Frames to either side of a window's middle that are held."""
        return self.around + self.reference_step * self.references

    def seen(self, numbers: Iterable[int], middle: int) -> tuple[list[int], list[int]]:
        """Of these frames, those of the window around `middle`, and those that the network sees beside it."""
        near = [n for n in numbers if abs(n - middle) <= self.reach]
        window = [n for n in near if abs(n - middle) <= self.around]
        step = self.reference_step
        return window, [n for n in near if step and n % step == 0 and n not in window]

    def __str__(self) -> str:
        step, count = self.reference_step, self.references
        further = f", every {step}th of {step * count} further ones to either side" if step else ""
        part = f"holes and {self.margin} pixels around" if self.margin else "whole frames"
        return f"windows of {2 * self.around + 1} frames, {self.stride} apart{further}, {part}"


def plan_for(
    network: nn.Module, size: tuple[int, int], *, window: int | None = None, margin: int | None = None
) -> InpaintPlan:
    """What is given, and for None what suits the network and frames of `size` (height, width).

    A network that says `reference_step` (STTN: 10) sees such frames beside its windows. Raises `BadRequest`.
    """
    scale_and_radius(network)
    step = int(getattr(network, "reference_step", 0))
    around = (AROUND_WITH_REFERENCES if step else AROUND) if window is None else window // 2
    if margin is None:
        margin = 0 if size[0] * size[1] <= WHOLE_FRAME_PIXELS else MARGIN
    return InpaintPlan(
        around=around, stride=max(1, around), reference_step=step, references=AROUND_WITH_REFERENCES, margin=margin
    )


# ---- where holes are -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holes:
    """Where a video is hidden: in a `box` x, y, width, height of each frame, or by the pictures of `path` (a video, a
    folder of pictures, or one picture for all frames), as `hidden` reads them; `dilate` pixels more to each side."""

    path: Path | None = None
    box: tuple[int, int, int, int] | None = None
    threshold: int = 128
    color: Sequence[int] | None = None
    dilate: int = 0

    @property
    def is_still(self) -> bool:
        """Whether they fit videos of any length."""
        return self.path is None or (self.path.is_file() and is_image(self.path))

    def of(self, frames: FrameSequence) -> Iterable[np.ndarray]:
        """The mask of each frame. Raises `BadRequest` where they do not fit the video, `UnreadableVideo`."""
        if self.path is None:
            return repeat(self._box_mask(frames), frames.num_frames)
        if self.is_still:
            try:
                picture_HWC = decode_picture(self.path.read_bytes())
            except BadPicture as error:
                raise BadRequest(f"--mask {self.path}: {error}") from None
            self._require_size(picture_HWC.shape[:2], frames)
            return repeat(self._mask(picture_HWC), frames.num_frames)
        pictures = open_sequence(self.path)
        self._require_size(pictures.size, frames)
        if pictures.num_frames != frames.num_frames:
            counts = f"{self.path} has {pictures.num_frames} frames, {frames.path} has {frames.num_frames}"
            raise BadRequest(f"{counts}: a mask has one for each frame of the video; a single picture is for all")
        return (self._mask(picture.pixels_HWC) for picture in pictures)

    def _require_size(self, size: Sequence[int], frames: FrameSequence) -> None:
        if tuple(size) != tuple(frames.size):
            sizes = [f"{width}x{height}" for height, width in (size, frames.size)]
            raise BadRequest(f"{self.path} is {sizes[0]}, {frames.path} is {sizes[1]}: a mask has the video's size")

    def _box_mask(self, frames: FrameSequence) -> np.ndarray:
        assert self.box is not None
        x, y, width, height = self.box
        if x + width > frames.size[1] or y + height > frames.size[0]:
            size = f"{frames.size[1]}x{frames.size[0]}"
            raise BadRequest(f"--box {x},{y},{width},{height} leaves {frames.path}, which is {size}: keep within it")
        mask_HW = np.zeros(frames.size, dtype=bool)
        mask_HW[y : y + height, x : x + width] = True
        return dilated(mask_HW, self.dilate)

    def _mask(self, picture_HWC: np.ndarray) -> np.ndarray:
        found = hidden(torch.from_numpy(picture_HWC.copy()), threshold=self.threshold, color=self.color)
        return dilated(found[..., 0].numpy().astype(bool), self.dilate)


def dilated(mask_HW: np.ndarray, times: int) -> np.ndarray:
    """So many times, by a cross of 3 x 3 pixels: as STTN's authors do before they fill."""
    for _ in range(times):
        grown = mask_HW.copy()
        grown[1:] |= mask_HW[:-1]
        grown[:-1] |= mask_HW[1:]
        grown[:, 1:] |= mask_HW[:, :-1]
        grown[:, :-1] |= mask_HW[:, 1:]
        mask_HW = grown
    return mask_HW


# ---- filling them ----------------------------------------------------------------------------------------------------


@dataclass
class Held:
    """A frame, until no window needs it any more."""

    picture: Picture
    mask_HW: np.ndarray
    total_HWC: np.ndarray | None = None
    """float32: the sum of what the windows made of it."""
    count_HW: np.ndarray | None = None
    """How many windows did."""


def inpainted(
    network: nn.Module,
    frames: FrameSequence,
    masks: Iterable[np.ndarray],
    *,
    plan: InpaintPlan,
    device: str | torch.device = "cpu",
    fill: float = 0.5,
) -> Iterator[Picture]:
    """The pictures of `frames` with their holes filled; elsewhere they are the very same. A pixel that several windows
    fill becomes their mean. fill: what the network finds in holes, which it does not look at.

    network: (float [B,T,C,H,W], float [B,T,1,H,W]) -> [B,T,C,H,W]. Raises `VidexpError` at the end if nothing was
    hidden.
    """
    coming = enumerate(zip(frames, masks))
    held: dict[int, Held] = {}
    last, given, middle, any_hidden, is_over = -1, 0, 0, False, False
    while not is_over or middle <= last:
        while not is_over and last < middle + plan.reach:
            if (found := next(coming, None)) is None:
                is_over = True
            else:
                last, (picture, mask_HW) = found
                held[last] = Held(picture, mask_HW)
                any_hidden = any_hidden or bool(mask_HW.any())
        try:
            fill_window(network, held, *plan.seen(held, middle), margin=plan.margin, device=device, fill=fill)
        except torch.OutOfMemoryError:
            remedy = "a smaller --margin (or --window) needs less"
            raise VidexpError(f"{frames.path}: not enough memory on {device} for {plan}: {remedy}") from None
        middle += plan.stride
        while given in held and (given < middle - plan.around or (is_over and middle > last)):
            yield finished(held[given])
            given += 1
        for number in [n for n in held if n < min(given, middle - plan.reach)]:
            del held[number]
    if not any_hidden:
        raise VidexpError(f"{frames.path}: the mask hides nothing: see --mask-threshold and --mask-color")


@torch.inference_mode()
def fill_window(
    network: nn.Module,
    held: dict[int, Held],
    window: Sequence[int],
    others: Sequence[int],
    *,
    margin: int,
    device: str | torch.device,
    fill: float,
) -> None:
    """Adds to the frames of the window what the network, which also sees `others`, makes of their holes."""
    part = region([held[n].mask_HW for n in window], margin=margin)
    if part is None:
        return
    shown = [held[n] for n in (*window, *others)]
    mask = torch.from_numpy(np.stack([one.mask_HW[part] for one in shown])).to(device)[None, :, None]
    clip_THWC = torch.from_numpy(np.stack([one.picture.pixels_HWC[part] for one in shown])).to(device)
    video = clip_THWC.permute(0, 3, 1, 2).float().div_(255).unsqueeze(0).masked_fill(mask, fill)
    output: Tensor = network(video, mask.float())
    if output.shape != video.shape:
        raise VidexpError(f"the network gave {list(output.shape)} where {list(video.shape)} is due")
    require_finite(output)
    filled_THWC = output[0, : len(window)].float().clamp_(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    for number, pixels_HWC in zip(window, filled_THWC):
        one = held[number]
        if one.mask_HW.any():
            if one.total_HWC is None or one.count_HW is None:
                one.total_HWC = np.zeros(one.picture.pixels_HWC.shape, np.float32)
                one.count_HW = np.zeros(one.mask_HW.shape, np.float32)
            one.total_HWC[part] += pixels_HWC
            one.count_HW[part] += 1


def region(masks: Sequence[np.ndarray], *, margin: int) -> tuple[slice, slice] | None:
    """Rows and columns around all that is hidden; None if nothing is. margin: pixels more; 0: whole frames."""
    union_HW = np.logical_or.reduce(masks) if masks else np.zeros((0, 0), dtype=bool)
    if not union_HW.any():
        return None
    height, width = union_HW.shape
    if not margin:
        return slice(0, height), slice(0, width)
    rows, columns = (np.flatnonzero(union_HW.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - margin), min(height, int(rows[-1]) + margin + 1)),
        slice(max(0, int(columns[0]) - margin), min(width, int(columns[-1]) + margin + 1)),
    )


def finished(one: Held) -> Picture:
    """With its holes filled."""
    if one.total_HWC is None or one.count_HW is None:
        return one.picture
    pixels_HWC = one.picture.pixels_HWC.copy()
    mean = one.total_HWC[one.mask_HW] / one.count_HW[one.mask_HW][:, None]
    pixels_HWC[one.mask_HW] = np.round(mean * 255).astype(np.uint8)
    return replace(one.picture, pixels_HWC=pixels_HWC)
