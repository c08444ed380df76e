import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from videxp.transforms.geometry import (
    BOX_DRAWS,
    TRIES,
    crop,
    crop_resize,
    flip,
    jittered_boxes,
    largest_box,
    random_boxes,
    resize_short_side,
    resized_crop_boxes,
    view_boxes,
)


def planar(clip: torch.Tensor) -> torch.Tensor:
    return clip.permute(0, 3, 1, 2)


@pytest.mark.parametrize("box", [(0, 0, 48, 64), (5, 7, 30, 41), (40, 60, 3, 4), (0, 8, 48, 48)])
@pytest.mark.parametrize("size", [16, 48])
def test_crop_resize_has_the_bits_of_torchvision(video, box, size):
    ours = crop_resize(video[0], box, size=size)
    theirs = tv.resized_crop(planar(video[0]), *box, size=[size, size], antialias=True)
    assert ours.shape == (3, size, size, 3) and ours.dtype == torch.uint8
    assert torch.equal(planar(ours), theirs)


def test_crop_resize_in_uint8_is_within_one_level_of_float_arithmetic(video):
    ours = crop_resize(video[0], (5, 7, 30, 41), size=24)
    exact = tv.resized_crop(planar(video[0]).double(), 5, 7, 30, 41, size=[24, 24], antialias=True)
    assert (planar(ours) - exact).abs().max() <= 1


@pytest.mark.parametrize("short", [20, 48, 70])
@pytest.mark.parametrize("turned", [False, True])
def test_resize_short_side_has_the_bits_of_torchvision(video, short, turned):
    clip = video[0].transpose(1, 2) if turned else video[0]
    assert torch.equal(planar(resize_short_side(clip, short)), tv.resize(planar(clip), [short], antialias=True))


def test_flip_mirrors_left_and_right(video):
    assert torch.equal(planar(flip(video[0])), tv.horizontal_flip(planar(video[0])))
    assert torch.equal(flip(flip(video[0])), video[0])


def box_by_the_book(u: np.ndarray, height: int, width: int, scale: tuple, ratio: tuple) -> tuple:
    """RandomResizedCrop.make_params of torchvision, word for word, with our uniform numbers in place of its draws."""
    for i in range(TRIES):
        area = height * width * (scale[0] + u[i] * (scale[1] - scale[0]))
        low, high = np.log(ratio)
        aspect = np.exp(low + u[TRIES + i] * (high - low))
        w, h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(u[-2] * (height - h + 1)), int(u[-1] * (width - w + 1)), h, w
    return largest_box(height=height, width=width, ratio=ratio)


@pytest.mark.parametrize(("scale", "ratio"), [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.9, 1.0), (1.0, 2.5))])
def test_boxes_follow_the_rule_of_torchvision(scale, ratio):
    uniform = np.random.default_rng(0).random((500, BOX_DRAWS))
    boxes = resized_crop_boxes(uniform, height=48, width=64, scale=scale, ratio=ratio)
    assert [tuple(box) for box in boxes.tolist()] == [box_by_the_book(u, 48, 64, scale, ratio) for u in uniform]


def test_boxes_lie_in_the_frame_and_have_the_asked_area_and_ratio():
    uniform = np.random.default_rng(1).random((2000, BOX_DRAWS))
    top, left, height, width = resized_crop_boxes(uniform, height=100, width=200, scale=(0.1, 0.5), ratio=(0.5, 2.0)).T
    assert (top >= 0).all() and (left >= 0).all() and (top + height <= 100).all() and (left + width <= 200).all()
    area = height * width / 20_000
    assert area.min() > 0.095 and area.max() < 0.51
    assert abs(area.mean() - 0.29) < 0.02  # a little below 0.3: large tall boxes do not fit
    assert (width / height).min() > 0.48 and (width / height).max() < 2.1


def test_when_no_box_fits_the_largest_centered_one_is_taken():
    uniform = np.random.default_rng(0).random((2, BOX_DRAWS))
    boxes = resized_crop_boxes(uniform, height=100, width=400, scale=(1.0, 1.0), ratio=(0.5, 2.0))
    assert boxes.tolist() == [[0, 100, 100, 200]] * 2
    assert largest_box(height=400, width=100, ratio=(0.5, 2.0)) == (100, 0, 200, 100)
    assert largest_box(height=10, width=10, ratio=(0.5, 2.0)) == (0, 0, 10, 10)


def test_random_boxes_reach_both_borders():
    uniform = np.array([[0.0, 0.0], [0.999, 0.999], [0.5, 0.5]])
    assert random_boxes(uniform, height=10, width=20, size=8).tolist() == [[0, 0, 8, 8], [2, 12, 8, 8], [1, 6, 8, 8]]
    assert random_boxes(uniform, height=8, width=8, size=8).tolist() == [[0, 0, 8, 8]] * 3


def test_jittered_boxes_are_squares_of_a_frame_whose_short_side_was_drawn_evenly():
    uniform = np.random.default_rng(0).random((4000, BOX_DRAWS))
    boxes = jittered_boxes(uniform, height=256, width=340, size=224, shorts=(256, 320))
    assert len(set(random_boxes(uniform[:, -2:], height=256, width=340, size=224)[:, 2])) == 1  # without: one size
    tops, lefts, heights, widths = boxes.T
    assert (heights == widths).all() and heights.min() == round(224 / 320 * 256) and heights.max() == 224
    assert tops.min() == lefts.min() == 0 and (tops + heights).max() == 256 and (lefts + widths).max() == 340
    shorts = 224 * 256 / heights  # near the numbers drawn
    assert abs(shorts.mean() - 288) < 1 and abs(np.median(shorts) - 288) < 2


def test_a_jittered_crop_is_that_of_the_clip_with_its_short_side_resized(video):
    uniform = np.zeros((1, BOX_DRAWS))
    uniform[:, 0], uniform[:, -2:] = 0.99, 0.5  # the largest short side, 64, in the middle
    (box,) = jittered_boxes(uniform, height=48, width=64, size=24, shorts=(30, 64)).tolist()
    (middle,) = view_boxes(height=64, width=85, size=24, crops=1)
    whole = crop(resize_short_side(video[0], 64), middle)
    cut = crop_resize(video[0], tuple(box), size=24)
    assert (cut.int() - whole.int()).abs().float().mean() < 3


def test_three_views_are_left_center_right_or_top_center_bottom():
    assert view_boxes(height=4, width=8, size=4, crops=1) == [(0, 2, 4, 4)]
    assert view_boxes(height=4, width=8, size=4, crops=3) == [(0, 0, 4, 4), (0, 2, 4, 4), (0, 4, 4, 4)]
    assert view_boxes(height=8, width=4, size=4, crops=3) == [(0, 0, 4, 4), (2, 0, 4, 4), (4, 0, 4, 4)]
    assert view_boxes(height=6, width=8, size=4, crops=3) == [(1, 0, 4, 4), (1, 2, 4, 4), (1, 4, 4, 4)]
