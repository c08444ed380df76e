"""A DataLoader whose failures are said in words."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from videxp.data.dataset import Failure
from videxp.errors import VidexpError


class ClipLoader(DataLoader[dict[str, Any]]):
    """Raises VidexpError with a sample's own message, and where a worker hangs or dies."""

    def __iter__(self) -> Any:
        return _Batches(super().__iter__(), timeout_seconds=self.timeout)

    # Lightning asks loaders whether they can resume in the middle of an epoch. Ours do: their batch sampler asks the
    # data module, whose state is in the checkpoint, for the position.

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class _Batches:
    def __init__(self, batches: Iterator[Any], *, timeout_seconds: float) -> None:
        self.batches = batches
        self.timeout_seconds = timeout_seconds

    def __iter__(self) -> "_Batches":
        return self

    def __next__(self) -> dict[str, Tensor]:
        try:
            batch = next(self.batches)
        except RuntimeError as error:
            raise _explained(error, timeout_seconds=self.timeout_seconds) from error
        if isinstance(batch, Failure):
            raise VidexpError(batch.message)
        return batch


def _explained(error: RuntimeError, *, timeout_seconds: float) -> Exception:
    text = str(error)
    if "timed out after" in text:
        return VidexpError(
            f"No batch came from the data workers for {timeout_seconds:g} s: one hangs, or the disk does\n"
            "Wait longer with dataset.timeout_seconds, or look for the file with dataset.num_workers=0"
        )
    if "exited unexpectedly" in text:
        return VidexpError(
            f"{text.splitlines()[0]}\nOut of memory or a crash in a decoder: "
            "fewer dataset.num_workers, or dataset.num_workers=0 to see which file it is"
        )
    return error
