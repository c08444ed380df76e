import numpy as np
import pytest
import torch

from videxp.core.randomness import Stream, generator
from videxp.transforms.mixing import Mix, cutmix_box, draw_mix, mix_


def levels(*values: float, clips_per_item: int = 1) -> torch.Tensor:
    """[N,1,4,4,1], each clip of one level."""
    return torch.tensor(values).view(-1, 1, 1, 1, 1).expand(-1, 1, 4, 4, 1).contiguous()


def test_mixup_blends_each_item_with_the_one_before_it():
    mixed = mix_(levels(0.0, 10.0, 20.0), [Mix(0.75, None), Mix(0.5, None), Mix(0.1, None)])
    assert mixed[:, 0, 0, 0, 0].tolist() == pytest.approx([5.0, 5.0, 11.0])  # .75*0+.25*20, .5*10+.5*0, .1*20+.9*10


def test_mixup_equals_torchvisions_formula():
    video = torch.rand(4, 2, 8, 8, 3)
    share = 0.3
    theirs = video.roll(1, 0).mul(1 - share).add(video.mul(share))
    assert torch.allclose(mix_(video.clone(), [Mix(share, None)] * 4), theirs, atol=1e-6)


def test_cutmix_takes_the_box_from_the_partner_in_every_frame():
    video = torch.arange(3.0).view(3, 1, 1, 1, 1).expand(3, 2, 4, 4, 1).contiguous()
    mixed = mix_(video, [Mix(0.75, (1, 2, 2, 2))] * 3)
    inside = mixed[:, :, 1:3, 2:4]
    assert inside.flatten(1).unique(dim=1).flatten().tolist() == [2.0, 0.0, 1.0]
    assert mixed.sum(dim=(2, 3, 4)).tolist() == [[8.0, 8.0], [12.0, 12.0], [28.0, 28.0]]  # own 12 pixels, partner 4


def test_clips_of_an_item_are_mixed_with_the_same_clip_of_the_partner():
    mixed = mix_(levels(0.0, 1.0, 10.0, 11.0), [Mix(0.5, None)] * 2, clips_per_item=2)
    assert mixed[:, 0, 0, 0, 0].tolist() == [5.0, 6.0, 5.0, 6.0]


def test_cutmix_box_by_eye():
    assert cutmix_box(0.75, center_y=4, center_x=4, height=8, width=8) == (2, 2, 4, 4)
    assert cutmix_box(0.75, center_y=0, center_x=8, height=8, width=8) == (0, 6, 2, 2)  # cut at the corner
    assert cutmix_box(1.0, center_y=4, center_x=4, height=8, width=8) == (4, 4, 0, 0)


def test_the_share_of_cutmix_is_the_area_that_is_left():
    for index in range(50):
        rng = generator(0, stream=Stream.MIX, index=index)
        mix = draw_mix(rng, mixup_alpha=0.0, cutmix_alpha=1.0, height=16, width=24)
        own = mix_(torch.stack([torch.ones(1, 16, 24, 1), torch.zeros(1, 16, 24, 1)]), [mix, Mix(1.0, None)])[0]
        assert own.mean().item() == pytest.approx(mix.own_share)


def test_with_both_on_each_item_takes_one_with_equal_chance():
    mixes = [
        draw_mix(generator(0, stream=Stream.MIX, index=i), mixup_alpha=0.8, cutmix_alpha=1.0, height=8, width=8)
        for i in range(400)
    ]
    assert np.mean([mix.box is None for mix in mixes]) == pytest.approx(0.5, abs=0.08)
    assert all(0 <= mix.own_share <= 1 for mix in mixes)
