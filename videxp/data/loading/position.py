"""How far training has come in its data, so that a resumed run goes on with the batch after the last one trained on."""

from typing import Any

from videxp.core.errors import BadRequest
from videxp.data.loading.sampler import normalized


class Position:
    """Counts training batches as they reach the device: what workers hold ready has not been trained."""

    def __init__(self) -> None:
        self.epoch, self.consumed = 0, 0
        self.resumed_at = (0, 0)  # (epoch, batches of it that were done) of the checkpoint
        self.restored: dict[str, Any] | None = None

    def count(self, epoch: int) -> None:
        """A batch of this epoch has reached the device."""
        self.consumed = self.consumed + 1 if epoch == self.epoch else 1
        self.epoch = epoch

    def next(self, current_epoch: int) -> tuple[int, int]:
        """(epoch, batches to skip) for the next iteration. The later of what the trainer and what the batches say:

        a trainer resumed from an epoch's last batch asks for an iterator before it has counted that epoch as done.
        """
        return max((current_epoch, 0), self.resumed_at)

    def state(self, *, batches: int) -> dict[str, int]:
        """For a checkpoint; `batches`: of a full epoch."""
        epoch, consumed = normalized(self.epoch, self.consumed, batches=batches)
        return {"epoch": epoch, "consumed": consumed}

    def restore(self, state: dict[str, Any]) -> None:
        self.resumed_at = self.epoch, self.consumed = state["epoch"], state["consumed"]
        self.restored = state

    def require_same(self, order: dict[str, Any]) -> None:
        """To go on with other data or another order would be no resumption. (To test on other data is fine.)

        Raises BadRequest."""
        for key, value in order.items():
            if self.restored is not None and self.restored[key] != value:
                raise BadRequest(f"Cannot resume: {key} of the data was {self.restored[key]}, now it is {value}")
