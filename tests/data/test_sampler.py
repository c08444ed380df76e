from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, RandomSampler, WeightedRandomSampler

from videxp.core.errors import BadRequest
from videxp.data.loading.sampler import (
    SHARDS_MIXED,
    EpochBatches,
    EvaluationBatches,
    balanced_order,
    epoch_order,
    limited,
    local_order,
    spread_part,
)


def epoch(sampler: EpochBatches) -> list[list[tuple[int, int]]]:
    return list(sampler)


def test_stock_sampler_moves_with_the_global_generator_and_ours_does_not() -> None:
    def stock() -> list[list[int]]:
        return list(BatchSampler(RandomSampler(range(20)), 4, drop_last=True))

    torch.manual_seed(0)
    first = stock()
    torch.manual_seed(0)
    torch.rand(1)  # anything else that draws
    assert stock() != first

    before = torch.get_rng_state()
    ours = epoch(EpochBatches(20, batch_size=4, seed=0))
    torch.rand(1)
    assert epoch(EpochBatches(20, batch_size=4, seed=0)) == ours
    assert torch.equal(torch.get_rng_state()[:8], before[:8])


def test_each_epoch_is_another_permutation_and_carries_its_number() -> None:
    sampler = EpochBatches(10, batch_size=5, seed=0)
    first, second = epoch(sampler), epoch(sampler)
    assert {e for batch in first for e, _ in batch} == {0}
    assert {e for batch in second for e, _ in batch} == {1}
    assert sorted(i for batch in first for _, i in batch) == list(range(10))
    assert [i for batch in first for _, i in batch] != [i for batch in second for _, i in batch]
    assert epoch(EpochBatches(10, batch_size=5, seed=1)) != first


def test_the_last_smaller_batch_is_dropped() -> None:
    assert [len(batch) for batch in EpochBatches(11, batch_size=4, seed=0)] == [4, 4]
    assert len(EpochBatches(11, batch_size=4, seed=0)) == 2


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_number_of_ranks_trains_on_the_same_batches(world_size: int) -> None:
    alone = epoch(EpochBatches(25, batch_size=6, seed=3))
    ranks = [epoch(EpochBatches(25, batch_size=6, seed=3, rank=r, world_size=world_size)) for r in range(world_size)]
    together = [[sample for share in shares for sample in share] for shares in zip(*ranks)]
    assert together == alone


def test_a_batch_that_ranks_cannot_share_is_refused() -> None:
    with pytest.raises(BadRequest, match="batch_size=8 is the total over all devices and cannot be shared by 3"):
        EpochBatches(25, batch_size=8, seed=0, world_size=3)
    with pytest.raises(BadRequest, match="batch_size=32 is more than the 25 training samples"):
        EpochBatches(25, batch_size=32, seed=0)


@pytest.mark.parametrize("consumed", [0, 1, 3, 4])
def test_resumed_in_the_middle_of_an_epoch_goes_on_with_the_rest(consumed: int) -> None:
    whole = EpochBatches(18, batch_size=4, seed=0)
    first, second, third = epoch(whole), epoch(whole), epoch(whole)
    resumed = EpochBatches(18, batch_size=4, seed=0)
    resumed.load_state_dict({"epoch": 1, "consumed": consumed})
    rest = second[consumed:] if consumed < 4 else third
    assert epoch(resumed) == rest
    assert len(resumed) == len(first) == 4  # of a full epoch


def test_the_position_is_asked_for_each_time_an_iteration_begins() -> None:
    position = (2, 1)
    sampler = EpochBatches(18, batch_size=4, seed=0, position=lambda: position)
    assert [batch[0][0] for batch in sampler] == [2, 2, 2]
    position = (3, 0)
    assert [batch[0][0] for batch in sampler] == [3, 3, 3, 3]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("num_samples", [1, 5, 12, 25])
