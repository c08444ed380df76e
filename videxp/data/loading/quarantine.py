"""Files that were whole when the data set was prepared and can no longer be read: left out, counted, named.

No sample ever stands in for another. A batch is shorter by the samples of files that cannot be read, and from the batch
in which a file fails it stays left out, on every rank and after a resume, even if it could be read again. Of a batch of
which some rank would have nothing left, no rank trains: DDP averages gradients, and that rank has none. One number,
`max_unreadable`, says how many different files may be missing, those that `prepare` found among them; with 0, the first
is an error.

Legend: B samples of a batch; a tensor of a batch has B rows, or a multiple of B (the clips of a sample adjacent), and
what is ragged as many clips.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from videxp.core.errors import VidexpError
from videxp.data.annotations.ragged import Ragged

Batch = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A sample that could not be read, on its way from a worker, where a traceback would bury the message."""

    message: str
    path: str = ""
    """The file at fault, relative to the data's root; "" where the fault is not one file's."""
    cause: str = ""


class Ranks:
    """What the processes of a run tell each other, on the CPU: no GPU is waited for."""

    def __init__(self, *, timeout_seconds: float = 0) -> None:
        self.timeout = timedelta(seconds=timeout_seconds) if timeout_seconds else None
        self._groups: tuple[Any, Any] = (None, None)  # all processes; the same, in a group that takes CPU tensors

    @property
    def alone(self) -> bool:
        return not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1

    def summed(self, numbers: list[int]) -> list[int]:
        """Each number summed over all ranks."""
        if self.alone:
            return numbers
        tensor = torch.tensor(numbers)
        distributed.all_reduce(tensor, group=self._group())
        return [int(value) for value in tensor]

    def gathered(self, failures: list[Failure]) -> list[Failure]:
        """Those of all ranks, in the order of ranks; where nobody has any, one small number is exchanged."""
        if self.alone or self.summed([len(failures)]) == [0]:
            return failures
        parts: list[list[Failure]] = [[] for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(parts, failures, group=self._group())
        return [failure for part in parts for failure in part]

    def _group(self) -> Any:
        world, group = self._groups
        if world is not distributed.group.WORLD:
            world = distributed.group.WORLD
            is_gloo = distributed.get_backend() == "gloo"
            group = world if is_gloo else distributed.new_group(backend="gloo", timeout=self.timeout)
            self._groups = world, group
        return group


class Quarantine:
    """`causes`: path -> cause of the files that are left out. `before`: how many `prepare` left out already."""

    def __init__(self, *, limit: int, timeout_seconds: float = 0) -> None:
        self.limit = limit
        self.ranks = Ranks(timeout_seconds=timeout_seconds)
        self.before = 0
        self.causes: dict[str, str] = {}
        self.waiting: dict[str, Failure] = {}  # of the evaluation under way: they count from its end

    def add(self, failures: Iterable[Failure]) -> None:
        """Leave these files out from now on; raises VidexpError, with a failure's own message, beyond the limit."""
        for failure in failures:
            if failure.path not in self.causes:
                self._require_room(failure, count=len(self.causes) + 1)
                self.causes[failure.path] = failure.cause

    def hold(self, failures: Iterable[Failure]) -> None:
        """Leave out these samples of an evaluation. What it counts must not depend on which rank met what first, so
        their files are left out, and ranks fail together, only when it ends."""
        for failure in failures:
            self.waiting.setdefault(failure.path, failure)
            if self.ranks.alone:
                self._require_room(failure, count=len({*self.causes, *self.waiting}))

    def settle(self) -> None:
        """At the end of an evaluation, on all ranks: what any of them met is left out from now on."""
        waiting, self.waiting = list(self.waiting.values()), {}
        self.add(self.ranks.gathered(waiting))

    def _require_room(self, failure: Failure, *, count: int) -> None:
        if not failure.path:
            raise VidexpError(failure.message)
        if (total := self.before + count) > self.limit:
            number = "" if total == 1 else f" ({total} files cannot be read)"
            raise VidexpError(
                f"{failure.message}\nMend it, or go on without it: dataset.max_unreadable={total}{number}"
            )


def agreed(batch: Batch, failures: list[Failure], quarantine: Quarantine, files: Callable[[], list[set[str]]]) -> Batch:
    """The training batch as all ranks have it: without samples of files that failed anywhere, or without any.

    files: of each of the batch's samples, where they are asked for. Called by all ranks for each of their batches.
    Where nothing may be missing, ranks do not ask each other.
    """
    if quarantine.limit == 0:
        quarantine.add(failures)
        return batch
    quarantine.add(quarantine.ranks.gathered(failures))
    if not quarantine.causes:
        return batch
    batch = kept(batch, [quarantine.causes.keys().isdisjoint(of_sample) for of_sample in files()])
    samples = len(batch["index"])
    total, somebody_has_none = quarantine.ranks.summed([samples, int(samples == 0)])
    return none_of(batch) if somebody_has_none else {**batch, "total": torch.tensor(total)}


def kept(batch: Batch, keep: list[bool]) -> Batch:
    """The batch with only those samples."""
    if all(keep):
        return batch
    if not any(keep):
        return none_of(batch)
    samples, chosen = len(keep), torch.tensor(keep)

    def rows(value: Any) -> Any:
        if isinstance(value, Ragged):
            return value.select(chosen.repeat_interleave(value.count // samples))
        return value.unflatten(0, (samples, -1))[chosen].flatten(0, 1) if isinstance(value, Tensor) else value

    return {name: rows(value) for name, value in batch.items()}


def none_of(batch: Batch) -> Batch:
    """No sample: `index` int64 [0], and the epoch in which none was left."""
    return {"index": torch.empty(0, dtype=torch.int64), "epoch": batch["epoch"][:1]}


def is_empty(batch: Any) -> bool:
    """Whether a batch has lost all its samples."""
    return isinstance(batch, dict) and "index" in batch and len(batch["index"]) == 0
