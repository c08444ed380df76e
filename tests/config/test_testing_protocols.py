"""`dataset.protocol`: a name in the place of two numbers, which nothing can contradict."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.config.conftest import RECIPE
from videxp import config
from videxp.config.recipe_hash import read_recipe
from videxp.core.errors import BadRequest
from videxp.data import Clips
from videxp.data.loading.testing_protocols import PROTOCOLS, Views, views_in, views_of

KEYS = ("dataset.clips.test_clips", "dataset.test_transform.crops")


def views(*overrides: str, recipe: str = RECIPE) -> tuple[int, int]:
    flat = config.flat(config.compose(recipe, list(overrides)).cfg)
    assert "dataset.protocol" not in flat
    return flat[KEYS[0]], flat[KEYS[1]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [("4x3", (4, 3)), ("30-view", (10, 3)), ("null", (1, 1))],
)
def test_a_name_is_clips_x_crops_over_what_files_say(name: str, expected: tuple[int, int], folder: Path):
    assert views(f"dataset.protocol={name}") == expected


@pytest.mark.slow
def test_a_recipe_may_name_one_and_is_then_the_recipe_that_gives_the_numbers(write: Callable[[str, str], Path]):
    head = f"# @package _global_\n# Mine\ndefaults:\n  - {RECIPE}\ndataset:\n"
    write("experiments/named.yaml", head + "  protocol: 30-view\n")
    write("experiments/counted.yaml", head + "  clips: {test_clips: 10}\n  test_transform: {crops: 3}\n")
    assert views("dataset.protocol=4x3", recipe="counted") == (4, 3)  # who asks for a protocol gets it
    assert read_recipe("named").hash == read_recipe("counted").hash
    assert views("dataset.protocol=null", "dataset.clips.test_clips=2", recipe="named") == (2, 1)
    with pytest.raises(
        BadRequest, match=r"^dataset.protocol=30-view: .* dataset.clips.test_clips=2 .*keep one of them$"
    ):
        views("dataset.clips.test_clips=2", recipe="named")


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers", ["clips: {test_clips: 10}", "test_transform: {crops: 1}", "clips: {test_clips: '${dataset.num_frames}'}"]
)
def test_a_recipe_that_names_one_and_gives_numbers_is_refused(numbers: str, write: Callable[[str, str], Path]):
    """Which of them is meant? In its data set's file numbers are there to be replaced."""
    head = f"# @package _global_\n# Mine\ndefaults:\n  - {RECIPE}\ndataset:\n"
    write("experiments/both.yaml", f"{head}  protocol: 4x3\n  {numbers}\n")
    with pytest.raises(BadRequest, match=r"^dataset.protocol=4x3: stands for .*keep one of them$"):
        views(recipe="both")
    assert views("dataset.protocol=5x1", recipe="both") == (5, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset.protocol=10x4"], "dataset.protocol=10x4: unknown protocol; known: 1x1, 1x3, 2x3, 4x1, 4x3, 5x1, "),
        (
            ["dataset.protocol=10x3", "dataset.clips.test_clips=10"],
            "stands for dataset.clips.test_clips=10 dataset.test_transform.crops=3, and dataset.clips.test_clips=10 is",
        ),
        (["dataset.protocol=10x3", "dataset.clips.sampling=segments"], "dataset.protocol=1x3"),
    ],
    ids=str,
)
def test_what_is_no_protocol_or_contradicts_one_is_refused_in_a_line(words: list[str], said: str, call, folder: Path):
    status, _, error = call("check", RECIPE, *words)
    assert (status, len(error.strip().splitlines())) == (2, 1)
    assert said in error


def test_clips_without_labels_have_no_protocol(call, folder: Path):
    status, _, error = call("check", "super_resolution/sample_clips", "+dataset.protocol=10x3")
    assert status == 2 and "a protocol is for data sets with labels" in error


@pytest.mark.slow
def test_a_finished_run_is_asked_by_another_name(folder: Path):
    config.save_resolved(config.compose(RECIPE, ["dataset.clips.test_clips=7"]).cfg, "config.yaml")
    cfg, _ = config.load_for_evaluation("config.yaml", ["dataset.protocol=5x3"])
    assert (cfg.dataset.clips.test_clips, cfg.dataset.test_transform.crops) == (5, 3)
    assert views_in(cfg.dataset) == Views(5, 3) and views_in(config.load_resolved("config.yaml").dataset) == Views(7, 1)
    other = ["dataset=kinetics400", "dataset.root=.", "dataset.protocol=4x3"]
    with pytest.raises(
        BadRequest, match=r"annotations/train\.csv"
    ):  # what is missing there is no matter of the protocol
        config.load_for_evaluation("config.yaml", other)
    with pytest.raises(BadRequest, match=r"^dataset.protocol=5x3: .*keep one of them$"):
        config.load_for_evaluation("config.yaml", ["dataset.protocol=5x3", "dataset.test_transform.crops=1"])


def test_the_name_is_told_from_what_is_averaged():
    data = SimpleNamespace(clips=Clips(test_clips=10), test_transform=SimpleNamespace(crops=3))
    assert str(views_of(data)) == "10x3 (30-view): 10 clips x 3 crops of each video"
    assert views_in(config.compose("super_resolution/sample_clips", []).cfg.dataset) == Views(1, 1)  # has no crops
    assert str(Views(7, 1)) == "7x1: 7 clips x 1 crop of each video"
    assert all(name in ("30-view", f"{v.clips}x{v.crops}") for name, v in PROTOCOLS.items())
