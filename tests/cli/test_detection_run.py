"""From digits with boxes to a run, its figures, and what each axis says of it."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import train, videxp
from tests.evaluation.all_axes import evaluate_on_all
from videxp.tasks import Detection
from videxp.training.loggers.metrics_file import last_values, read_metrics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detection")
    train("logger=csv", "trainer.max_epochs=1", cwd=folder, recipe="detection/moving_digits")
    return folder


def test_a_run_has_the_figures_of_frames_tubes_and_tracks_and_a_row_for_each_video(place: Path):
    found = last_values(read_metrics(place / "run/metrics.csv"))
    assert {f"test/{name}" for name in Detection.contract.metrics} <= found.keys()
    assert {"train/objectness", "train/class", "train/box", "val/frame_map_50"} <= found.keys()
    done = videxp("evaluate", "run", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    with (place / "run/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["path"] for row in rows}) == len(rows) == 7
    classes = json.loads(done.stdout)["classes"]
    assert [row["class"] for row in classes] == ["right", "up", "left", "down"]
    assert sum(row["videos"] for row in classes) >= 2 * 7


def test_two_processes_have_the_figures_of_one(place: Path):
    figures = []
    for hardware in ("cpu", "ddp_cpu"):
        done = videxp("evaluate", "run", f"hardware={hardware}", "hardware.num_workers=0", "--json", cwd=place)
        assert done.returncode == 0, done.stderr
        figures.append(json.loads(done.stdout)["metrics"])
    assert figures[1] == pytest.approx(figures[0], abs=1e-6) and len(figures[0]) >= len(Detection.contract.metrics)


def test_boxes_have_figures_on_every_axis(place: Path):
    result = evaluate_on_all("run", cwd=place)
    assert result["robustness"]["metric"] == "frame_map_50" and result["robustness"]["scalars"]
    assert result["speed"]["gmacs"] > 0
    explained = result["explanation"]["explained"]
    assert explained and {"class", "probability", "box"} <= explained[0].keys()


def test_a_detector_of_single_frames_is_trained_on_the_same_clips(place: Path):
    words = ["logger=csv", "trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1"]
    run = train(*words, cwd=place, recipe="detection/moving_digits_per_frame", run="per_frame")
    assert "test/idf1" in last_values(read_metrics(run / "metrics.csv"))
