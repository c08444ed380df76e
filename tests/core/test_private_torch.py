"""Private API of torch does what videxp wants of it."""

import torch
from torch.utils.data import DataLoader, TensorDataset

from videxp.core.private_torch import gate_step, running_iterator, workers_of


def test_workers_that_stay_are_found_and_can_be_ended():
    loader = DataLoader(
        TensorDataset(torch.tensor([1, 2])),
        batch_size=None,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    assert running_iterator(loader) is None
    iterator = iter(loader)
    assert [int(one) for (one,) in iterator] == [1, 2]
    assert running_iterator(loader) is iterator
    (worker,) = workers_of(iterator)
    assert worker.is_alive()
    del iterator, loader


def test_a_fused_step_is_taken_only_where_it_is_good():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=True)
    weight.grad = torch.ones(3)
    gate_step(optimizer, torch.tensor(False))
    optimizer.step()
    assert torch.equal(weight, torch.ones(3))
    gate_step(optimizer, torch.tensor(True))
    optimizer.step()
    assert (weight < 1).all()
