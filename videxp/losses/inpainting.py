"""Losses of inpainted clips: forward(output, target, mask), float [B,T,3,H,W] twice and [B,T,1,H,W], -> a scalar.

STTN's (Zeng et al. 2020, equations 6 and 7): means over the hidden pixels, or over the others, so that a small hole
counts as much as a large one. `told` says what else than output and target they take; otherwise they are as those of
`restoration.py`.
"""

from typing import Annotated, ClassVar

from torch import Tensor, nn

from videxp.core.limits import Ge
from videxp.losses.restoration import OUTPUT


class HiddenL1(nn.Module):
    """mean |output - target| * mask / mean(mask); 0 where nothing is hidden."""

    told: ClassVar[str] = "mask"

    def __init__(self, *, weight: Annotated[float, Ge(0)] = 1.0, of: str = OUTPUT) -> None:
        super().__init__()
        self.weight = weight
        self.of = of

    def forward(self, output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return _mean_within(output, target, mask.float())


class VisibleL1(HiddenL1):
    """The same outside of the mask: of="prediction" holds what a network predicts there to what it sees."""

    def forward(self, output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return _mean_within(output, target, 1 - mask.float())


def _mean_within(output: Tensor, target: Tensor, within: Tensor) -> Tensor:
    error = (output.float() - target.float()).abs() * within
    return error.mean() / within.mean().clamp(min=1e-6)
