"""Actions of given boxes from the command line: a run, its figures on every axis, and on two processes."""

import json
from pathlib import Path

import pytest

from tests.conftest import train, videxp
from tests.evaluation.all_axes import evaluate_on_all

RECIPE = "action_detection/moving_digits"
SMALL = ["logger=csv", "trainer.max_epochs=1", "dataset.layout.train_videos=16", "dataset.layout.test_videos=7",
         "dataset.layout.val_videos=4", "++model.width=4"]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("actions")
    train(*SMALL, cwd=here, recipe=RECIPE)
    return here


@pytest.mark.slow
def test_actions_have_figures_on_every_axis(place: Path) -> None:
    result = evaluate_on_all("run", cwd=place)
    assert result["protocol"] == "mAP at IoU 0.5, all-point; true boxes"
    assert result["metrics"].keys() >= {"test/frame_map_50", "test/video_map_50", "test/accuracy", "test/loss"}
    assert result["speed"]["scalars"]["speed/latency_ms"] > 0
    assert result["explanation"]["scalars"]


@pytest.mark.slow
def test_two_processes_count_each_film_once(place: Path) -> None:
    figures = []
    for words in ([], ["hardware=ddp_cpu"]):
        done = videxp("evaluate", "run", "--json", *words, cwd=place, WANDB_MODE="disabled")
        assert done.returncode == 0, done.stderr
        figures.append(json.loads(done.stdout)["metrics"])
    assert figures[0] == pytest.approx(figures[1], abs=1e-6) and 0 < figures[0]["test/frame_map_50"] < 1
