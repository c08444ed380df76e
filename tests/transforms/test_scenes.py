"""Shots changed and joined on the device."""

from typing import Any

import numpy as np
import pytest
import torch

from videxp.data.annotations.ragged import Ragged
from videxp.data.annotations.transitions import targets
from videxp.transforms import SceneEval, SceneTrain
from videxp.transforms.color_transfer import transfer_colors
from videxp.transforms.lab import rgb_to_lab
from videxp.video.joining import NO_WIPE, WIPES, cut_shares, linear_progress

T, H, W = 12, 6, 8


def batch_of(shares_2T: np.ndarray, *, wipe: int = NO_WIPE, between: tuple[int, int] = (5, 6)) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    clip, following = (torch.from_numpy(rng.integers(256, size=(1, T, H, W, 3), dtype=np.uint8)) for _ in range(2))
    rows = {
        "first": clip,
        "following": following,
        "shares": torch.from_numpy(shares_2T)[None],
        "wipe": torch.tensor([wipe]),
        "target": torch.from_numpy(targets([between], num_frames=T))[None],
    }
    return {"clip": clip, "next_shot": Ragged.of_one(rows), "index": torch.tensor([3]), "epoch": torch.tensor([2])}


def test_a_cut_is_one_shot_and_then_the_other():
    batch = batch_of(cut_shares(5, num_frames=T))
    out = SceneEval()(batch)
    expected = torch.cat([batch["clip"][0, :6], batch["next_shot"].rows["following"][0, 6:]]).movedim(-1, 1)
    assert torch.equal(out["video"][0], expected.float() / 255)
    assert out["target"][0, :, 0].tolist() == [0.0] * 5 + [1.0] + [0.0] * 6
    assert {*out} == {"video", "target", "index", "epoch"}


def test_a_dissolve_is_linear_in_exact_arithmetic():
    """Four frames in between: 4/5, 3/5, 2/5 and 1/5 of the first shot."""
    progress_T = linear_progress((3, 8), num_frames=T)
    batch = batch_of(np.stack([1 - progress_T, progress_T]), between=(3, 8))
    out = 255 * SceneEval()(batch)["video"][0].movedim(1, -1).numpy()
    first, following = (
        batch["clip"][0].numpy().astype(float),
        batch["next_shot"].rows["following"][0].numpy().astype(float),
    )
    for frame in range(T):
        fifths = min(max(frame - 3, 0), 5)
        mixed = ((5 - fifths) * first[frame] + fifths * following[frame]) / 5
        np.testing.assert_allclose(out[frame], mixed, atol=1e-4)
    assert SceneEval()(batch)["target"][0, :, 1].nonzero().flatten().tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("way", WIPES)
def test_a_wipe_covers_the_frame_from_one_side(way: str):
    progress_T = linear_progress((-1, T), num_frames=T)
    batch = batch_of(np.stack([1 - progress_T, progress_T]), wipe=WIPES.index(way))
    out = (255 * SceneEval()(batch)["video"][0].movedim(1, -1)).round()
    is_next = (out == batch["next_shot"].rows["following"][0].float()).all(-1)  # [T,H,W]
    assert (is_next | (out == batch["clip"][0].float()).all(-1)).all()
    covered = is_next.float().mean((1, 2))
    assert (covered.diff() >= 0).all()
    np.testing.assert_allclose(covered.numpy(), progress_T, atol=0.5 / min(H, W) + 0.05)
    corner = {"right": (..., 0), "left": (..., -1), "down": (slice(None), 0), "up": (slice(None), -1)}[way]
    opposite = {"right": (..., -1), "left": (..., 0), "down": (slice(None), -1), "up": (slice(None), 0)}[way]
    assert is_next[corner].float().mean() > is_next[opposite].float().mean()


def test_films_go_on_as_they_are():
    clip = torch.arange(2 * 3 * 4 * 3, dtype=torch.uint8).reshape(1, 2, 3, 4, 3)
    out = SceneEval()({"clip": clip, "index": torch.tensor([0]), "epoch": torch.tensor([0])})
    assert out["video"].dtype == torch.uint8 and torch.equal(out["video"][0], clip[0].movedim(-1, 1))


def test_augmentation_is_a_function_of_seed_epoch_and_index_and_differs_between_the_shots():
    batch = batch_of(cut_shares(5, num_frames=T))
    batch["next_shot"].rows["first"][:] = batch["next_shot"].rows["following"]
    train = SceneTrain(seed=1)
    once = 255 * train(batch)["video"]
    assert torch.equal(once, 255 * train(batch)["video"])
    assert not torch.equal(once, 255 * train({**batch, "epoch": torch.tensor([3])})["video"])
    plain = 255 * SceneEval()(batch)["video"]
    first, following = (once - plain)[0, :6].mean(), (once - plain)[0, 6:].mean()
    assert abs(first - following) > 0.5  # one brightness for each
    assert once.min() >= 0 and once.max() <= 255


def test_everything_off_changes_nothing():
    batch = batch_of(cut_shares(5, num_frames=T))
    names = ("flip", "flip_vertical", "brightness", "contrast", "saturation", "hue", "color", "equalize", "posterize")
    off = SceneTrain(**dict.fromkeys(names, 0.0), color_transfer=0.0)
    torch.testing.assert_close(off(batch)["video"], SceneEval()(batch)["video"], atol=1e-3, rtol=0)


def test_posterized_shots_have_the_bits_that_are_left():
    batch = batch_of(cut_shares(5, num_frames=T))
    out = SceneTrain(posterize=1.0, equalize=0.0, color_transfer=0.0)(batch)["video"]
    out = (255 * out).round()
    assert torch.equal(out / 255, SceneTrain(posterize=1.0, equalize=0.0, color_transfer=0.0)(batch)["video"])
    assert (out == out.round()).all() and (out % 4 == 0).all()


def test_colors_are_transferred_by_mean_and_deviation():
    rng = np.random.default_rng(0)
    one, other = (torch.from_numpy(rng.uniform(low, high, (2, 8, 8, 3))) for low, high in ((0.4, 0.6), (0.2, 0.5)))
    moved = rgb_to_lab(transfer_colors(one, like=other))
    wanted = rgb_to_lab(other)
    dims = (0, 1, 2)
    torch.testing.assert_close(moved.mean(dims), wanted.mean(dims), atol=0.05, rtol=0)
    torch.testing.assert_close(moved.std(dims), wanted.std(dims), atol=0.05, rtol=0)
