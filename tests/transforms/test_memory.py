import copy
import pickle

import torch

from videxp.transforms.memory import Blocks

CPU = torch.device("cpu")


def test_memory_is_given_again_once_nothing_refers_to_it():
    blocks = Blocks()
    address = blocks.take((2, 3), device=CPU).data_ptr()
    assert blocks.take((3, 2), device=CPU).data_ptr() == address
    assert address % 64 == 0


def test_a_view_a_numpy_array_or_the_autograd_graph_keep_memory_from_being_given_again():
    blocks = Blocks()
    weight = torch.ones(6, requires_grad=True)
    first = blocks.take((6,), device=CPU).fill_(1)
    address, view = first.data_ptr(), first[2:].view(2, 2)
    del first
    second = blocks.take((6,), device=CPU).fill_(2)
    assert second.data_ptr() != address
    loss = (second * weight).sum()  # the graph saves `second`
    array = blocks.take((6,), device=CPU).fill_(3).numpy()
    del second
    fourth = blocks.take((6,), device=CPU).fill_(4)
    loss.backward()
    assert view.tolist() == [[1, 1], [1, 1]]
    assert array.tolist() == [3] * 6
    assert fourth.tolist() == [4] * 6
    assert weight.grad.tolist() == [2] * 6


def test_copies_share_no_memory():
    blocks = Blocks()
    address = blocks.take((4,), device=CPU).data_ptr()
    for other in (copy.deepcopy(blocks), pickle.loads(pickle.dumps(blocks))):
        assert other.take((4,), device=CPU).data_ptr() != address
