"""Which samples make up each batch: a pure function of (seed, epoch), whatever the number of ranks and workers.

A batch is a list of (epoch, index), so that a worker needs no state: the epoch travels with the index. Batch sizes are
totals over all ranks; of each batch, rank r takes the r-th contiguous share. Where shards are kept local to ranks, a
batch is a function of the number of ranks, too: that is the price of a rank that reads a part of the data only.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from videxp.core.errors import BadRequest
from videxp.core.randomness import Stream, generator

SHARDS_MIXED = 16
Batch = list[tuple[int, int]]  # (epoch, index in the split's samples)


def epoch_order(num_samples: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order of the samples in one epoch, int64 [num_samples]."""
    return generator(seed, stream=Stream.ORDER, epoch=epoch).permutation(num_samples)


def balanced_order(label_of: np.ndarray, *, num_samples: int, seed: int, epoch: int) -> np.ndarray:
    """An order in which each class comes equally often (or once more, for classes that are drawn), int64 [num_samples].

    Of a class that has fewer samples than that, all come before one comes again; of one that has more, others are left
    out in each epoch. A sample that comes again comes as another number, as with `dataset.clips.train_repeats`: sample
    i of n is i, then i + n, i + 2n, ...: other clips of it, other augmentation.

    label_of: int64 [n], the class of each sample. Classes without samples are passed over.
    """
    rng = generator(seed, stream=Stream.ORDER, epoch=epoch)
    classes = rng.permutation(np.unique(label_of))
    parts = []
    for place, label in enumerate(classes):
        members = np.flatnonzero(label_of == label)
        wanted = num_samples // len(classes) + (place < num_samples % len(classes))
        rounds = range(max(1, -(-wanted // len(members))))
        parts.append(np.concatenate([rng.permutation(members) + again * len(label_of) for again in rounds])[:wanted])
    return rng.permutation(np.concatenate(parts))


def local_order(shard_of: np.ndarray, *, seed: int, epoch: int, rank: int, world_size: int) -> np.ndarray:
    """The order of one rank's samples in an epoch, int64 [n]: those of every world_size-th shard, in every epoch the
    same shards. They are met shard by shard, in another order each epoch; samples are mixed among SHARDS_MIXED of them.

    shard_of: int64 [num_samples], the shard of each sample, numbered from 0.
    """
    rng = generator(seed, stream=Stream.ORDER, epoch=epoch)
    shards = np.arange(rank, int(shard_of.max(initial=-1)) + 1, world_size)
    place = np.full(int(shard_of.max(initial=-1)) + 1, -1)
    place[rng.permutation(shards)] = np.arange(len(shards)) // SHARDS_MIXED
    mine = np.flatnonzero(place[shard_of] >= 0)
    mine = rng.permutation(mine)
    return mine[np.argsort(place[shard_of[mine]], kind="stable")]


class EpochBatches(Sampler[Batch]):
    """Training: one epoch after another, each in its own order; the last, smaller batch of an epoch is dropped.

    `shard_of` [num_samples], the shard of each sample: keeps shards local to ranks, see `local_order`; as many batches
    as the rank with the fewest samples has.

    `label_of` [n], the class of each sample: each class comes equally often, see `balanced_order`.

    `position` says where the next iteration starts: (epoch, batches of it that were already consumed). By itself it
    moves on to the next epoch each time an iteration begins; a data module passes a function that asks its trainer.
    `len` is always that of a full epoch: Lightning adds the batches done before a resume by itself.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        position: Callable[[], tuple[int, int]] | None = None,
        shard_of: np.ndarray | None = None,
        label_of: np.ndarray | None = None,
    ) -> None:
        if num_samples < batch_size:
            raise BadRequest(
                f"dataset.batch_size={batch_size} is more than the {num_samples} training samples: make it smaller, "
                "or dataset.clips.train_repeats greater"
            )
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.share = share_of_batch(batch_size, world_size=world_size, key="batch_size")
        self.shard_of = shard_of
        self.label_of = label_of
        self.num_batches = num_samples // batch_size
        if shard_of is not None:
            self.num_batches = int(np.bincount(shard_of % world_size, minlength=world_size).min()) // self.share
            if not self.num_batches:
                raise BadRequest(
                    f"dataset.loading.shuffle=shards: {int(shard_of.max(initial=-1)) + 1} shards give one of "
                    f"{world_size} processes less than its {self.share} samples of a batch: "
                    "use dataset.loading.shuffle=null"
                )
        self.position = position or self._next_position
        self._next = (0, 0)

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Batch]:
        # A generator function, so that the position is read with the first batch: a DataLoader with workers asks for
        # two iterators and uses one.
        epoch, consumed = self.position()
        if self.shard_of is None:
            order, step, start = self._order(epoch), self.batch_size, self.rank * self.share
        else:
            ranks = {"rank": self.rank, "world_size": self.world_size}
            order, step, start = local_order(self.shard_of, seed=self.seed, epoch=epoch, **ranks), self.share, 0
        for batch in range(consumed, len(self)):
            first = start + batch * step
            yield [(epoch, int(index)) for index in order[first : first + self.share]]

    def _order(self, epoch: int) -> np.ndarray:
        if self.label_of is None:
            return epoch_order(self.num_samples, seed=self.seed, epoch=epoch)
        return balanced_order(self.label_of, num_samples=self.num_samples, seed=self.seed, epoch=epoch)

    def _next_position(self) -> tuple[int, int]:
        position, self._next = self._next, (self._next[0] + 1, 0)
        return position

    def state_dict(self) -> dict[str, int]:
        """Where the next iteration will start, if this sampler goes by itself."""
        return {"epoch": self._next[0], "consumed": self._next[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._next = normalized(state["epoch"], state["consumed"], batches=len(self))


class EvaluationBatches(Sampler[Batch]):
    """Evaluation: every sample exactly once over all ranks, in order. No padding: a rank may get fewer than another.

    limit: of the trainer, which stops there: so many batches (int) or this share of them (float). The first batches are
    then the `spread_part`, in order, and the rest follows. `label_of`: int64 [num_samples], as of `spread_part`.
    `len` is the same on all ranks, so that a share of it is, too; a rank may have nothing of the last batch.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        limit: float = 1.0,
        label_of: np.ndarray | None = None,
    ) -> None:
        batch_size = max(batch_size, world_size)
        self.num_batches = -(-num_samples // batch_size)
        self.part = spread_part(num_samples, batch_size * limited(self.num_batches, limit), label_of=label_of)
        """Samples that are met within the limit, int64 [n], sorted."""
        order = np.concatenate([self.part, np.setdiff1d(np.arange(num_samples), self.part)])
        self.shares: list[list[int]] = []
        for first in range(0, num_samples, batch_size):
            batch = order[first : first + batch_size]
            if len(share := np.array_split(batch, world_size)[rank]):
                self.shares.append(share.tolist())
        self.share = max(map(len, self.shares), default=0)

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Batch]:
        return iter([[(0, index) for index in share] for share in self.shares])


class ChosenBatches(Sampler[Batch]):
    """Batches of these samples of the first epoch, in their order."""

    def __init__(self, indices: Sequence[int], *, batch_size: int) -> None:
        self.indices = indices
        self.share = max(1, min(batch_size, len(indices)))

    def __len__(self) -> int:
        return len(range(0, len(self.indices), self.share))

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self.indices), self.share):
            yield [(0, index) for index in self.indices[first : first + self.share]]


