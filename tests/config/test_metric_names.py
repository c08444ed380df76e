"""What a run logs is known before it begins."""

import csv
from pathlib import Path

import pytest

from tests.conftest import Run
from videxp.config.checking.metric_names import THROUGHPUT, logged_metrics
from videxp.runs.reading import AXES

NO_METRICS = ("learning_rate", "val/videos", "test/videos")


def logged(run: Path) -> set[str]:
    with (run / "metrics.csv").open() as file:
        names = next(csv.reader(file))
    return {name for name in names if name not in AXES and not name.startswith(NO_METRICS)}


@pytest.mark.slow
def test_all_that_runs_log_was_known(finished: tuple[Path, Run], restored: Path):
    of_classifier = logged_metrics({"_target_": "videxp.tasks.Classification"})
    assert of_classifier is not None
    assert logged(finished[0]) == set(of_classifier) - {"train/distillation"}
    of_restorer = logged_metrics({"_target_": "videxp.tasks.Restoration", "losses": {"charbonnier": {}}})
    assert of_restorer is not None
    assert logged(restored) | {"train/charbonnier"} == set(of_restorer) - {"train/distillation"}
    assert {f"throughput/{name}" for name in THROUGHPUT} <= logged(restored)


def test_names_follow_the_task_and_its_config():
    task = {"_target_": "videxp.tasks.Restoration", "losses": {"edge": {}}, "test_metrics": {"lpips": {}}}
    names = logged_metrics(task)
    assert names is not None
    assert {"train/edge", "test/lpips", "val/psnr"} <= names.keys() and "val/lpips" not in names
    gan = logged_metrics({"_target_": "videxp.tasks.Generation"})
    assert gan is not None
    assert "test/inception_score" in gan and "val/inception_score" not in gan and "train/r1" in gan
    assert logged_metrics({"_target_": "nobody.knows"}) is None
