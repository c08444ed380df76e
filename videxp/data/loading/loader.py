"""A DataLoader whose failures are said in words."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from torch.utils.data import DataLoader

from videxp.core.errors import VidexpError
from videxp.core.private_torch import keep_requests_open, running_iterator, workers_of
from videxp.data.loading.quarantine import Batch, Failure
from videxp.data.loading.ring import HELD, InSlot, Requests, Ring

HUNG = "timed out after"  # in what torch says of workers from which nothing comes
NO_SHARED_MEMORY = ("</torch_", "Bus error")  # in what it says where /dev/shm is full; the first is a file there
Admit = Callable[[Batch, list[Failure]], Batch | None]
"""What becomes of a batch of which some samples could not be read; None: it is passed over."""


class ClipLoader(DataLoader[dict[str, Any]]):
    """`admit`, if given, is asked about each batch. Raises VidexpError, in words, where a worker hangs or dies.

    slot_bytes: what the clips of a batch take at most. Forked workers that stay lay them in a ring of shared memory
    (videxp/data/loading/ring.py), if the data set's `__getitems__` hands the request's slot on to `collate_fn`. 0: no
    ring.
    """

    def __init__(self, *args: Any, admit: Admit | None = None, slot_bytes: int = 0, **kwargs: Any) -> None:
        self.ring: Ring | None = None
        stay = kwargs.get("persistent_workers") and kwargs.get("multiprocessing_context") == "fork"
        if slot_bytes and stay:
            self.ring = Ring(slots=kwargs["num_workers"] * kwargs["prefetch_factor"] + HELD, slot_bytes=slot_bytes)
            kwargs["batch_sampler"] = Requests(kwargs["batch_sampler"], ring=self.ring)
            kwargs["collate_fn"] = InSlot(kwargs["collate_fn"], ring=self.ring)
        super().__init__(*args, **kwargs)
        self.admit = admit

    def __iter__(self) -> Any:
        if self.ring is not None and running_iterator(self) is None:  # workers are about to be forked
            self.ring.map()
        try:  # workers that stay answer that they begin again, if they do not hang
            batches = super().__iter__()
        except Exception as error:
            if (words := _in_words(error, running_iterator(self), timeout_seconds=self.timeout)) is None:
                raise
            raise VidexpError(words) from error
        if self.num_workers:
            keep_requests_open(batches)
        return _Batches(batches, admit=self.admit, ring=self.ring, timeout_seconds=self.timeout)

    # Lightning asks loaders whether they can resume in the middle of an epoch. Ours do: their batch sampler asks the
    # data module, whose state is in the checkpoint, for the position.

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class _Batches:
    def __init__(
        self, batches: Iterator[Any], *, admit: Admit | None, ring: Ring | None, timeout_seconds: float
    ) -> None:
        self.batches = batches
        self.admit = admit
        self.ring = ring
        self.timeout_seconds = timeout_seconds

    def __iter__(self) -> "_Batches":
        return self

    def __next__(self) -> Batch:
        while True:
            try:
                batch = next(self.batches)
            except Exception as error:
                if "in DataLoader worker process" in str(error):
                    # torch's frames hold the error, and it them: garbage, and in it the workers, which take ten seconds
                    # to end when garbage is collected. The worker's own traceback is in the message.
                    error.__traceback__ = None
                if (words := _in_words(error, self.batches, timeout_seconds=self.timeout_seconds)) is None:
                    raise  # here: a function that raised it would be in its traceback, and hold the batch before
                raise VidexpError(words) from error
            if self.ring is not None:
                batch = self.ring.receive(batch)
            if self.admit is None:
                return batch
            if (admitted := self.admit(batch, batch.pop("failures", []))) is not None:
                return admitted


def _in_words(error: Exception, batches: Any, *, timeout_seconds: float) -> str | None:
    """`batches`, the DataLoader's own iterator, is ended if a worker of it hangs: such a worker does not answer the
    request to end, and Python would wait for it for ever before it ends itself."""
    text = str(error)
    if HUNG in text:
        for worker in workers_of(batches):
            with suppress(RuntimeError):  # torch's, which says once that a worker was killed
                worker.kill()
                worker.join(timeout=1)
        return (
            f"No batch came from the data workers for {timeout_seconds:g} s: one hangs, or the disk does\n"
            "Wait longer with dataset.timeout_seconds, or look for the file with dataset.loading.num_workers=0"
        )
    if any(words in f"{text} {error.__cause__}" for words in NO_SHARED_MEMORY):
        return (
            "A data worker ran out of shared memory: /dev/shm is full\n"
            "Give it more (docker run --shm-size=8g ...), or read without workers: hardware.num_workers=0"
        )
    if "exited unexpectedly" in text:
        return (
            f"{text.splitlines()[0]}\nOut of memory or a crash in a decoder: "
            "fewer dataset.loading.num_workers, or dataset.loading.num_workers=0 to see which file it is"
        )
    return None