def limited(batches: int, limit: float) -> int:
    """How many of the batches a trainer takes: `limit` of them (int), or this share (float), rounded down."""
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def spread_part(num_samples: int, count: int, *, label_of: np.ndarray | None = None) -> np.ndarray:
    """`count` of the samples (all, if there are no more), sorted, int64: each class has its share, give or take one,
    spread evenly over its samples. The first ones of a data set would be of few classes.

    label_of: int64 [num_samples], the class of each; None: all are of one.
    """
    if count >= num_samples:
        return np.arange(num_samples)
    by_class = np.arange(num_samples) if label_of is None else np.argsort(label_of, kind="stable")
    return np.sort(by_class[(2 * np.arange(count) + 1) * num_samples // (2 * count)])


def normalized(epoch: int, consumed: int, *, batches: int) -> tuple[int, int]:
    """An epoch of which all was consumed is the next one's beginning."""
    return (epoch + 1, 0) if consumed >= batches else (epoch, consumed)


def share_of_batch(batch_size: int, *, world_size: int, key: str) -> int:
    if batch_size % world_size:
        raise BadRequest(
            f"dataset.{key}={batch_size} is the total over all devices and cannot be shared by {world_size}: "
            f"make it a multiple of {world_size}"
        )
    return batch_size // world_size
