"""experiments/*.json are of the recipes as they stand, and the table is of the records."""

import json
from pathlib import Path

import pytest

from videxp.cli import main
from videxp.cli.commands.record import stale_records
from videxp.config import read_recipe
from videxp.runs.record import read_records, table, with_table

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.mark.slow
def test_every_recipe_that_has_a_record_still_is_what_was_recorded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    assert stale_records(EXPERIMENTS) == []


def test_the_table_in_the_readme_is_that_of_the_records():
    records = read_records(EXPERIMENTS)
    readme = EXPERIMENTS / "README.md"
    assert readme.exists() == bool(records)
    if records:
        assert with_table(readme.read_text(), table(records)) == readme.read_text()


@pytest.mark.slow
def test_a_recipe_that_was_edited_after_its_record_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = tmp_path / "experiments/mine/tiny.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("# @package _global_\n# Tiny\ndefaults:\n  - classification/moving_digits\n")
    monkeypatch.chdir(tmp_path)
    record = recipe.with_suffix(".json")
    record.write_text(json.dumps({"recipe_hash": read_recipe("mine/tiny").hash}))
    assert stale_records(tmp_path / "experiments") == []
    recipe.write_text(recipe.read_text() + "optimizer:\n  lr: 0.5\n")
    (line,) = stale_records(tmp_path / "experiments")
    assert line.startswith("experiments/mine/tiny.json: recorded for")
    recipe.unlink()
    (line,) = stale_records(tmp_path / "experiments")
    assert "unknown recipe" in line


@pytest.mark.slow
def test_ones_own_recipe_makes_no_shipped_record_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    recipe = tmp_path / "experiments/classification/moving_digits.yaml"  # moving_digits_2d inherits from it
    recipe.parent.mkdir(parents=True)
    recipe.write_text((EXPERIMENTS / "classification/moving_digits.yaml").read_text() + "\nseed: 5\n")
    recipe.write_text(recipe.read_text().replace("lr: ", "lr: 1"))
    monkeypatch.chdir(tmp_path)
    assert stale_records(EXPERIMENTS)  # as composed here
    assert main(["record", "--check"]) == 0, capsys.readouterr().out
