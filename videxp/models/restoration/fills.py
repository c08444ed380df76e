"""Inpainting without training: the rows that a network has to beat.

Each is called as an inpainting network is: video [B,T,3,H,W] in [0,1] and mask [B,T,1,H,W], 1 where a pixel is hidden,
-> [B,T,3,H,W], the video itself outside the mask. Hidden pixels are not looked at.
"""

from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge
from videxp.core.warping import flow_warp
from videxp.models.restoration.sttn import composited

GREY = 0.5  # of a frame of which nothing is seen
RELAXATIONS = 3  # steps of Jacobi's method at each level of the pyramid
SEEN_SHARE = 0.99  # of what bilinear sampling took a pixel from


class Fill(nn.Module):
    """A subclass says what holes are filled with; `scale`, `told` and the compositing are the same for all."""

    scale: ClassVar[int] = 1
    radius: ClassVar[int | None] = 0
    told: ClassVar[str] = "mask"

    def forward(self, video: Tensor, condition: Tensor) -> Tensor:
        seen = torch.where(condition > 0.5, torch.zeros_like(video), video)
        return composited(video, self.fill(seen, condition.gt(0.5).to(video.dtype)), condition)

    def fill(self, video: Tensor, mask: Tensor) -> Tensor:
        """What hidden pixels become, [B,T,3,H,W]; those of `video` are 0."""
        raise NotImplementedError


class MeanFill(Fill):
    """The mean color of what is seen within `margin` pixels of a frame's holes; of the whole frame if nothing is."""

    def __init__(self, *, margin: Annotated[int, Ge(1)] = 16) -> None:
        super().__init__()
        self.margin = margin

    def fill(self, video: Tensor, mask: Tensor) -> Tensor:
        near = mask.flatten(0, 1)
        for axis in ((1, 0), (0, 1)):
            kernel, padding = ([1 + 2 * self.margin * on for on in axis], [self.margin * on for on in axis])
            near = F.max_pool2d(near, kernel, stride=1, padding=padding)
        near = near.view_as(mask)
        visible = 1 - mask
        around = near * visible
        around = torch.where(around.sum((-2, -1), keepdim=True) > 0, around, visible)
        count = around.sum((-2, -1), keepdim=True)
        mean = (video * around).sum((-2, -1), keepdim=True) / count.clamp(min=1)
        return torch.where(count > 0, mean, torch.full_like(mean, GREY)).expand_as(video)


class SpatialFill(Fill):
    """A smooth membrane over the hole, held at its border: Laplace's equation, frame by frame, from coarse to fine."""

    def fill(self, video: Tensor, mask: Tensor) -> Tensor:
        return membrane(video.flatten(0, 1), mask.flatten(0, 1), empty=GREY).view_as(video)


class CopyNearestVisible(Fill):
    """The same pixel of the frame nearest in time that shows it, the earlier one of two; else as `SpatialFill`."""

    radius = None

    def fill(self, video: Tensor, mask: Tensor) -> Tensor:
        return nearest_in_time(video, mask)


class TemporalMedianVisible(Fill):
    """The median of the same pixel over all frames that show it (the lower one of two); else as `SpatialFill`. Exact
    where the camera and what it sees stand still and each pixel is seen once."""

    radius = None

    def fill(self, video: Tensor, mask: Tensor) -> Tensor:
        unseen = mask.expand_as(video) > 0.5
        median = video.masked_fill(unseen, torch.nan).nanmedian(dim=1, keepdim=True).values.expand_as(video)
        never = median.isnan()
        return torch.where(never, SpatialFill().fill(video, mask), median.nan_to_num())


class FlowCopy(Fill):
    """What the optical flow leads to in the nearest frame that shows it, step by step from frame to frame; else as
    `SpatialFill`.

    flow: two frames [N,3,H,W] in [0,1] -> [N,2,H,W] in pixels, such as SPyNet with its weights, or `GlobalShift`. It
    sees frames whose holes are filled smoothly; within holes the flow is a smooth membrane, too.
    """

    radius = None

    def __init__(self, *, flow: nn.Module) -> None:
        super().__init__()
        if getattr(flow, "weights_path", "") is None:
            kind = type(flow).__name__
            raise BadRequest(f"flow: {kind} without weights leads nowhere: set its weights to a file's path")
        self.flow = flow.eval().requires_grad_(False)

    def fill(self, video: Tensor, mask: Tensor) -> Tensor:
        smooth = SpatialFill().fill(video, mask)
        whole = composited(video, smooth, mask)
        with torch.no_grad():
            back = self._flow(whole[:, 1:], whole[:, :-1], mask[:, 1:])
            ahead = self._flow(whole[:, :-1], whole[:, 1:], mask[:, :-1])
        from_past = _carried(video, mask, back, reverse=False)
        from_future = _carried(video, mask, ahead, reverse=True)
        return _nearer(from_past, from_future, otherwise=smooth)

    def _flow(self, frames: Tensor, others: Tensor, mask: Tensor) -> Tensor:
        """[B,T-1,2,H,W] from each frame to the other."""
        if not frames.shape[1]:
            return frames[:, :, :2]
        flow = self.flow(frames.flatten(0, 1), others.flatten(0, 1))
        return membrane(flow * (1 - mask.flatten(0, 1)), mask.flatten(0, 1), empty=0.0).unflatten(0, frames.shape[:2])


