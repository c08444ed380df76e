"""videxp record over real runs of a recipe of one's own, in a folder of one's own."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import videxp
from tests.shrink import TINY
from tests.test_readme import SHRUNK, nested

pytestmark = pytest.mark.slow


def test_runs_of_two_seeds_become_a_record_that_notices_an_edited_recipe(tmp_path: Path):
    recipe = tmp_path / "experiments/classification/tiny.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(SHRUNK + nested(TINY))
    # Another seed, logger and number of threads are no other recipe.
    words = ["seed=1", "logger=csv", "hardware.num_threads=1", "hydra.run.dir=recorded/1"]
    done = videxp("train", "classification/tiny", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shutil.copytree(tmp_path / "recorded/1", tmp_path / "recorded/0")
    config = tmp_path / "recorded/0/config.yaml"
    config.write_text(config.read_text().replace("seed: 1\n", "seed: 0\n"))
    done = videxp("record", "recorded", "--allow-dirty", cwd=tmp_path)  # whoever tests videxp may be changing it
    assert done.returncode == 0, done.stderr
    assert "experiments/classification/tiny.json" in done.stdout
    record = json.loads((tmp_path / "experiments/classification/tiny.json").read_text())
    accuracy = record["metrics"]["test/accuracy"]
    assert list(accuracy["per_seed"]) == ["0", "1"]
    assert accuracy["mean"] == pytest.approx(sum(accuracy["per_seed"].values()) / 2, abs=1e-5)
    assert all(run["seconds"] > 0 and "CPU" in run["hardware"] for run in record["runs"])
    assert "| [classification/tiny]" in (tmp_path / "experiments/README.md").read_text()
    assert "classification/tiny" in (tmp_path / "recorded/0/card.md").read_text()
    assert videxp("record", "--check", cwd=tmp_path).returncode == 0

    recipe.write_text(recipe.read_text().replace("max_epochs: 2", "max_epochs: 3"))
    stale = videxp("record", "--check", cwd=tmp_path)
    assert stale.returncode == 1
    assert "experiments/classification/tiny.json" in stale.stdout
    refused = videxp("record", "recorded", "--allow-dirty", cwd=tmp_path)
    assert refused.returncode == 2
    assert "trainer.max_epochs=2 (recipe: 3)" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