def test_evaluation_sees_each_sample_once_over_all_ranks(num_samples: int, world_size: int) -> None:
    """torch's DistributedSampler pads: 5 samples on 2 ranks become 6."""
    stock = [
        i
        for rank in range(2)
        for i in torch.utils.data.DistributedSampler(range(5), num_replicas=2, rank=rank, shuffle=False)
    ]
    assert len(stock) == 6

    ranks = [EvaluationBatches(num_samples, batch_size=12, rank=r, world_size=world_size) for r in range(world_size)]
    seen = [index for rank in ranks for batch in rank for _, index in batch]
    assert sorted(seen) == list(range(num_samples))
    sizes = [sum(len(batch) for batch in rank) for rank in ranks]
    assert max(sizes) - min(sizes) <= len(range(0, num_samples, 12))
    assert all(batch for rank in ranks for batch in rank)  # none empty


def test_evaluation_is_in_order_on_one_device() -> None:
    assert list(EvaluationBatches(5, batch_size=2)) == [[(0, 0), (0, 1)], [(0, 2), (0, 3)], [(0, 4)]]
    assert np.all([e == 0 for batch in EvaluationBatches(5, batch_size=2) for e, _ in batch])


SORTED = np.repeat([0, 1, 2, 3], [40, 20, 10, 10])  # classes of 80 samples, one after another


def within_limit(world_size: int, **options: Any) -> list[int]:
    """What a trainer that stops at the limit evaluates on all ranks together, in their order."""
    ranks = [
        EvaluationBatches(80, rank=r, world_size=world_size, label_of=SORTED, **options) for r in range(world_size)
    ]
    (batches,) = {limited(len(rank), options["limit"]) for rank in ranks}
    assert {index for rank in ranks for batch in rank for _, index in batch} == set(range(80))
    return [index for rank in ranks for batch in list(rank)[:batches] for _, index in batch]