class GlobalShift(nn.Module):
    """The flow of a camera that pans: the one shift between two frames, by phase correlation, to a part of a pixel.

    Kuglin & Hines 1975; the peak is refined by a parabola through its neighbors. Two frames [N,3,H,W] -> [N,2,H,W].
    """

    def forward(self, frame: Tensor, other: Tensor) -> Tensor:
        height, width = frame.shape[-2:]
        window = _hann(height, frame)[:, None] * _hann(width, frame)
        spectra = [torch.fft.rfft2((x.mean(1) - x.mean((1, 2, 3))[:, None, None]) * window) for x in (frame, other)]
        cross = spectra[0].conj() * spectra[1]
        correlation = torch.fft.irfft2(cross / cross.abs().clamp(min=1e-9), s=(height, width))
        row, column = _peak(correlation)
        n = torch.arange(frame.shape[0], device=frame.device)
        shifts = _refined(correlation[n, :, column], row), _refined(correlation[n, row], column)
        y, x = (torch.where(shift > size / 2, shift - size, shift) for shift, size in zip(shifts, (height, width)))
        return torch.stack([x, y], dim=1)[..., None, None].expand(-1, -1, height, width)


# ---- along time ------------------------------------------------------------------------------------------------------

Carried = tuple[Tensor, Tensor]  # (frames [B,T,3,H,W], how many frames ago they were seen [B,T,1,H,W]; inf: never)


def nearest_in_time(video: Tensor, mask: Tensor) -> Tensor:
    """[B,T,3,H,W], whose hidden pixels are 0, -> what `CopyNearestVisible` fills them with."""
    past, future = _carried(video, mask, None, reverse=False), _carried(video, mask, None, reverse=True)
    return _nearer(past, future, otherwise=SpatialFill().fill(video, mask))


def _carried(video: Tensor, mask: Tensor, flow: Tensor | None, *, reverse: bool) -> Carried:
    """Each frame with its holes as frames before it (reverse: after it) show them. flow: from each frame to those."""
    times = range(video.shape[1])[:: -1 if reverse else 1]
    frames, ages = dict[int, Tensor](), dict[int, Tensor]()
    frame, age = torch.zeros_like(video[:, 0]), torch.full_like(mask[:, 0], torch.inf)
    for i, t in enumerate(times):
        if i and flow is not None:
            frame, age = _moved(frame, age, flow[:, t if reverse else t - 1])
        hidden = mask[:, t] > 0.5
        frame = torch.where(hidden, frame, video[:, t])
        age = torch.where(hidden, age + 1, torch.zeros_like(age))
        frames[t], ages[t] = frame, age
    in_order = range(video.shape[1])
    return torch.stack([frames[t] for t in in_order], 1), torch.stack([ages[t] for t in in_order], 1)


def _moved(frame: Tensor, age: Tensor, flow: Tensor) -> Carried:
    """Along the flow; what was not seen there, or lies outside of the frame, was never seen."""
    known = age.isfinite()
    share = flow_warp(known.to(frame.dtype), flow)
    moved = flow_warp(torch.cat([frame * known, age.masked_fill(~known, 0)], dim=1), flow, outside="border")
    return moved[:, :3], torch.where(share > SEEN_SHARE, moved[:, 3:], torch.full_like(age, torch.inf))


def _nearer(past: Carried, future: Carried, *, otherwise: Tensor) -> Tensor:
    (before, since), (after, until) = past, future
    nearest = torch.where(since <= until, before, after)
    return torch.where(torch.minimum(since, until).isfinite(), nearest, otherwise)


# ---- within a frame ------------------------------------------------------------------------------------------------


def membrane(frames: Tensor, mask: Tensor, *, empty: float) -> Tensor:
    """[N,C,H,W], whose hidden pixels are 0, mask [N,1,H,W] -> the same with holes filled smoothly; `empty`: the value
    where nothing of a frame is seen."""
    height, width = frames.shape[-2:]
    if min(height, width) < 2:
        seen = 1 - mask
        mean = (frames * seen).sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True).clamp(min=1)
        coarse = torch.where(seen.sum((2, 3), keepdim=True) > 0, mean, torch.full_like(mean, empty)).expand_as(frames)
        return torch.where(mask > 0.5, coarse, frames)
    seen = _halved(1 - mask)
    halved = _halved(frames) / seen.clamp(min=1e-6)  # the mean of what is seen
    coarse = membrane(torch.where(seen > 0, halved, torch.zeros_like(halved)), (seen == 0).to(mask.dtype), empty=empty)
    filled = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    filled = torch.where(mask > 0.5, filled, frames)
    for _ in range(RELAXATIONS):
        filled = torch.where(mask > 0.5, _neighbors(filled), frames)
    return filled


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def _neighbors(x: Tensor) -> Tensor:
    """The mean of the four neighbors of each pixel, mirrored at the frame's border."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return (padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]) / 4


def _hann(length: int, like: Tensor) -> Tensor:
    return torch.hann_window(length, periodic=False, dtype=like.dtype, device=like.device) + 1e-3


def _peak(x: Tensor) -> tuple[Tensor, Tensor]:
    """(row, column) of the greatest value of each [N,H,W]."""
    place = x.flatten(1).argmax(1)
    return place // x.shape[2], place % x.shape[2]


def _refined(line: Tensor, place: Tensor) -> Tensor:
    """[N,L], a period of which the greatest value is at `place` [N] -> where a parabola through it and its neighbors
    has its vertex, float [N]."""
    n, length = torch.arange(line.shape[0], device=line.device), line.shape[1]
    before, at, after = (line[n, (place + step) % length] for step in (-1, 0, 1))
    curvature = before - 2 * at + after
    offset = 0.5 * (before - after) / curvature.where(curvature.abs() > 1e-12, torch.ones_like(curvature))
    return place + offset.clamp(-0.5, 0.5)
