import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from videxp.transforms.color import color_matrices, jitter_normalize, normalize

MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
NONE, UNIT = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue_turns": 0.0, "order": np.arange(4)}


def jittered(clip: torch.Tensor, **factors) -> torch.Tensor:
    """float [T,C,H,W] in [0,1]."""
    out = torch.empty(clip.shape)
    jitter_normalize(clip, matrices=color_matrices(**(NEUTRAL | factors)), mean=NONE, std=UNIT, out=out)
    return out.permute(0, 3, 1, 2)


def unit_range(clip: torch.Tensor) -> torch.Tensor:
    return clip.permute(0, 3, 1, 2).double() / 255


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7])
@pytest.mark.parametrize("step", ["brightness", "contrast", "saturation"])
def test_each_step_equals_torchvision_in_float(video, step, factor):
    theirs = getattr(tv, f"adjust_{step}")(unit_range(video[0]), factor)
    assert (jittered(video[0], **{step: factor}) - theirs).abs().max() < 2e-6


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 1, 0, 3), (1, 2, 0, 3)])
def test_a_sequence_of_steps_equals_torchvision_where_nothing_is_clipped(video, order):
    clip = video[0] // 2 + 50
    factors = {"brightness": 0.9, "contrast": 0.7, "saturation": 1.2}
    theirs = unit_range(clip)
    for step in order[:]:
        name = ("brightness", "contrast", "saturation", "hue")[step]
        if name != "hue":
            theirs = getattr(tv, f"adjust_{name}")(theirs, factors[name])
    assert theirs.min() > 0 and theirs.max() < 1
    assert (jittered(clip, order=np.array(order), **factors) - theirs).abs().max() < 2e-6


def test_contrast_keeps_each_frames_own_mean_grey(video):
    clip = video[0].clone()
    clip[0] //= 4  # a dark frame among bright ones stays dark
    out = jittered(clip, contrast=0.0)
    grey = tv.rgb_to_grayscale(unit_range(clip)).mean(dim=(1, 2, 3))
    assert torch.allclose(out.mean(dim=(1, 2, 3)).double(), grey, atol=1e-5)
    assert grey[0] < 0.5 * grey[1]


def test_hue_turns_red_towards_green_and_keeps_grey():
    red, grey = torch.tensor([200, 40, 40]), torch.tensor([90, 90, 90])
    clip = torch.stack([red, grey]).to(torch.uint8).view(1, 1, 2, 3)
    out = jittered(clip, hue_turns=1 / 3)[0, :, 0]
    assert out[:, 0].argmax() == 1
    assert torch.allclose(out[:, 1], torch.full((3,), 90 / 255), atol=1e-3)
    back = jittered(clip, hue_turns=-1 / 3)[0, :, 0]
    assert back[:, 0].argmax() == 2


def test_neutral_factors_change_nothing_but_rounding(video):
    assert (jittered(video[0]) - unit_range(video[0])).abs().max() < 1e-6


@pytest.mark.parametrize("width", [64, 63, 62, 60])
def test_normalize_equals_torchvision_for_any_width(video, width):
    clip = video[0][:, :, :width]
    theirs = tv.normalize(unit_range(clip), MEAN, STD)
    out = torch.empty(clip.shape)
    normalize(clip, mean=MEAN, std=STD, out=out)
    assert (out.permute(0, 3, 1, 2) - theirs).abs().max() < 2e-6
    jitter_normalize(clip, matrices=color_matrices(**NEUTRAL), mean=MEAN, std=STD, out=out)
    assert (out.permute(0, 3, 1, 2) - theirs).abs().max() < 5e-6


def test_jitter_stays_between_black_and_white(video):
    out = torch.empty(video[0].shape)
    jitter_normalize(video[0], matrices=color_matrices(**NEUTRAL | {"brightness": 3.0}), mean=MEAN, std=STD, out=out)
    white = (1 - torch.tensor(MEAN)) / torch.tensor(STD)
    assert torch.allclose(out.amax(dim=(0, 1, 2)), white)
