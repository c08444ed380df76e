"""Losses of color enhancement: of 3D lookup tables (Zeng et al. 2020, section 3.3), and those that need no target (Guo
et al. 2020, section 3.2). As in `restoration.py`: forward(output, target) -> a scalar, each with a `weight`.

Those of other frames than the output say by `of` which ones; the network gives them beside it.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, Interval
from videxp.losses.restoration import OUTPUT

Weight = Annotated[float, Ge(0)]
REGION = 4  # pixels along height and width of what the spatial consistency compares
PATCH = 16  # and of what should be well exposed


class LutSmoothness(nn.Module):
    """Total variation of tables: float [L,3,S,S,S] -> the sum over tables of the mean square of neighbors' differences,
    along each axis, of which the two at a table's ends count twice. The target is not looked at."""

    of = "luts"

    def __init__(self, *, weight: Weight = 1e-4) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return torch.stack([self._along(output.float(), axis) for axis in (-3, -2, -1)]).sum()

    def _along(self, luts: Tensor, axis: int) -> Tensor:
        squares = luts.diff(dim=axis).square()
        ends = squares.narrow(axis, 0, 1), squares.narrow(axis, -1, 1)
        return sum((part.sum() for part in ends), squares.sum()) / squares[0].numel()


class LutMonotonicity(nn.Module):
    """Brighter in, brighter out: float [L,3,S,S,S] -> the sum over tables of the mean fall between neighbors, along
    each axis. The target is not looked at."""

    of = "luts"

    def __init__(self, *, weight: Weight = 10.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        falls = [F.relu(-output.float().diff(dim=axis)) for axis in (-3, -2, -1)]
        return torch.stack([fall.sum() / fall[0].numel() for fall in falls]).sum()


class SpatialConsistency(nn.Module):
    """Neighboring regions of 4 x 4 pixels should differ in the output as they do in the input (equation 5).

    forward(output, input), float [B,T,3,H,W] each, as ZeroDCE gives them for `of="enhanced"`.
    """

    of = "enhanced"

    def __init__(self, *, weight: Weight = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        after, before = (_brightness(video, REGION) for video in (output, target))
        squares = [(after.diff(dim=d).abs() - before.diff(dim=d).abs()).square().sum() for d in (-2, -1)]
        return 2 * torch.stack(squares).sum() / after.numel()  # each region is its neighbor's neighbor


class Exposure(nn.Module):
    """The mean of each 16 x 16 pixels should be `level` (equation 6): forward(output [B,T,3,H,W], anything)."""

    of = OUTPUT

    def __init__(self, *, level: Annotated[float, Interval(ge=0, le=1)] = 0.6, weight: Weight = 1.0) -> None:
        super().__init__()
        self.level = level
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (_brightness(output, PATCH) - self.level).abs().mean()


class ColorConstancy(nn.Module):
    """The mean red, green and blue of a frame should be alike (equation 7): forward(output [B,T,3,H,W], anything)."""

    of = OUTPUT

    def __init__(self, *, weight: Weight = 0.5) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        mean_BTC = output.float().mean((3, 4))
        return (mean_BTC - mean_BTC.roll(1, dims=2)).square().sum(2).mean()


class IlluminationSmoothness(nn.Module):
    """Neighboring pixels should have like curves (equation 8): forward(curves [B,T,3*iterations,H,W], anything)."""

    of = "curves"

    def __init__(self, *, weight: Weight = 20.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        curves = F.pad(output.float().flatten(0, 1), (0, 1, 0, 1), mode="replicate")
        across, down = curves.diff(dim=-1)[..., :-1, :], curves.diff(dim=-2)[..., :-1]
        return 3 * (across.abs() + down.abs()).square().mean()  # the sum over colors, the mean over iterations


def _brightness(video: Tensor, size: int) -> Tensor:
    """The mean over channels and size x size pixels (fewer at the right and below): [B*T,h,w]."""
    grey = video.float().flatten(0, 1).mean(1, keepdim=True)
    return F.avg_pool2d(grey, size, ceil_mode=True)[:, 0]
