"""Networks that take a video in steps answer what they answer of the whole clip, and nothing of the video before."""

import torch

from videxp.models.layers.streaming import join_past, running_mean


def test_the_past_is_the_last_frames_before_even_where_a_step_has_fewer():
    past, frames = torch.zeros(1, 2, 3), torch.arange(12.0).reshape(1, 4, 3)
    both, past = join_past(past, frames[:, :1], dim=1)
    assert both[0, :, 0].tolist() == [0, 0, 0] and past[0, :, 0].tolist() == [0, 0]
    both, past = join_past(past, frames[:, 1:], dim=1)
    assert both[0, :, 0].tolist() == [0, 0, 3, 6, 9] and past[0, :, 0].tolist() == [6, 9]


def test_means_over_all_frames_so_far():
    x = torch.tensor([[[2.0], [4.0], [9.0]], [[1.0], [0.0], [2.0]]])
    first, total = running_mean(torch.zeros(2, 1), torch.zeros(2), x[:, :2])
    assert first[..., 0].tolist() == [[2, 3], [1, 0.5]] and total[:, 0].tolist() == [6, 1]
    last, total = running_mean(total, torch.full([2], 2.0), x[:, 2:])
    assert last[..., 0].tolist() == [[5], [1]] and total[:, 0].tolist() == [15, 3]
