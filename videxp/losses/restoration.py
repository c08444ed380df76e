"""Losses of restored clips: forward(output, target), both float [B,T,C,H,W] (values about [0,1]) -> a scalar.

Each has a `weight`, which `WeightedLosses` multiplies it by. All are means, so that no crop, clip length or batch size
changes a loss's scale, and in float32 whatever precision the network ran in. Those of single pixels can be `of` other
frames than the output: `of="cleaned"` compares what the network calls so with what it should be like.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt
from videxp.core.warping import flow_warp

OUTPUT = "output"


class Charbonnier(nn.Module):
    """mean sqrt((output - target)^2 + eps): an L1 that is smooth at 0.

    eps stands within the root, as in BasicVSR's and BasicSR's code (1e-12; Charbonnier's epsilon is 1e-6). EDVR's has
    1e-6 there and a sum in place of the mean.
    """

    def __init__(
        self, *, eps: Annotated[float, Gt(0)] = 1e-12, weight: Annotated[float, Ge(0)] = 1.0, of: str = OUTPUT
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weight = weight
        self.of = of

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return ((output.float() - target.float()).square() + self.eps).sqrt().mean()


class L1(nn.Module):
    """mean |output - target|."""

    def __init__(self, *, weight: Annotated[float, Ge(0)] = 1.0, of: str = OUTPUT) -> None:
        super().__init__()
        self.weight = weight
        self.of = of

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output.float() - target.float()).abs().mean()


class L2(nn.Module):
    """mean (output - target)^2."""

    def __init__(self, *, weight: Annotated[float, Ge(0)] = 1.0, of: str = OUTPUT) -> None:
        super().__init__()
        self.weight = weight
        self.of = of

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output.float() - target.float()).square().mean()


class TemporalDifference(nn.Module):
    """mean |(o_t+1 - o_t) - (g_t+1 - g_t)|: the output should change from frame to frame as the target does.

    The temporal coherence loss of Robust Video Matting (Lin et al. 2022, there squared), which needs no flow. 0 where
    clips have one frame.
    """

    def __init__(self, *, weight: Annotated[float, Ge(0)] = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        error = output.float() - target.float()
        return error.diff(dim=1).abs().mean() if output.shape[1] > 1 else error.sum() * 0


class WarpingConsistency(nn.Module):
    """mean M |o_t+1 - warp(o_t)|, M = exp(-alpha |g_t+1 - warp(g_t)|^2): frames should follow the target's motion.

    The short-term temporal loss of Lai et al. 2018, with their alpha = 50 and, in place of their unprocessed input, the
    target. It is smallest for a blurred video, so it goes beside a loss of the frames themselves.

    flow: a module such as SPyNet with weights; (a, b), both [N,3,H,W] in [0,1] -> the flow from a to b, [N,2,H,W] in
    pixels. It is frozen and no part of this module: it is in neither checkpoints nor averages of weights.
    """

    def __init__(
        self, *, flow: nn.Module, alpha: Annotated[float, Ge(0)] = 50.0, weight: Annotated[float, Ge(0)] = 1.0
    ) -> None:
        super().__init__()
        self._hidden = (flow.eval().requires_grad_(False),)
        self.alpha = alpha
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if output.shape[1] < 2:
            return output.sum() * 0
        flow = self._hidden[0].to(output.device)
        (before, after), (earlier, later) = _adjacent(target), _adjacent(output)
        with torch.no_grad():
            motion = flow(after, before)
            astray_N1HW = (after - flow_warp(before, motion, outside="border")).square().sum(1, keepdim=True)
            mask_N1HW = (-self.alpha * astray_N1HW).exp()
        return (mask_N1HW * (later - flow_warp(earlier, motion, outside="border")).abs()).mean()


def _adjacent(video_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Frames t and t+1 of all clips: two of [B*(T-1),C,H,W], float32."""
    return video_BTCHW[:, :-1].flatten(0, 1).float(), video_BTCHW[:, 1:].flatten(0, 1).float()


class WeightedLosses(nn.Module):
    """The weighted sum of named losses, and each of them by its name for the log.

    losses: name -> module with a `weight`, forward(output, target) -> scalar, and perhaps `of`, the name of the frames
    that it compares (`OUTPUT`). Raises `BadRequest` if there is none of the output.
    """

    def __init__(self, losses: Mapping[str, nn.Module]) -> None:
        super().__init__()
        if not losses:
            raise BadRequest("losses: none given; one at least, such as videxp.losses.Charbonnier")
        self.losses = nn.ModuleDict(losses)
        self.of = {name: str(getattr(loss, "of", OUTPUT)) for name, loss in losses.items()}
        if OUTPUT not in self.of.values():
            raise BadRequest(f"losses: none is of the output: {', '.join(f'{k} of {v}' for k, v in self.of.items())}")

    @property
    def intermediates(self) -> dict[str, str]:
        """Loss -> the frames that it compares, of those that are not the output."""
        return {name: of for name, of in self.of.items() if of != OUTPUT}

    def require_intermediates(self, network: nn.Module) -> None:
        """Raises BadRequest for a loss of frames that the network does not give."""
        known = getattr(network, "intermediates", ())
        for name, of in self.intermediates.items():
            if of not in known:
                frames = ", ".join((OUTPUT, *known))
                raise BadRequest(
                    f"task.losses.{name}.of={of}: {type(network).__name__} gives no such frames, only {frames}"
                )

    def forward(
        self,
        output: Tensor,
        target: Tensor,
        intermediates: Mapping[str, tuple[Tensor, Tensor]] | None = None,
        *,
        condition: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """-> (the sum to be minimized, name -> the loss without its weight, detached).

        intermediates: name -> (frames, what they should be like); without, the losses of them are left out, as in
        evaluation. condition: float [B,T,K,h,w], for losses that are `told` it. Raises ValueError for shapes that
        differ: torch would broadcast them.
        """
        pairs = {OUTPUT: (output, target), **(intermediates or {})}
        for name, (frames, wanted) in pairs.items():
            if frames.shape != wanted.shape:
                raise ValueError(f"the network's {name} is {list(frames.shape)}, its target {list(wanted.shape)}")
        for name, loss in self.losses.items():
            if condition is None and (told := getattr(loss, "told", "")):
                raise BadRequest(f"task.losses.{name}: {type(loss).__name__} is told a {told}, which these data lack")
        terms = {
            name: loss(*pairs[self.of[name]], *((condition,) if getattr(loss, "told", "") else ()))
            for name, loss in self.losses.items()
            if self.of[name] in pairs
        }
        total = torch.stack([self.losses[name].weight * term for name, term in terms.items()]).sum()
        return total, {name: term.detach() for name, term in terms.items()}
