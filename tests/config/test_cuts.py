"""What training and evaluation see of each frame goes together, whatever size is chosen."""

from typing import Any

import pytest

from videxp import config
from videxp.config.checking.cuts import check_cuts

pytestmark = pytest.mark.slow  # together
RECIPE = "classification/moving_digits"


def dataset(*overrides: str) -> dict[str, Any]:
    return config.plain(config.compose(RECIPE, list(overrides)).cfg)["dataset"]


@pytest.mark.parametrize("name", ["folder_per_class", "frame_folders", "manifest", "video_lists", "ucf101", "hmdb51"])
def test_the_short_side_follows_the_size_as_in_the_published_recipes(name: str):
    wanted = {32: 37, 112: 128, 224: 256} if name == "folder_per_class" else {224: 256}
    sides = {size: dataset(f"dataset={name}", f"dataset.size={size}") for size in wanted}
    assert {size: one["eval_transform"]["resize"] for size, one in sides.items()} == wanted
    assert all(one["test_transform"]["resize"] == one["eval_transform"]["resize"] for one in sides.values())
    assert not any(list(check_cuts(one)) for one in sides.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["dataset.size=32", "dataset.eval_transform.resize=128"],
            "the middle 32x32 out of frames of short side 128: 6 % of a square frame, where training sees up to 100 %",
        ),
        (["dataset.size=64", "dataset.eval_transform.resize=32"], "smaller than the square of 64 cut from them"),
        (["dataset.train_transform.crop=random", "dataset.train_transform.resize=100"], "than the square of 112"),
        (["dataset.train_transform.crop=center", "dataset.train_transform.resize=448"], "up to 6 %"),
        (["dataset.size=64", "dataset.test_transform.size=160"], "than the square of 160 cut from them"),
    ],
)
def test_sizes_that_do_not_go_together_are_one_problem_whose_remedy_works(words: list[str], said: str):
    (problem,) = check_cuts(dataset("dataset=folder_per_class", *words))
    assert said in problem.message
    key, _, value = problem.message.rpartition("; ")[2].partition("=")
    kept = [word for word in words if not word.startswith(f"{key}=")]
    assert not list(check_cuts(dataset("dataset=folder_per_class", *kept, f"{key}={value}")))
