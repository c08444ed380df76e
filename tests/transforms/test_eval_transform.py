import pytest
import torch
from torchvision.transforms import v2

from videxp.core.errors import BadRequest
from videxp.transforms import EvalTransform

MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


@pytest.mark.parametrize(("size", "resize"), [(24, 30), (24, None), (32, 48), (47, 48)])
def test_the_center_view_equals_torchvision(video, size, resize):
    stock = v2.Compose(
        [
            v2.Resize(resize or size, antialias=True),
            v2.CenterCrop(size),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    ours = EvalTransform(size=size, resize=resize)({"clip": video})["video"]
    theirs = torch.stack([stock(clip.permute(0, 3, 1, 2)) for clip in video])
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 5e-6


def test_three_views_of_a_clip_are_adjacent_left_center_right():
    column = torch.arange(8, dtype=torch.uint8).view(1, 1, 1, 8, 1).expand(2, 1, 4, 8, 3).clone()
    column[1] += 100
    out = EvalTransform(size=4, crops=3, mean=(0, 0, 0), std=(1, 1, 1))({"clip": column})["video"]
    first_row = (out[:, 0, 0, 0] * 255).round().int().tolist()
    assert first_row[:3] == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert first_row[3:] == [[100, 101, 102, 103], [102, 103, 104, 105], [104, 105, 106, 107]]


def test_other_keys_pass_through_and_the_input_is_left_alone(batch):
    before = batch["clip"].clone()
    new = EvalTransform(size=24)(batch)
    assert new["label"] is batch["label"] and new["index"] is batch["index"]
    assert torch.equal(batch["clip"], before)
    assert new["video"].transpose(1, 2).is_contiguous(memory_format=torch.channels_last_3d)


def test_a_clip_gets_the_same_bits_whatever_else_is_in_the_batch(video):
    transform = EvalTransform(size=24, resize=30)
    together = transform({"clip": video})["video"].clone()
    assert torch.equal(transform({"clip": video[2:3]})["video"], together[2:3])


def test_a_resize_below_the_size_is_refused():
    with pytest.raises(BadRequest, match="resize=20 is smaller than size=24"):
        EvalTransform(size=24, resize=20)
