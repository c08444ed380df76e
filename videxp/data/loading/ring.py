"""Batches in memory that data workers and the main process share, and use again and again.

A DataLoader's worker gives each batch fresh shared memory: the kernel hands it out page by page, zeroed, the main
process maps it, faults it in once more and unmaps it, which takes longer than copying the pixels. Here a batch goes to
one of a few slots that were mapped before the workers were forked; only where in the slot it lies, its small tensors
and its failures go through the queue. The memory is anonymous: it needs no room in /dev/shm (64 MB in many containers).

A slot goes round like this, and in the main process alone, in one thread:

1. free -> under way: with each request that the DataLoader fetches from its batch sampler (`Requests`) goes a slot, or
   None where none is free; that batch then travels as DataLoader's do, and so do tensors that do not fit.
2. under way -> lent: the batch has arrived (`receive`), and tensors over the slot's memory are the consumer's. With
   pin_memory, pages were copied by then and the slot is free at once.
3. lent -> free: nothing holds the tensors' storage any more, no view and no autograd graph. A batch that somebody keeps
   is never written over.

A slot that is under way is not touched until its worker is known to be done with it, though its batch may never arrive:
the consumer left the loop, or the worker answered with an exception. Known when? A persistent loader begins its next
iteration by waiting until every worker has answered all its requests, and only then asks the batch sampler for the
first batch: then nothing is under way (`begin`). Workers that were shut down are replaced, and new ones get new memory
(`map`), in which an old one that should have survived its end has no part. Until either, a slot is only missing.

The lowest free slot is taken first, so that no more of them ever hold memory than were in use at once, and when all of
an iteration's batches have arrived the free ones give theirs back to the kernel.
"""

import mmap
import weakref
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass, replace
from itertools import count
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler, default_collate

from videxp.data.annotations.annotation import Stack
from videxp.data.annotations.ragged import Ragged

Keys = list[tuple[int, int]]  # (epoch, index in the split's samples)

HELD = 4  # batches with the consumer: in use, the one before it, being handed over, kept for a picture
_ALIGN_BYTES = 64
_SMALL_BYTES = 4096  # a file descriptor costs more than copying as much
_MAP_NORESERVE = 0x4000  # Linux; in `mmap` by name from Python 3.13 on. Slots cost what is written to them.

_NUMBERS = count()
_RINGS: "weakref.WeakValueDictionary[int, Ring]" = weakref.WeakValueDictionary()  # for packets, which are pickled


class Batches(Sized, Protocol):
    def __iter__(self) -> Iterator[Keys]: ...


class Request(Keys):
    """The keys of a batch, and the slot that it may use; None: none is free."""

    def __init__(self, keys: Keys, *, slot: int | None) -> None:
        super().__init__(keys)
        self.slot = slot


@dataclass(frozen=True)
class Place:
    """Where a tensor of uint8 lies in its slot."""

    first_byte: int
    shape: tuple[int, ...]

    @property
    def bytes(self) -> slice:
        return slice(self.first_byte, self.first_byte + prod(self.shape))


@dataclass(frozen=True)
class Packet:
    """A batch on its way: in place of tensors that lie in the slot, where; in place of small ones, arrays."""

    ring: int
    slot: int
    values: dict[str, Any]

    def pin_memory(self) -> "Packet":
        """Called in the thread of a DataLoader that pins. The slot stays under way until the batch arrives."""
        tensors = _RINGS[self.ring].tensors(self)
        pinned = {n: t.pin_memory() if isinstance(t, Tensor | Ragged) else t for n, t in tensors.items()}
        return replace(self, values=pinned)


