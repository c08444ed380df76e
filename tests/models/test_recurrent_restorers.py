"""What makes BasicVSR and its kin what they are, and that a small one learns."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.restorers import build_tiny, clip
from videxp.models.layers.restoration_blocks import pad_to_multiple, windows
from videxp.models.restoration.basicvsr import BasicVSR, propagate
from videxp.models.restoration.bicubic import bicubic


class Sum(nn.Module):
    """A trunk that adds its two channels: the frame's and the state's."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(dim=1, keepdim=True)


def impulse(row: int) -> Tensor:
    frame = torch.zeros(1, 1, 5, 1)
    frame[0, 0, row] = 1
    return frame


def test_a_state_travels_along_the_flow():
    down = torch.tensor([0.0, -1]).view(1, 2, 1, 1).expand(1, 2, 5, 1)  # what is here now was one row above
    states = propagate(Sum(), [impulse(0), torch.zeros(1, 1, 5, 1), impulse(0)], [down, down], width=1)
    assert [state.flatten().tolist() for state in states] == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 0, 1, 0, 0]]
    still = propagate(Sum(), [impulse(0), impulse(3)], [None], width=1)
    assert still[1].flatten().tolist() == [1, 0, 0, 1, 0]


def test_windows_mirror_at_the_ends():
    assert windows(4, 2) == [[2, 1, 0, 1, 2], [1, 0, 1, 2, 3], [0, 1, 2, 3, 2], [1, 2, 3, 2, 1]]
    assert windows(1, 2) == [[0] * 5]
    assert windows(2, 2) == [[0, 1, 0, 1, 0], [1, 0, 1, 0, 1]]


def test_padding_mirrors_the_edge_and_repeats_it_where_the_frame_is_too_small():
    row = torch.tensor([1.0, 2, 3, 4, 5]).view(1, 1, 1, 1, 5)
    assert pad_to_multiple(row.expand(1, 1, 1, 4, 5), 4)[0, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 4, 3, 2]
    assert pad_to_multiple(row[..., :1], 4).flatten().tolist() == [1] * 16


def stepping(step: float, **arguments: float) -> BasicVSR:
    """A cleaning stage that takes `step` away from each value above a half, and nothing from others."""
    net = build_tiny("realbasicvsr", **arguments)

    class Darken(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            return -step * (frames > 0.5).float()

    net.cleaner = Darken()
    return net


def test_cleaning_is_done_once_in_training_and_for_each_clip_until_little_changes_in_evaluation():
    video = torch.stack([torch.full((2, 3, 4, 4), value) for value in (0.9, 0.65, 0.1)])
    net = stepping(0.1, cleaning_threshold=5.0, max_cleanings=3)
    cleaned = [round(value, 3) for value in net.eval().clean(video)[:, 0, 0, 0, 0].tolist()]
    assert cleaned == [0.6, 0.45, 0.1]
    cleaned = [round(value, 3) for value in net.train().clean(video)[:, 0, 0, 0, 0].tolist()]
    assert cleaned == [0.8, 0.55, 0.1]
    indifferent = stepping(0.1, cleaning_threshold=30.0, max_cleanings=3)  # 0.1 is 25.5 of 255
    assert round(indifferent.eval().clean(video)[0, 0, 0, 0, 0].item(), 3) == 0.8


def test_the_cleaned_frames_can_be_had_for_their_loss():
    net, video = build_tiny("realbasicvsr").train(), clip(1, 2, 3, 8, 8)
    output, intermediates = net.forward_with_intermediates(video)
    assert torch.equal(output, net(video))
    cleaned = intermediates["cleaned"]
    assert cleaned.shape == video.shape and torch.equal(cleaned, net.clean(video)) and not torch.equal(cleaned, video)
    F.l1_loss(cleaned, torch.zeros_like(video)).backward()
    assert all(p.grad is not None for p in net.cleaner.parameters()) and net.fusion.weight.grad is None
    assert build_tiny("basicvsr").forward_with_intermediates(video)[1] == {}


def test_tdan_shows_the_window_as_it_was_aligned():
    net, video = build_tiny("tdan"), clip(2, 4, 3, 8, 9)
    output, intermediates = net.forward_with_intermediates(video)
    assert torch.equal(output, net(video))
    assert intermediates["aligned"].shape == (2, 4, 5, 3, 8, 9)
    assert torch.equal(intermediates["aligned"][:, :, 2], video)


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10((a - b).square().mean())


@pytest.mark.slow
def test_a_small_basicvsr_learns_one_clip_better_than_bicubic():
    torch.manual_seed(0)
    blobs = F.interpolate(torch.rand(1, 1, 8, 8), size=(56, 56), mode="bicubic").expand(1, 3, -1, -1)
    scene = 0.1 + 0.8 * (blobs > 0.5).float()  # sharp edges
    target = torch.stack([scene[..., i : i + 48, 2 * i : 2 * i + 48] for i in range(3)], dim=1)  # it moves
    video = F.interpolate(target[0], scale_factor=0.25, mode="bicubic", antialias=True)[None]
    net = build_tiny("basicvsr", channels=8)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        (net(video) - target).abs().mean().backward()
        optimizer.step()
    with torch.no_grad():
        assert psnr(net(video), target) > psnr(bicubic(video, 4), target) + 0.5
