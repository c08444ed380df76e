"""A DataLoader whose failures are said in words."""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader

from videxp.data.quarantine import Batch, Failure
from videxp.errors import VidexpError

Admit = Callable[[Batch, list[Failure]], Batch | None]
"""What becomes of a batch of which some samples could not be read; None: it is passed over."""


class ClipLoader(DataLoader[dict[str, Any]]):
    """`admit`, if given, is asked about each batch. Raises VidexpError, in words, where a worker hangs or dies."""

    def __init__(self, *args: Any, admit: Admit | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.admit = admit

    def __iter__(self) -> Any:
        return _Batches(super().__iter__(), admit=self.admit, timeout_seconds=self.timeout)

    # Lightning asks loaders whether they can resume in the middle of an epoch. Ours do: their batch sampler asks the
    # data module, whose state is in the checkpoint, for the position.

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class _Batches:
    def __init__(self, batches: Iterator[Any], *, admit: Admit | None, timeout_seconds: float) -> None:
        self.batches = batches
        self.admit = admit
        self.timeout_seconds = timeout_seconds

    def __iter__(self) -> "_Batches":
        return self

    def __next__(self) -> Batch:
        while True:
            try:
                batch = next(self.batches)
            except RuntimeError as error:
                raise _explained(error, timeout_seconds=self.timeout_seconds) from error
            if self.admit is None:
                return batch
            if (admitted := self.admit(batch, batch.pop("failures", []))) is not None:
                return admitted


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
