"""Noticing that adversarial training has gone wrong: one message each, that says what was seen and since when."""

import math
from dataclasses import asdict, dataclass


@dataclass
class Alarm:
    """Speaks once, when something has been the case for `patience` updates on end; a good update starts it anew.

    Its state is plain values: with `state_dict()` in the checkpoint, a resumed run says no more and no less.
    """

    patience: int = 1
    since_batch: int | None = None
    updates: int = 0
    spoken: bool = False

    def update(self, bad: bool, *, batch: int, says: str) -> str | None:
        """`says`, completed by "since batch n", in the update in which patience ends; None in all others."""
        if not bad:
            self.since_batch, self.updates = None, 0
            return None
        self.since_batch = batch if self.since_batch is None else self.since_batch
        self.updates += 1
        if self.spoken or self.updates < self.patience:
            return None
        self.spoken = True
        return f"{says}, since batch {self.since_batch}"

    def state_dict(self) -> dict[str, int | bool | None]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, int | bool | None]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class DivergenceWatch:
    """The three ways in which a GAN's training is known to end; each method returns a line at most once in a run.

    patience: batches for which the discriminator must be pinned. near: how near 1 (it wins always: the generator has no
    gradient left) or 0.5 (it tells nothing apart: neither has the generator) its accuracy must stay; a healthy one
    moves more than that from batch to batch. share: of the real clips' diversity, below which it has collapsed.
    """

    def __init__(self, *, patience: int = 200, near: float = 0.01, share: float = 0.1) -> None:
        self.near, self.share = near, share
        self.alarms = {
            "pinned_1": Alarm(patience),
            "pinned_0.5": Alarm(patience),
            "collapsed": Alarm(),
            "not_finite": Alarm(),
        }

    def discriminator(self, accuracy: float, *, batch: int) -> str | None:
        """accuracy: the share of real and generated clips (half of each) that it told right in this batch."""
        for level, means in ((1, "it wins always"), (0.5, "it tells nothing apart")):
            says = f"discriminator accuracy within {self.near:g} of {level:g} ({means}; now {accuracy:.3f})"
            bad = abs(accuracy - level) <= self.near
            if message := self.alarms[f"pinned_{level:g}"].update(bad, batch=batch, says=says):
                return message
        return None

    def diversity(self, generated: float, *, real: float, batch: int) -> str | None:
        """Mean pairwise distances of generated and of real clips, in the same features."""
        says = f"mode collapse: the generated clips' diversity is {generated:.3g}, the real ones' {real:.3g}"
        return self.alarms["collapsed"].update(generated < self.share * real, batch=batch, says=says)

    def finite(self, values: dict[str, float], *, batch: int) -> str | None:
        """Losses, gradient norms, figures, by name."""
        bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
        return self.alarms["not_finite"].update(bool(bad), batch=batch, says=", ".join(bad[:3]))

    def state_dict(self) -> dict[str, dict[str, int | bool | None]]:
        return {name: alarm.state_dict() for name, alarm in self.alarms.items()}

    def load_state_dict(self, state: dict[str, dict[str, int | bool | None]]) -> None:
        for name, alarm in self.alarms.items():
            alarm.load_state_dict(state[name])
