"""The hash of a recipe: the same whoever runs it where, another as soon as a value of the recipe is another."""

import subprocess
import sys
from pathlib import Path

import pytest

from videxp import config
from videxp.config.recipe_hash import RUN_PARTS, belongs, keys_of_a_run, read_recipe
from videxp.core.errors import BadRequest

RECIPE = """# @package _global_
# Tiny
defaults:
  - classification/moving_digits
optimizer:
  lr: 0.001
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """experiments/mine/tiny.yaml in the current folder."""
    path = tmp_path / "experiments/mine/tiny.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return path


OF_A_RUN = [
    *("seed=7", "hardware=ddp_cpu", "hardware.num_workers=0", "hardware.cache_dir=/tmp/x"),
    *("logger=csv", "run.group=x", "dataset.root=/elsewhere"),
]
OF_THE_RECIPE = ["optimizer.lr=0.002", "dataset.layout.seed=1", "model=cnn2d_small"]


@pytest.mark.slow
def test_only_seed_hardware_logger_run_and_places_are_no_part_of_a_recipe(recipe: Path):
    as_it_stands = read_recipe("mine/tiny")
    same = config.compose("mine/tiny", OF_A_RUN)
    assert config.config_hash(same.cfg) != config.config_hash(config.compose("mine/tiny", []).cfg)  # the plain hash
    assert as_it_stands.differences(config.flat(same.cfg)) == []
    other = config.compose("mine/tiny", OF_THE_RECIPE)
    assert as_it_stands.differences(config.flat(other.cfg)) == [
        "dataset.layout.seed=1 (recipe: 0)",
        'model._target_="videxp.models.classification.small.FrameCNN" '
        '(recipe: "videxp.models.classification.small.SmallCNN3D")',
        "optimizer.lr=0.002 (recipe: 0.001)",
    ]


@pytest.mark.slow
def test_an_edited_recipe_has_another_hash_and_a_comment_changes_nothing(recipe: Path):
    before = read_recipe("mine/tiny").hash
    recipe.write_text(RECIPE.replace("# Tiny", "# Tiny, explained better"))
    assert read_recipe("mine/tiny").hash == before
    recipe.write_text(RECIPE.replace("0.001", "0.002"))
    assert read_recipe("mine/tiny").hash != before
    recipe.unlink()
    with pytest.raises(BadRequest, match="unknown recipe"):
        read_recipe("mine/tiny")


def test_what_belongs_to_a_run_follows_references_of_every_kind():
    texts = {
        "a.seed": "${seed}",
        "a.b.seed": "${a.seed}",
        "a.c.seed": "${..seed}",
        "a.d": "${.seed}",
        "a.name": "x-${hardware.devices}-y",
        "a.root": "${oc.env:SOMEWHERE,data}/${.label}",
        "a.size": "${model.size}",
    }
    assert keys_of_a_run(texts) - RUN_PARTS == set(texts) - {"a.size"}
    assert belongs("hardware.devices", frozenset({"hardware"}))
    assert not belongs("hardware_notes", frozenset({"hardware"}))


@pytest.mark.slow
def test_the_hash_is_computed_without_torch(recipe: Path):
    code = "from videxp.config import read_recipe as r; r('mine/tiny').hash; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
