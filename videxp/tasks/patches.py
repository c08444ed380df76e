"""Which frames and pixels of a clip a patch of the restored one was made from: Gu & Dong 2021, "Interpreting
Super-Resolution Networks with Local Attribution Maps", sections 3.1 and 3.2.

Shapes: T frames, C channels, h, w pixels of the input; s = enlargement.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.tasks.questions import Question

PATCH = 8  # pixels of the input along a side
MOST_FRAMES, MOST_PIXELS = 9, 64  # of the input that are looked at around it
GRID = 8  # pixels to which the cut is aligned, so that networks that divide by 8 divide it as they do the frame


class Patch(NamedTuple):
    """Its place in the input."""

    frame: int
    top: int
    left: int


class Cut(NamedTuple):
    """The surroundings of a patch: what the network is given, and where the patch lies in it."""

    given: dict[str, Tensor]
    patch: Patch
    place: Patch
    """Of the cut's own corner in the clip."""


def chosen_patch(interest: Tensor, frame: int, asked: str | None) -> Patch:
    """The patch of a frame around the pixel `asked` ("X,Y"), or the one of most interest. interest: of each pixel,
    [1,1,h,w]. Raises BadRequest for what is no pixel of the frame."""
    height, width = interest.shape[2:]
    side = min(PATCH, height, width)
    if asked is not None:
        words = asked.split(",")
        x, y = (int(word) if word.strip().isdecimal() else -1 for word in words) if len(words) == 2 else (-1, -1)
        if not (0 <= x < width and 0 <= y < height):
            middle = f"{width // 2},{height // 2}"
            raise BadRequest(f"--patch {asked}: give a pixel X,Y of the {width}x{height} frame, such as {middle}")
        top, left = (min(max(0, at - side // 2), length - side) for at, length in ((y, height), (x, width)))
        return Patch(frame, top, left)
    of_patches = F.avg_pool2d(interest, side, stride=1)[0, 0]
    best = int(of_patches.argmax())
    return Patch(frame, best // of_patches.shape[1], best % of_patches.shape[1])


def detail(frames: Tensor) -> Tensor:
    """Of each frame the sum of `detail_of_pixels`, LAM's gradient detector: [N,C,H,W] -> [N]."""
    return detail_of_pixels(frames).sum((1, 2, 3))


def detail_of_pixels(frames: Tensor) -> Tensor:
    """Size of the differences from each pixel to the next: [N,C,H,W] -> [N,1,H,W]."""
    right = F.pad(frames.diff(dim=-1).abs(), (0, 1))
    below = F.pad(frames.diff(dim=-2).abs(), (0, 0, 0, 1))
    return (right + below).sum(1, keepdim=True)


def cut_around(given: Mapping[str, Tensor], patch: Patch) -> Cut:
    """At most MOST_FRAMES frames of MOST_PIXELS x MOST_PIXELS pixels around the patch, of all that the network is
    given, [1,T,K,h,w] each."""
    _, frames, _, height, width = given["video"].shape
    first = min(max(0, patch.frame - MOST_FRAMES // 2), max(0, frames - MOST_FRAMES))

    def around(at: int, length: int) -> slice:
        start = min(max(0, at + PATCH // 2 - MOST_PIXELS // 2), max(0, length - MOST_PIXELS)) // GRID * GRID
        return slice(start, length if length - start < MOST_PIXELS + GRID else start + MOST_PIXELS)

    rows, columns = around(patch.top, height), around(patch.left, width)
    parts = {name: value[:, first : first + MOST_FRAMES, :, rows, columns] for name, value in given.items()}
    inner = Patch(patch.frame - first, patch.top - rows.start, patch.left - columns.start)
    return Cut(parts, inner, Patch(first, rows.start, columns.start))


def patch_question(answer: Callable[[Mapping[str, Tensor]], Tensor], cut: Cut, *, scale: int) -> Question:
    """What this patch of the restored clip hangs on.

    answer: of `cut.given`, [N,T,C,s*h,s*w]. The measure is R2, the share of the patch's variance that is still as with
    the whole clip; 0 where no more is left than its mean color.
    """
    video = cut.given["video"]
    others = {name: value for name, value in cut.given.items() if name != "video"}
    side = min(PATCH, *video.shape[3:])
    box = (cut.patch.top, cut.patch.left, cut.patch.top + side, cut.patch.left + side)
    rows, columns = slice(box[0] * scale, box[2] * scale), slice(box[1] * scale, box[3] * scale)

    def restored(clips: Tensor) -> Tensor:
        told = {name: value.expand(len(clips), *value.shape[1:]) for name, value in others.items()}
        return answer({"video": clips, **told}).float()[:, cut.patch.frame, :, rows, columns]

    with torch.no_grad():
        whole = restored(video)
    spread = (whole - whole.mean((2, 3), keepdim=True)).square().sum().clamp(min=1e-8)

    def measure(clips: Tensor) -> Tensor:
        return (1 - (restored(clips) - whole).square().sum((1, 2, 3)) / spread).clamp(min=0)

    x, y = cut.patch.left + cut.place.left, cut.patch.top + cut.place.top
    return Question(
        about=f"patch of {side}x{side} pixels at {x},{y}",
        video=video,
        score=lambda clips: detail(restored(clips)),
        measure=measure,
        score_is="detail",
        measure_is="R2",
        removal="measure",
        signed=False,
        facts={"x": x, "y": y, "side": side, "cut_x": cut.place.left, "cut_y": cut.place.top},
        frame=cut.patch.frame,
        box=box,
        first_frame=cut.place.frame,
    )
