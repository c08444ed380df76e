"""Learning rate schedules: pure functions of the epoch, as a factor of the base learning rate.

Time is counted in (fractional) epochs, so that a recipe means the same for every batch size and number of devices.
"""

import math
from bisect import bisect_right
from typing import Annotated, Protocol

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt


class Schedule(Protocol):
    """What a task needs of a schedule."""

    def factor(self, epoch: float, *, total_epochs: float) -> float:
        """Factor of the base learning rate at `epoch`, which runs from 0 to `total_epochs`."""
        ...


def warmup_factor(epoch: float, warmup_epochs: float) -> float:
    """Linear from (nearly) 0 to 1 over the first `warmup_epochs`; 1 from there on."""
    return 1.0 if epoch >= warmup_epochs else max(epoch / warmup_epochs, 1e-3)


class Constant:
    """The base learning rate, after a linear warm-up."""

    def __init__(self, *, warmup_epochs: Annotated[float, Ge(0)] = 0.0) -> None:
        self.warmup_epochs = warmup_epochs

    def factor(self, epoch: float, *, total_epochs: float) -> float:
        return warmup_factor(epoch, self.warmup_epochs)


class Cosine:
    """Linear warm-up, then f + (1 - f) (1 + cos(pi t)) / 2 with t from 0 to 1 (Loshchilov & Hutter 2017, eq. 5)."""

    def __init__(
        self, *, warmup_epochs: Annotated[float, Ge(0)] = 0.0, final_factor: Annotated[float, Ge(0)] = 0.0
    ) -> None:
        self.warmup_epochs = warmup_epochs
        self.final_factor = final_factor

    def factor(self, epoch: float, *, total_epochs: float) -> float:
        if epoch < self.warmup_epochs:
            return warmup_factor(epoch, self.warmup_epochs)
        t = min(1.0, (epoch - self.warmup_epochs) / max(total_epochs - self.warmup_epochs, 1e-9))
        return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * t)) / 2


class CosineRestarts:
    """Half a cosine from 1 down to f in each of `periods` (epochs), one after the other (SGDR, eq. 5); f after them."""

    def __init__(self, *, periods: list[float], final_factor: Annotated[float, Ge(0)] = 0.0) -> None:
        if not periods or min(periods) <= 0:
            raise BadRequest(f"scheduler.periods={list(periods)}: takes the epochs of each period, such as [10, 20]")
        self.periods = periods
        self.final_factor = final_factor

    def factor(self, epoch: float, *, total_epochs: float) -> float:
        for period in self.periods:
            if epoch < period:
                return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * epoch / period)) / 2
            epoch -= period
        return self.final_factor


class MultiStep:
    """Linear warm-up, then times `gamma` at each of `milestones` (epochs)."""

    def __init__(
        self,
        *,
        milestones: list[float],
        gamma: Annotated[float, Gt(0)] = 0.1,
        warmup_epochs: Annotated[float, Ge(0)] = 0.0,
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        self.warmup_epochs = warmup_epochs

    def factor(self, epoch: float, *, total_epochs: float) -> float:
        return warmup_factor(epoch, self.warmup_epochs) * self.gamma ** bisect_right(self.milestones, epoch)
