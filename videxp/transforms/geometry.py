"""Where to crop (numpy, from uniform numbers) and the cropping itself (torch). Pure functions.

Legend: N clips, T frames, H, W, C = 3 channels; a box is (top, left, height, width) in whole pixels of the source.
Clips keep the decoder's layout [T,H,W,C]: resizing uint8 in it is 2.5 times cheaper than in [T,C,H,W].
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.video.placing import Fit, Placement, inner_size

TRIES = 10  # as torchvision's RandomResizedCrop
BOX_DRAWS = 2 * TRIES + 2  # uniform numbers for one box: an area and a ratio per try, then top and left


def resized_crop_boxes(
    uniform: np.ndarray, *, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> np.ndarray:
    """Boxes of a random area and aspect ratio, by torchvision's rule for `RandomResizedCrop`.

    uniform: float [N, BOX_DRAWS] in [0,1). scale: share of the source's area. ratio: width / height, log-uniform.
    The first of ten tries that fits is taken; if none fits, the largest centered box of an allowed ratio.
    Returns int64 [N,4].
    """
    low, high = np.log(ratio[0]), np.log(ratio[1])
    area = height * width * (scale[0] + uniform[:, :TRIES] * (scale[1] - scale[0]))
    aspect = np.exp(low + uniform[:, TRIES : 2 * TRIES] * (high - low))
    widths = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    heights = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)

    rows = np.arange(len(uniform))
    first = fits.argmax(axis=1)
    box_heights, box_widths = heights[rows, first], widths[rows, first]
    boxes = _place(uniform[:, -2:], box_heights, box_widths, height=height, width=width)
    boxes[~fits.any(axis=1)] = largest_box(height=height, width=width, ratio=ratio)
    return boxes


def largest_box(*, height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """The largest centered box whose width / height lies in `ratio`."""
    box_height, box_width = height, width
    if width / height < ratio[0]:
        box_height = min(height, round(width / ratio[0]))
    elif width / height > ratio[1]:
        box_width = min(width, round(height * ratio[1]))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


def random_boxes(uniform: np.ndarray, *, height: int, width: int, size: int) -> np.ndarray:
    """Square boxes of side `size` anywhere in the frame. uniform: float [N,2] in [0,1). Returns int64 [N,4]."""
    sides = np.full(len(uniform), size, dtype=np.int64)
    return _place(uniform, sides, sides, height=height, width=width)


def jittered_boxes(uniform: np.ndarray, *, height: int, width: int, size: int, shorts: tuple[int, int]) -> np.ndarray:
    """Square boxes that become `size` where the short side becomes a number drawn from `shorts` (both included).

    uniform: float [N, BOX_DRAWS] in [0,1). Returns int64 [N,4]. 256 x 340, size 224, short side 320: side 179.
    """
    drawn = shorts[0] + np.floor(uniform[:, 0] * (shorts[1] - shorts[0] + 1))
    sides = np.rint(size / drawn * min(height, width)).astype(np.int64)
    return _place(uniform[:, -2:], sides, sides, height=height, width=width)


def view_boxes(*, height: int, width: int, size: int, crops: Literal[1, 3]) -> list[tuple[int, int, int, int]]:
    """The center (crops=1), or left/top, center and right/bottom along the long side (crops=3): squares of `size`.

    (height 4, width 8, size 4): crops=1 -> left 2; crops=3 -> left 0, 2, 4.
    """
    top, left = round((height - size) / 2), round((width - size) / 2)
    if crops == 1:
        return [(top, left, size, size)]
    if width >= height:
        return [(top, x, size, size) for x in (0, left, width - size)]
    return [(y, left, size, size) for y in (0, top, height - size)]


def short_side_size(*, height: int, width: int, short: int) -> tuple[int, int]:
    """(height, width) with the short side `short` and the long side rounded down, as torchvision's `Resize(short)`."""
    if height <= width:
        return short, short * width // height
    return short * height // width, short


def crop(clip: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """A view of [T,height,width,C] on [T,H,W,C]; no copy."""
    top, left, height, width = box
    return clip[:, top : top + height, left : left + width]


def place_box(placement: Placement, box: tuple[int, int, int, int]) -> Placement:
    """Where `crop` then has what a picture shows."""
    top, left, height, width = box
    return placement.crop(top=top, left=left, size=(height, width))


def resize(clip: Tensor, *, height: int, width: int) -> Tensor:
    """Antialiased bilinear resizing: uint8 [T,H,W,C] (may be a view) -> uint8 [T,height,width,C].

    The same bits as `torchvision.transforms.v2.functional.resize`; the input itself if it has that size already.
    """
    if clip.shape[1:3] == (height, width):
        return clip
    frames = clip.permute(0, 3, 1, 2)
    if clip.device.type == "cpu":
        frames = F.interpolate(frames, size=(height, width), mode="bilinear", antialias=True)
    else:  # there is no uint8 kernel on a GPU
        frames = F.interpolate(frames.float(), size=(height, width), mode="bilinear", antialias=True)
        frames = frames.round_().clamp_(0, 255).to(torch.uint8)
    return frames.permute(0, 2, 3, 1)


def resize_short_side(clip: Tensor, short: int) -> Tensor:
    """uint8 [T,H,W,C] -> uint8 [T,H',W',C] with min(H',W') = short, aspect ratio kept."""
    height, width = short_side_size(height=clip.shape[1], width=clip.shape[2], short=short)
    return resize(clip, height=height, width=width)


def fit_pictures(clip: Tensor, *, size: tuple[int, int], fit: Fit) -> Tensor:
    """uint8 [T,H,W,C] -> uint8 [T,height,width,C], brought to (height, width) as `Fit` says, antialiased."""
    height, width = clip.shape[1:3]
    if (height, width) == size:
        return clip
    inner = inner_size((height, width), size, fit)
    scaled = resize(clip, height=inner[0], width=inner[1])
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    if fit == "pad":
        scaled = F.pad(scaled, (0, 0, left, size[1] - inner[1] - left, top, size[0] - inner[0] - top))
        top = left = 0
    return scaled[:, -top : size[0] - top, -left : size[1] - left].contiguous()


def crop_resize(clip: Tensor, box: tuple[int, int, int, int], *, size: int) -> Tensor:
    """uint8 [T,H,W,C] -> uint8 [T,size,size,C]: the same box of every frame, as torchvision's `resized_crop`."""
    return resize(crop(clip, box), height=size, width=size)


def flip(clip: Tensor) -> Tensor:
    """[T,H,W,C] mirrored left to right, in new memory."""
    return clip.flip(2)


def _place(
    uniform: np.ndarray, box_heights: np.ndarray, box_widths: np.ndarray, *, height: int, width: int
) -> np.ndarray:
    """Boxes of the given sizes at a random place. uniform: [N,2] -> int64 [N,4]."""
    tops = np.floor(uniform[:, 0] * (height - box_heights + 1)).astype(np.int64)
    lefts = np.floor(uniform[:, 1] * (width - box_widths + 1)).astype(np.int64)
    return np.stack([tops, lefts, box_heights, box_widths], axis=1)
