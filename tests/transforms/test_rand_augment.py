"""RandAugment against torchvision's own: the same pictures for the same operation and magnitude, frame by frame."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandAugment
from torchvision.transforms.autoaugment import _apply_op

from videxp.core.errors import BadRequest
from videxp.transforms import TrainTransform
from videxp.transforms.rand_augment import NAMES, apply, draw_operations, operation

PLAIN = {"size": 24, "crop": "center", "flip": 0.0, "mean": (0, 0, 0), "std": (1, 1, 1)}
ROUNDED = ("Color", "Sharpness", "AutoContrast")  # where torchvision's own two versions round differently
TWO = {"num_ops": 2, "magnitude": 9}


def torchvisions(picture, name: str, *, magnitude: int, negative: bool, size: tuple[int, int]):
    """A frame, tensor or PIL picture, as torchvision's RandAugment changes it."""
    strengths, signed = RandAugment()._augmentation_space(31, size)[name]
    strength = float(strengths[magnitude]) if strengths.ndim else 0.0
    strength = -strength if negative and signed else strength
    return _apply_op(picture, name, strength, interpolation=InterpolationMode.NEAREST, fill=None)


def test_the_list_of_operations_is_torchvisions():
    assert list(NAMES) == list(RandAugment()._augmentation_space(31, (48, 64)))


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("magnitude", [0, 9, 10, 30])
@pytest.mark.parametrize("name", NAMES)
def test_each_operation_gives_what_torchvision_gives_of_each_frame(video, name, magnitude, negative):
    clip = video[1]
    step = operation(name, magnitude=magnitude, negative=negative, height=48, width=64)
    out = apply(clip, step)
    frames = [
        torchvisions(frame.permute(2, 0, 1), name, magnitude=magnitude, negative=negative, size=(48, 64))
        for frame in clip
    ]
    assert out.dtype == torch.uint8
    difference = (out.int() - torch.stack(frames).permute(0, 2, 3, 1).int()).abs().max()
    assert difference <= (1 if name in ROUNDED else 0)


@pytest.mark.parametrize("name", [name for name in NAMES if name[-1] not in "XY" and name != "Rotate"])
def test_values_are_those_of_pil_but_for_rounding(video, name):
    """On PIL pictures torchvision calls PIL, as the paper's authors did."""
    clip = video[1]
    out = apply(clip, operation(name, magnitude=9, height=48, width=64))
    frames = [
        torchvisions(Image.fromarray(frame.numpy()), name, magnitude=9, negative=False, size=(48, 64)) for frame in clip
    ]
    reference = torch.stack([torch.from_numpy(np.array(frame)) for frame in frames])
    inner = (slice(None), slice(1, -1), slice(1, -1))  # PIL's sharpness leaves the outermost pixels as they are
    assert (out.int() - reference.int())[inner].abs().max() <= 1
    if name != "Identity":
        assert not torch.equal(reference, clip)


def test_every_operation_is_drawn_equally_often_and_half_are_negative():
    uniform = np.random.default_rng(0).random((14_000, 2))
    drawn = draw_operations(uniform, magnitude=9, height=100, width=200)
    counts = [sum(step.name == name for step in drawn) for name in NAMES]
    assert min(counts) > 850 and max(counts) < 1150
    moves = [step.strength for step in drawn if step.name == "TranslateX"]
    assert {round(abs(move), 3) for move in moves} == {round(150 / 331 * 200 * 0.3, 3)}
    assert 0.4 < np.mean(np.array(moves) < 0) < 0.6


def test_a_clips_frames_change_alike_and_torchvisions_own_frame_by_frame_do_not(batch):
    still = {**batch, "clip": batch["clip"][:, :1, :24, :24].expand(-1, 3, -1, -1, -1)}
    torch.manual_seed(0)
    stock = [RandAugment()(frame.permute(2, 0, 1)) for frame in still["clip"][1]]
    assert not torch.equal(stock[0], stock[1])

    out = TrainTransform(**PLAIN, rand_augment=TWO, seed=1)(still)["video"]
    assert torch.equal(out[:, 0], out[:, 1]) and torch.equal(out[:, 0], out[:, 2])


def test_the_change_follows_from_seed_epoch_and_sample_alone(batch):
    transform = TrainTransform(**PLAIN, rand_augment=TWO, seed=1)
    first = transform(batch)["video"].clone()
    torch.manual_seed(7)
    alone = {key: value[[2]] for key, value in batch.items()}
    assert torch.equal(transform(alone)["video"][0], first[2])
    assert not torch.equal(transform({**batch, "epoch": batch["epoch"] + 1})["video"], first)
    twice = transform({**batch, "clip": batch["clip"].repeat_interleave(2, dim=0)})["video"]
    assert torch.equal(twice[0], first[0])
    assert any(not torch.equal(one, other) for one, other in zip(twice[::2], twice[1::2]))


def test_it_moves_no_crop_and_no_flip(batch):
    """Magnitude 0 changes no pixel, whatever is drawn, but for autocontrast, equalize and sharpness's rounding."""
    shared = {"size": 24, "mean": (0, 0, 0), "std": (1, 1, 1), "seed": 3}
    off = TrainTransform(**shared)(batch)["video"].clone()
    on = TrainTransform(**shared, rand_augment={"num_ops": 1, "magnitude": 0})(batch)["video"]
    same = [torch.equal(one, other) for one, other in zip(on, off)]
    assert sum(same) >= 3


@pytest.mark.parametrize(
    "wrong", [{**TWO, "num_ops": 0}, {**TWO, "magnitude": 31}, {**TWO, "magnitudes": 9}, {"num_ops": 2}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(BadRequest, match=f"rand_augment=.*{next(iter(wrong))}"):
        TrainTransform(**PLAIN, rand_augment=wrong, seed=0)