@pytest.mark.parametrize(("limit", "count"), [(2, 16), (0.25, 16), (3, 24), (0.19, 8), (1, 8), (0.1, 8)])
def test_a_part_has_its_share_of_each_class_and_is_the_same_for_any_number_of_ranks(limit: float, count: int) -> None:
    first = SORTED[:count]
    assert set(first) == {0}  # negative control: the stock way evaluates one class
    part = within_limit(1, batch_size=8, limit=limit)
    assert part == sorted(part) and len(set(part)) == count
    shares = np.bincount(SORTED[part], minlength=4)
    assert np.abs(shares - count * np.array([40, 20, 10, 10]) / 80).max() < 1
    assert np.diff([index for index in part if index < 40]).max() <= -(-80 // count)  # nor one end of a class
    for world_size in (2, 3, 4):
        assert sorted(within_limit(world_size, batch_size=8, limit=limit)) == part


def test_a_part_of_a_data_set_that_is_mixed_and_the_whole_of_one() -> None:
    mixed = np.arange(80) % 4
    assert np.bincount(mixed[spread_part(80, 20, label_of=mixed)]).tolist() == [5, 5, 5, 5]
    assert set(mixed[spread_part(80, 20)]) == {2}  # negative control: every fourth one
    assert spread_part(80, 20, label_of=None).tolist() == list(range(2, 80, 4))
    assert spread_part(5, 9).tolist() == [0, 1, 2, 3, 4] and spread_part(5, 0).tolist() == []
    whole = within_limit(1, batch_size=8, limit=1.0)
    assert whole == list(range(80)) == within_limit(1, batch_size=8, limit=99)


def test_local_shards_stay_with_their_rank_in_every_epoch_and_come_a_few_at_a_time() -> None:
    shard_of = np.repeat(np.arange(80), 5)
    for rank in range(2):
        orders = [local_order(shard_of, seed=0, epoch=epoch, rank=rank, world_size=2) for epoch in range(2)]
        for order in orders:
            assert set(shard_of[order] % 2) == {rank}
            assert sorted(order) == sorted(np.flatnonzero(shard_of % 2 == rank))
            first = set(shard_of[order[: 5 * SHARDS_MIXED]])
            assert len(first) == SHARDS_MIXED and first.isdisjoint(shard_of[order[5 * SHARDS_MIXED :]])
        assert not np.array_equal(*orders)
    # All samples mixed, a rank meets every shard in a tenth of an epoch.
    assert len(set(shard_of[epoch_order(400, seed=0, epoch=0)[:200]])) > 70


def test_ranks_with_local_shards_get_as_many_batches_as_each_other_and_go_on_where_they_were() -> None:
    shard_of = np.repeat([0, 1, 2], [10, 30, 7])
    both = [
        EpochBatches(47, batch_size=8, seed=0, rank=rank, world_size=2, shard_of=shard_of, position=lambda: (3, 1))
        for rank in range(2)
    ]
    assert [len(batches) for batches in both] == [4, 4]
    assert all(len(list(batches)) == 3 for batches in both)
    seen = [index for batches in both for batch in batches for _, index in batch]
    assert len(set(seen)) == len(seen) == 2 * 3 * 4
    with pytest.raises(BadRequest, match="1 shards give one of 2 processes less than its 4 samples"):
        EpochBatches(47, batch_size=8, seed=0, rank=0, world_size=2, shard_of=np.zeros(47, np.int64))


RARE = np.repeat([0, 1, 2], [70, 24, 6])  # classes of 100 samples


def counts(order: np.ndarray) -> list[int]:
    return np.bincount(RARE[order % 100], minlength=3).tolist()


def test_balanced_classes_come_equally_often_where_stock_orders_follow_the_data_or_chance() -> None:
    assert counts(epoch_order(100, seed=0, epoch=0)) == [70, 24, 6]
    weights = (1 / np.bincount(RARE))[RARE]
    torch.manual_seed(0)
    drawn = np.array(list(WeightedRandomSampler(weights.tolist(), 100)))
    assert sorted(counts(drawn)) != [33, 33, 34]
    assert len(set(drawn[RARE[drawn] == 1])) < 24  # some come thrice before others have come once

    orders = [balanced_order(RARE, num_samples=100, seed=0, epoch=epoch) for epoch in range(30)]
    assert all(sorted(counts(order)) == [33, 33, 34] for order in orders)
    assert {counts(order).index(34) for order in orders} == {0, 1, 2}  # which one is once more is drawn
    for order in orders:
        assert set(order[RARE[order % 100] == 1] % 100) == set(range(70, 94))
        assert len(set(order)) == 100  # what comes again is another number, so another clip
    assert set(np.concatenate(orders) % 100) == set(range(100))


def test_a_balanced_order_follows_from_seed_and_epoch_and_mixes_the_classes() -> None:
    first = balanced_order(RARE, num_samples=100, seed=0, epoch=0)
    assert np.array_equal(first, balanced_order(RARE, num_samples=100, seed=0, epoch=0))
    assert not np.array_equal(first, balanced_order(RARE, num_samples=100, seed=0, epoch=1))
    assert not np.array_equal(first, balanced_order(RARE, num_samples=100, seed=1, epoch=0))
    assert min(counts(first[:50])) > 8
    assert counts(balanced_order(RARE, num_samples=300, seed=0, epoch=0)) == [100, 100, 100]
    assert len(balanced_order(np.arange(5), num_samples=3, seed=0, epoch=0)) == 3


def test_balanced_batches_are_shared_by_ranks_and_go_on_where_they_were() -> None:
    whole = EpochBatches(100, batch_size=8, seed=0, label_of=RARE)
    alone, second = epoch(whole), epoch(whole)
    ranks = [epoch(EpochBatches(100, batch_size=8, seed=0, rank=r, world_size=2, label_of=RARE)) for r in range(2)]
    assert [[sample for share in shares for sample in share] for shares in zip(*ranks)] == alone
    resumed = EpochBatches(100, batch_size=8, seed=0, label_of=RARE)
    resumed.load_state_dict({"epoch": 1, "consumed": 5})
    assert epoch(resumed) == second[5:]
