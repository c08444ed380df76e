"""Recipes are found where people keep them; what comes out is resolved, repeatable and leaves no global state."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.conftest import RECIPE
from tests.conftest import videxp
from tests.shrink import PAPERS, RECIPES
from videxp import config
from videxp.config.places import own_folder
from videxp.core.errors import BadRequest

Write = Callable[[str, str], Path]
MINE = "# @package _global_\n# Mine\ndefaults:\n  - classification/moving_digits\n\nseed: 7\n"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe not in PAPERS])  # test_paper_recipes.py
def test_every_recipe_is_without_problems(recipe: str, folder):
    composed = config.compose(recipe, [])
    lacking = ("hardware.accelerator", "dataset.root", "model.weights")  # what a user has
    assert [problem for problem in config.check(composed) if problem.key not in lacking] == []


@pytest.mark.slow
def test_a_frozen_network_without_weights_is_not_evaluated_in_silence(folder):
    composed = config.compose("scenes/transnetv2_public", ["model.weights=null"])
    assert [str(problem) for problem in config.check(composed) if problem.key == "task.frozen"] == [
        "task.frozen=true: the network would be evaluated as it begins; model.weights=FILE"
    ]


@pytest.mark.slow
def test_the_run_folder_is_hydras(folder):
    assert config.compose(RECIPE, ["hydra.run.dir=here"]).run_dir == "here"
    assert config.compose(RECIPE, []).run_dir.startswith(f"runs/{RECIPE}/")
    first, second = (config.compose(RECIPE, []).run_dir[-6:] for _ in range(2))
    assert first == second  # the process's own id


def test_a_recipe_in_the_current_folder_is_found_and_may_build_on_another(write: Write):
    write("experiments/mine.yaml", MINE)
    assert config.compose("mine", []).cfg.seed == 7
    assert "mine" in [choice.name for choice in config.recipes()]


@pytest.mark.slow
def test_a_recipe_may_be_any_yaml_file(write: Write, tmp_path: Path):
    path = write("elsewhere/deep/mine.yaml", MINE)
    for name in ("elsewhere/deep/mine.yaml", str(path)):
        composed = config.compose(name, [])
        assert (composed.recipe, composed.cfg.seed) == ("mine", 7)
    with pytest.raises(BadRequest, match="mine: unknown recipe"):
        config.compose("mine", [])


@pytest.mark.slow
def test_a_choice_in_the_current_folder_comes_first(write: Write):
    write("conf/optimizer/adamw.yaml", "# Mine\n_target_: torch.optim.AdamW\n_partial_: true\nlr: 0.5\n")
    assert "weight_decay" in config.plain(config.compose(RECIPE, ["optimizer=sgd"]).cfg)["optimizer"]
    assert "weight_decay" not in config.compose(RECIPE, []).cfg.optimizer
    assert {c.name: c.comment for c in config.group_options("optimizer")}["adamw"] == "Mine"


def test_interpolations_are_resolved_but_for_the_environment(folder, monkeypatch):
    cfg = config.compose(RECIPE, ["run.notes=${seed}"]).cfg
    raw = config.plain(cfg)
    assert raw["run"]["notes"] == 0
    assert raw["hardware"]["cache_dir"].startswith("${oc.env:VIDEXP_CACHE")
    assert cfg.dataset.preparing.cache_dir == str(folder / "cache")


def test_overrides_of_a_saved_config_are_checked(folder):
    config.save_resolved(config.compose(RECIPE, []).cfg, folder / "config.yaml")
    cfg = config.load_resolved(folder / "config.yaml", overrides=["optimizer.lr=0.25", "+optimizer.eps=1e-6"])
    assert (cfg.optimizer.lr, cfg.optimizer.eps) == (0.25, 1e-6)
    with pytest.raises(BadRequest) as refused:
        config.load_resolved(folder / "config.yaml", overrides=["optimizer.lrr=1", "model=x", "seed="])
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["seed=", "model=x", "optimizer.lrr=1"]


def test_a_data_set_can_be_composed_without_a_recipe(folder):
    cfg = config.compose_dataset("moving_digits", ["dataset.layout.fps=24"])
    assert (cfg.dataset.name, cfg.dataset.layout.fps) == ("moving_digits", 24)
    with pytest.raises(BadRequest, match=r"dataset\.layout\.fps=-1: out of range; must be > 0"):
        config.compose_dataset("moving_digits", ["dataset.layout.fps=-1"])
    with pytest.raises(BadRequest, match="did you mean moving_digits"):
        config.compose_dataset("moving_digit", [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "expected"), [(["--cfg", "job"], "lr: 0.25"), (["--info", "searchpath"], "recipes://")]
)
def test_hydras_flags_are_hydras(flags: list[str], expected: str, folder, capfd, listing):
    assert config.run_hydra_flag(RECIPE, ["optimizer.lr=0.25", *flags]) == 0
    assert expected in capfd.readouterr().out
    assert listing(folder) == set()
    assert config.compose(RECIPE, []).cfg.seed == 0  # and Hydra can be used again


@pytest.mark.slow
def test_check_says_what_would_be_run_and_writes_nothing(folder, call, listing):
    status, out, err = call("check", RECIPE, "hardware=ddp_cpu")
    assert (status, err) == (0, "") and "no problem found" in out and "ddp_cpu" in out
    assert json.loads(call("check", RECIPE, "--json")[1])["problems"] == []
    status, out, _ = call("check", RECIPE, "seed=", "--json")
    assert status == 2 and json.loads(out)["problems"][0].startswith("seed=: no value")
    assert listing(folder) == set()


@pytest.mark.slow
def test_check_with_a_batch_prints_shapes(folder, call):
    from tests.shrink import TINY

    tiny = [override for override in TINY if not override.startswith("trainer")]
    status, out, err = call("check", RECIPE, *tiny, "--batch")
    assert status == 0, err
    assert re.search(r"float32 \[8,4,3,(\d+),\1\] from uint8 \[8,4,\d+,\d+,3\]", out)
    assert "float32 [8,10]" in out


def test_list_prints_every_choice_with_its_comment(folder, call):
    _, out, _ = call("list", "recipes")
    assert "classification/moving_digits " in out
    for kind in (
        "recipes",
        "datasets",
        "models",
        "optimizers",
        "schedulers",
        "hardware",
        "tasks",
        "loggers",
        "callbacks",
    ):
        rows = json.loads(call("list", kind, "--json")[1])[kind]
        assert rows and all(row["comment"] for row in rows), kind
    contracts = {row["name"]: row["contract"] for row in json.loads(call("list", "tasks", "--json")[1])["tasks"]}
    assert contracts["restoration"]["needs"] == ["target"] and contracts["multi_label"]["metrics"]["mAP"] == "max"
    status, _, err = call("list", "modles")
    assert status == 2 and "did you mean models" in err


@pytest.mark.slow
def test_a_command_from_elsewhere_finds_the_recipes(tmp_path: Path):
    assert videxp("check", RECIPE, cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_file_that_takes_the_place_of_videxps_own_is_told(call, write: Write):
    """An old copy in the current folder would lack keys that the documents tell of."""
    text = (own_folder("conf") / "dataset/_base.yaml").read_text()
    write("conf/dataset/mine.yaml", "# Mine\n")
    write("conf/dataset/_base.yaml", text.replace("protocol: null", "# no protocol"))
    status, _, error = call("check", RECIPE, "dataset.protocol=4x3")
    assert status == 2 and "conf/dataset/_base.yaml: takes the place of videxp's own file of that name" in error
    _, printed, _ = call("check", RECIPE)
    assert "own files  conf/dataset/_base.yaml\n" in printed
