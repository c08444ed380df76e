"""Random erasing: torchvision's boxes, the same in all frames of a clip."""

import pytest
import torch
from torchvision.transforms import RandomErasing

from videxp.transforms import TrainTransform

PLAIN = {"size": 40, "crop": "center", "flip": 0.0, "seed": 0}


def white(count: int) -> dict:
    """White clips of two frames: what was erased is zero, the mean color."""
    return {
        "clip": torch.full((count, 2, 40, 40, 3), 255, dtype=torch.uint8),
        "index": torch.arange(count),
        "epoch": torch.zeros(count, dtype=torch.int64),
    }


def boxes(erased_NHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(areas, logarithms of width / height) of the erased boxes; each must be one full rectangle."""
    heights, widths = erased_NHW.any(2).sum(1), erased_NHW.any(1).sum(1)
    assert torch.equal(erased_NHW.flatten(1).sum(1), heights * widths)
    return heights * widths, (widths / heights).log()


def test_torchvisions_erases_each_frame_elsewhere():
    """Negative control: called on one frame after the other, as on pictures."""
    torch.manual_seed(0)
    stock = RandomErasing(p=1)
    first, second = (stock(torch.ones(3, 40, 40)) for _ in range(2))
    assert not torch.equal(first, second)


def test_a_box_is_erased_through_all_frames_and_nothing_else_changes():
    plain = TrainTransform(**PLAIN)(white(20))["video"].clone()
    out = TrainTransform(**PLAIN, random_erasing=1.0)(white(20))["video"]
    is_zero = out == 0
    assert torch.equal(is_zero[:, 0], is_zero[:, 1])
    assert torch.equal(is_zero[:, :, 0], is_zero[:, :, 2])
    assert torch.equal(out[~is_zero], plain[~is_zero])
    assert is_zero.flatten(1).any(1).all()


def test_boxes_are_as_large_and_as_long_as_torchvisions():
    count = 1500
    ours = boxes((TrainTransform(**PLAIN, random_erasing=1.0)(white(count))["video"] == 0)[:, 0, 0])
    torch.manual_seed(0)
    stock = RandomErasing(p=1)
    theirs = boxes(torch.stack([stock(torch.ones(1, 40, 40))[0] == 0 for _ in range(count)]))
    at = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    for one, other, scale in zip(ours, theirs, (1600.0, 1.0)):
        difference = one.float().quantile(at) - other.float().quantile(at)
        assert difference.abs().max() < 0.08 * scale


def test_it_happens_at_the_asked_rate_and_not_by_default():
    out = TrainTransform(**PLAIN, random_erasing=0.25)(white(400))["video"]
    assert 70 < (out == 0).flatten(1).any(1).sum() < 130
    assert not (TrainTransform(**PLAIN)(white(4))["video"] == 0).any()


@pytest.mark.parametrize("options", [{"random_erasing": 1.0}, {"rand_augment": {"num_ops": 2, "magnitude": 9}}])
def test_clips_that_workers_have_cut_get_the_same_bits(batch, options):
    transform = TrainTransform(size=24, seed=5, **options)
    whole = transform(batch)["video"].clone()
    views = [
        transform.views((48, 64), epoch=int(epoch), index=int(index), clips=1)
        for epoch, index in zip(batch["epoch"], batch["index"])
    ]
    cut = torch.stack([of_clip[0][0](clip) for of_clip, clip in zip(views, batch["clip"])])
    assert torch.equal(transform.finish({**batch, "clip": cut})["video"], whole)
