"""Does a restored video flicker? Legend: B clips, T frames, C channels, H, W; values are of pairs of adjacent frames.

Flows are computed by a function that is handed in (`videxp.core.warping.FlowFunction`): the numbers are its, too, and
two of them can only be compared where it was the same.

The functions come first; the classes, for a config's `task.test_metrics`, look at two frames at a time, so that a long
clip takes no more memory than a short one, and say in `protocol` by which network they judge.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.warping import FlowFunction, flow_warp, visible
from videxp.metrics.lpips import Lpips


def warping_error(video_BTCHW: Tensor, flow: FlowFunction, *, reference_BTCHW: Tensor | None = None) -> Tensor:
    """E_warp of Lai et al. 2018: the mean square of frame t minus frame t+1 moved back onto it; [B,T-1].

    Both videos are float in [0,1], and so is the error. Only pixels that are seen in both frames count (a pair without
    any: all). Flows are those of the reference, by default of the video itself: give the clean clip, where there is
    one, so that what is judged does not also judge.
    """
    a, b = _adjacent(video_BTCHW)
    seen_a, seen_b = (a, b) if reference_BTCHW is None else _adjacent(reference_BTCHW)
    forward = flow(seen_a, seen_b)
    mask = visible(forward, flow(seen_b, seen_a)).to(a.dtype)
    mask = mask + (mask.sum((1, 2, 3), keepdim=True) == 0)
    squares_N1HW = (a - flow_warp(b, forward, outside="border")).square().mean(1, keepdim=True)
    error_N = (mask * squares_N1HW).sum((1, 2, 3)) / mask.sum((1, 2, 3))
    return error_N.view(len(video_BTCHW), -1)


def tof(output_BTCHW: Tensor, target_BTCHW: Tensor, flow: FlowFunction) -> Tensor:
    """tOF of TecoGAN (Chu et al. 2020): how far the output's motion is from the target's, in pixels; [B,T-1].

    The mean length of the difference of the two flows, as the authors' code has it. Theirs is OpenCV's Farneback flow
    of grey frames, and leaves out a margin of 8 pixels or more.
    """
    difference = flow(*_adjacent(output_BTCHW)) - flow(*_adjacent(target_BTCHW))
    return difference.square().sum(1).sqrt().mean((1, 2)).view(len(output_BTCHW), -1)


def tlp(output_BTCHW: Tensor, target_BTCHW: Tensor, lpips: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """tLP of TecoGAN (Chu et al. 2020): |LPIPS(b_t, b_t+1) - LPIPS(g_t, g_t+1)|; [B,T-1].

    lpips: such as `videxp.metrics.Lpips` (theirs is net "alex"). Papers print a hundred times this value.
    """
    change = lpips(*_adjacent(output_BTCHW)) - lpips(*_adjacent(target_BTCHW))
    return change.abs().view(len(output_BTCHW), -1)


def _adjacent(video_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Frames t and t+1 of all clips: two of [B*(T-1),C,H,W]."""
    if video_BTCHW.shape[1] < 2:
        raise BadRequest("warping error, tOF and tLP compare adjacent frames, but clips have one: num_frames=2 or more")
    return video_BTCHW[:, :-1].flatten(0, 1), video_BTCHW[:, 1:].flatten(0, 1)


# ---- for a config ---------------------------------------------------------------------------------------------------


class WarpingError(nn.Module):
    """`warping_error` of the output along the target's flow: float [B,T,3,H,W] twice, in [0,1] -> [B,T-1].

    flow: a network such as `videxp.models.restoration.spynet.SPyNet` with its weights.
    """

    better: ClassVar[str] = "min"

    def __init__(self, *, flow: nn.Module) -> None:
        super().__init__()
        self.flow = _judge(flow)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return _over_pairs(lambda a, b: warping_error(a, self.flow, reference_BTCHW=b), output, target)

    @property
    def protocol(self) -> str:
        return f"E_warp along the target's flow by {_named(self.flow)}, mean square in [0,1]"


class TOF(nn.Module):
    """`tof`: float [B,T,3,H,W] twice, in [0,1] -> [B,T-1] in pixels. flow: as for `WarpingError`."""

    better: ClassVar[str] = "min"

    def __init__(self, *, flow: nn.Module) -> None:
        super().__init__()
        self.flow = _judge(flow)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return _over_pairs(lambda a, b: tof(a, b, self.flow), output, target)

    @property
    def protocol(self) -> str:
        return f"tOF by {_named(self.flow)}, pixels"


class TLP(nn.Module):
    """`tlp`: float [B,T,3,H,W] twice, in [0,1] -> [B,T-1]. Its arguments are those of `Lpips`."""

    better: ClassVar[str] = "min"

    def __init__(
        self,
        *,
        net: Literal["alex", "squeeze", "vgg"] = "alex",
        weights: str | None = None,
        linear_weights: str | None = None,
    ) -> None:
        super().__init__()
        self.lpips = Lpips(net=net, weights=weights, linear_weights=linear_weights)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return _over_pairs(lambda a, b: tlp(a, b, self.lpips), output, target)

    @property
    def protocol(self) -> str:
        return f"tLP (not times 100) of {self.lpips.protocol}"


def _over_pairs(score: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor) -> Tensor:
    """`score` of frames t and t+1 for each t, [B,T-1]; in 32 bits whatever the network ran in."""
    last = max(output.shape[1] - 1, 1)  # of one frame: score says what is wrong
    with torch.autocast(output.device.type, enabled=False):
        pairs = ((output[:, t : t + 2].float(), target[:, t : t + 2].float()) for t in range(last))
        return torch.cat([score(*pair) for pair in pairs], dim=1)


def _judge(flow: nn.Module) -> nn.Module:
    """A network that was trained, frozen."""
    if getattr(flow, "weights_path", "") is None:
        kind = type(flow)
        raise BadRequest(f"flow: {kind.__name__} without weights measures nothing: set its weights to a file's path")
    return flow.eval().requires_grad_(False)


def _named(flow: nn.Module) -> str:
    """`SPyNet (spynet.pth)`."""
    path = getattr(flow, "weights_path", None)
    return type(flow).__name__ + (f" ({Path(path).name})" if path else "")
