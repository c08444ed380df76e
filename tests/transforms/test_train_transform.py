import pytest
import torch
from torchvision.transforms import v2

from videxp.core.errors import BadRequest
from videxp.transforms import TrainTransform

FULL = {"size": 24, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}


def rows(batch: dict, order: list[int]) -> dict:
    return {key: value[order] for key, value in batch.items()}


def test_torchvision_depends_on_the_global_rng_and_on_the_place_in_the_batch(batch):
    """Negative control for the next two tests."""
    stock = v2.Compose([v2.RandomResizedCrop(24, antialias=True), v2.RandomHorizontalFlip()])
    torch.manual_seed(0)
    first = [stock(clip.permute(0, 3, 1, 2)) for clip in batch["clip"]]
    torch.manual_seed(0)
    second = [stock(clip.permute(0, 3, 1, 2)) for clip in batch["clip"].flip(0)][::-1]
    assert not torch.equal(torch.stack(first), torch.stack(second))


@pytest.mark.parametrize(("crop", "resize"), [("resized", 30), ("random", 30), ("random", [26, 40]), ("center", 30)])
def test_a_sample_gets_the_same_bits_whatever_else_is_in_the_batch(batch, crop, resize):
    transform = TrainTransform(**FULL, crop=crop, resize=resize, seed=1)
    together = transform(batch)["video"].clone()
    for order in ([3, 1, 0, 2], [2], [0, 3]):
        assert torch.equal(transform(rows(batch, order))["video"], together[order])


def test_the_global_generators_are_neither_read_nor_moved(batch):
    transform = TrainTransform(**FULL, mixup_alpha=0.2, cutmix_alpha=1.0, seed=1)
    torch.manual_seed(0)
    first = transform(batch)["video"].clone()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(transform(batch)["video"], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_epoch_index_and_seed_each_change_the_augmentation(batch):
    one = TrainTransform(**FULL, seed=1)
    first = one(batch)["video"].clone()
    assert not torch.equal(one({**batch, "epoch": batch["epoch"] + 1})["video"], first)
    assert not torch.equal(one({**batch, "index": batch["index"] + 1})["video"], first)
    assert not torch.equal(TrainTransform(**FULL, seed=2)(batch)["video"], first)


def test_all_frames_of_a_clip_get_the_same_change(batch):
    still = batch["clip"][:, :1].expand(-1, 3, -1, -1, -1)
    out = TrainTransform(**FULL, seed=1)({**batch, "clip": still})["video"]
    assert torch.equal(out[:, 0], out[:, 1]) and torch.equal(out[:, 0], out[:, 2])


def test_clips_of_one_item_get_changes_of_their_own(batch):
    twice = {**batch, "clip": batch["clip"].repeat_interleave(2, dim=0)}
    transform = TrainTransform(**FULL, seed=1)
    out = transform(twice)["video"]
    assert len(out) == 8
    assert not torch.equal(out[0], out[1])
    assert torch.equal(out[0], transform(batch)["video"][0])  # the first clip is as if it were alone


def test_output_memory_is_channels_last_and_input_is_left_alone(batch):
    before = batch["clip"].clone()
    new = TrainTransform(**FULL, mixup_alpha=0.2, seed=1)(batch)
    out = new["video"]
    assert out.shape == (4, 3, 3, 24, 24) and out.dtype == torch.float32
    assert out.transpose(1, 2).is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(batch["clip"], before) and set(batch) == {"clip", "label", "index", "epoch"}


def test_a_batch_that_is_still_in_use_is_not_overwritten(batch):
    transform = TrainTransform(**FULL, seed=1)
    first = transform(batch)["video"]
    kept = first.clone()
    transform({**batch, "epoch": batch["epoch"] + 1})
    assert torch.equal(first, kept)


def test_training_after_validation_in_inference_mode_can_go_backward(batch):
    transform = TrainTransform(**FULL, seed=1)
    with torch.inference_mode():
        transform(batch)
    layer = torch.nn.Conv3d(3, 2, 3)
    layer(transform(batch)["video"].transpose(1, 2)).sum().backward()
    assert layer.weight.grad is not None


def test_with_everything_off_pixels_are_only_normalized(batch):
    plain = {**batch, "clip": batch["clip"][:, :, :24, :24]}
    transform = TrainTransform(size=24, crop="center", flip=0.0, mean=(0, 0, 0), std=(1, 1, 1), seed=0)
    levels = (transform(plain)["video"] * 255).round().to(torch.uint8)
    assert torch.equal(levels.permute(0, 1, 3, 4, 2), plain["clip"])


def test_flip_happens_at_the_asked_rate(video):
    batch = {
        "clip": video[:1].expand(200, -1, -1, -1, -1),
        "index": torch.arange(200),
        "epoch": torch.zeros(200).long(),
    }
    shared = {"size": 48, "crop": "center", "seed": 0}
    plain, mirrored = (TrainTransform(**shared, flip=chance)(batch)["video"] for chance in (0.0, 1.0))
    half = TrainTransform(**shared, flip=0.5)(batch)["video"]
    assert torch.equal(mirrored, plain.flip(-1))
    is_flipped = (half == mirrored).flatten(1).all(dim=1)
    assert ((half == plain).flatten(1).all(dim=1) != is_flipped).all()
    assert 75 < is_flipped.sum() < 125


def test_turning_the_flip_off_moves_no_crop(batch):
    off, always = (TrainTransform(size=24, flip=chance, seed=0)(batch)["video"] for chance in (0.0, 1.0))
    assert torch.equal(always, off.flip(-1))


def test_mixing_adds_the_partners_label_and_the_own_share(batch):
    plain = TrainTransform(size=24, seed=0)(batch)["video"]
    new = TrainTransform(size=24, mixup_alpha=1.0, seed=0)(batch)
    assert new["mix_label"].tolist() == [3, 0, 1, 2] and new["label"].tolist() == [0, 1, 2, 3]
    share = new["mix_weight"].view(4, 1, 1, 1, 1)
    assert torch.allclose(new["video"], share * plain + (1 - share) * plain.roll(1, 0), atol=1e-5)
    assert new["mix_weight"].unique().numel() == 4  # each item draws its own


def test_without_mixing_no_keys_are_added_and_no_label_is_needed(batch):
    del batch["label"]
    assert set(TrainTransform(size=24, seed=0)(batch)) == {"video", "index", "epoch"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"resize": 20}, "resize=20 is smaller than size=24"),
        ({"resize": [40, 30], "crop": "random"}, r"resize=\[40, 30\] must be \[low, high\]"),
        ({"resize": [24, 30]}, r"resize=\[24, 30\] is for crop=random"),
        ({"scale": (0.5, 0.1)}, r"scale=\[0.5, 0.1\]"),
        ({"scale": (0.5, 1.5)}, r"scale=\[0.5, 1.5\]"),
        ({"ratio": (0.0, 1.0)}, r"ratio=\[0.0, 1.0\]"),
    ],
)
def test_impossible_settings_are_refused_with_their_value(wrong, words):
    with pytest.raises(BadRequest, match=words):
        TrainTransform(size=24, seed=0, **wrong)


def test_a_batch_of_another_kind_is_refused_with_its_shape(batch):
    with pytest.raises(ValueError, match=r"uint8.*torch.float32 \[4, 3, 48, 64, 3\]"):
        TrainTransform(size=24, seed=0)({**batch, "clip": batch["clip"].float()})
    with pytest.raises(ValueError, match=r"\[3, 3, 48, 64, 3\]"):
        TrainTransform(size=24, seed=0)({**batch, "clip": batch["clip"][:3]})