class Ring:
    """`slots` x `slot_bytes` of shared memory, and who has which slot. `map` it before the workers are forked."""

    def __init__(self, *, slots: int, slot_bytes: int) -> None:
        self.slots = slots
        self.slot_bytes = _rounded_up(slot_bytes + _ALIGN_BYTES, mmap.PAGESIZE)  # room for two tensors, aligned
        self.number = next(_NUMBERS)
        _RINGS[self.number] = self
        self._under_way: set[int] = set()
        self._users: list[list[weakref.ref[np.ndarray]]] = []  # of each slot, one for each tensor
        self._ended = False

    def map(self) -> None:
        """New memory, all of it free. What is lent of the old lives as long as its users.

        Where the process may not have so much address space (`ulimit -v`), there are no slots.
        """
        flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        try:
            self._mapping = mmap.mmap(-1, self.slots * self.slot_bytes, flags=flags)
        except OSError:
            self.slots = 0
            return
        self._memory = np.frombuffer(self._mapping, np.uint8).reshape(self.slots, self.slot_bytes)
        self._users = [[] for _ in range(self.slots)]

    def memory(self, slot: int) -> np.ndarray:
        """uint8 [slot_bytes]"""
        return self._memory[slot]

    def begin(self) -> None:
        """No worker is writing: an iteration begins."""
        self._under_way.clear()
        self._ended = False

    def end(self) -> None:
        """The last request of the iteration is under way."""
        self._ended = True

    def take(self) -> int | None:
        """A slot for the next request; None where none is free."""
        slot = next((slot for slot in range(self.slots) if self._is_free(slot)), None)
        if slot is not None:
            self._under_way.add(slot)
        return slot

    def _is_free(self, slot: int) -> bool:
        return slot not in self._under_way and all(user() is None for user in self._users[slot])

    def receive(self, batch: dict[str, Any] | Packet) -> dict[str, Any]:
        """A batch that has arrived. If it came in a slot, its large tensors are over the slot's memory."""
        if isinstance(batch, Packet):
            slot, self._users[batch.slot] = batch.slot, []
            batch = self.tensors(batch, users=self._users[slot])
            self._under_way.discard(slot)
        if self._ended and not self._under_way:
            self._give_back()
        return batch

    def tensors(self, packet: Packet, *, users: list["weakref.ref[np.ndarray]"] | None = None) -> dict[str, Any]:
        """What a packet stands for. `users` gets a reference that is dead once a tensor's storage is.

        A tensor made from a numpy array keeps that very array object, a view made for the occasion, until then.
        """
        batch = dict(packet.values)
        for name, value in packet.values.items():
            if isinstance(value, Place):
                view = self.memory(packet.slot)[value.bytes]
                batch[name] = torch.from_numpy(view).view(value.shape)
                if users is not None:
                    users.append(weakref.ref(view))
            elif isinstance(value, np.ndarray):
                batch[name] = torch.from_numpy(value)
        return batch

    def _give_back(self) -> None:
        """Between iterations free slots hold no memory: a validation's ring holds none in training."""
        for slot in filter(self._is_free, range(self.slots)):
            try:
                self._mapping.madvise(mmap.MADV_REMOVE, slot * self.slot_bytes, self.slot_bytes)
            except OSError:  # a kernel that cannot: the memory stays with the ring
                return


class Requests(Sampler[Keys]):
    """The batches of another sampler, each with a slot for the worker that gets it."""

    def __init__(self, batches: Batches, *, ring: Ring) -> None:
        self.batches = batches
        self.ring = ring

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Request]:
        # A generator function: `begin` must wait for the first request, which is made when the workers are idle.
        self.ring.begin()
        for keys in self.batches:
            yield Request(keys, slot=self.ring.take())
        self.ring.end()


class InSlot:
    """A worker's `collate_fn`: that of the data set, with the request's slot to stack in. Without one, that alone.

    `collate(samples, stack)` is called with samples that have a `slot`; `stack` makes one tensor of several.
    """

    def __init__(self, collate: Callable[..., dict[str, Any]], *, ring: Ring) -> None:
        self.collate = collate
        self.ring = ring

    def __call__(self, samples: Any) -> dict[str, Any] | Packet:
        if samples.slot is None:
            return self.collate(samples)
        memory = torch.from_numpy(self.ring.memory(samples.slot))
        batch = self.collate(samples, stack_in(memory))
        return Packet(self.ring.number, samples.slot, {name: _packed(value, memory) for name, value in batch.items()})


def stack_in(memory: Tensor) -> Stack:
    """Stacks uint8 tensors one after another into memory, uint8 [bytes]; those for which there is no room elsewhere."""
    used = 0

    def stack(tensors: list[Tensor]) -> Tensor:
        nonlocal used
        shape = len(tensors), *tensors[0].shape
        end = used + prod(shape)
        if end > len(memory) or tensors[0].dtype != torch.uint8:
            return default_collate(tensors)
        out = memory[used:end].view(shape)
        used = _rounded_up(end, _ALIGN_BYTES)
        return torch.stack(tensors, out=out)

    return stack


def _packed(value: Any, memory: Tensor) -> Any:
    """A tensor that lies in memory becomes its place, a small one an array."""
    if not isinstance(value, Tensor):
        return value
    first_byte = value.data_ptr() - memory.data_ptr()
    if 0 <= first_byte < len(memory) and value.is_contiguous():
        return Place(first_byte, tuple(value.shape))
    return value.numpy() if value.nbytes <= _SMALL_BYTES else value


def _rounded_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
