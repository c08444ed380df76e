"""metrics.csv is the record of a run: rows are on disk at once, and new columns lose no old row."""

import shlex
import subprocess
from pathlib import Path

import pytest

from videxp.core.errors import BadRequest
from videxp.training.loggers.metrics_file import MetricsFile, keep_rows, last_values, read_metrics


def test_rows_are_on_disk_when_log_metrics_returns(tmp_path: Path):
    file = MetricsFile(tmp_path / "metrics.csv")
    file.log_metrics({"epoch": 0, "clips_seen": 32, "train/loss": 2.0}, step=1)
    assert (tmp_path / "metrics.csv").read_text() == "step,epoch,clips_seen,train/loss\n1,0,32,2.0\n"


def test_a_new_metric_adds_a_column_and_keeps_earlier_rows(tmp_path: Path):
    file = MetricsFile(tmp_path / "metrics.csv")
    file.log_metrics({"epoch": 0, "clips_seen": 32, "train/loss": 2.0}, step=1)
    file.log_metrics({"epoch": 0, "clips_seen": 32, "val/accuracy": 0.5}, step=1)
    assert read_metrics(tmp_path / "metrics.csv") == [
        {"step": 1, "epoch": 0, "clips_seen": 32, "train/loss": 2.0},
        {"step": 1, "epoch": 0, "clips_seen": 32, "val/accuracy": 0.5},
    ]


def test_a_second_process_goes_on_with_the_columns_of_the_first(tmp_path: Path):
    MetricsFile(tmp_path / "metrics.csv").log_metrics({"epoch": 0, "clips_seen": 8, "val/accuracy": 0.5}, step=1)
    MetricsFile(tmp_path / "metrics.csv").log_metrics({"epoch": 1, "clips_seen": 16, "train/loss": 1.0}, step=2)
    rows = read_metrics(tmp_path / "metrics.csv")
    assert last_values(rows) == {"val/accuracy": 0.5, "train/loss": 1.0}
    assert last_values(rows, prefix="val/") == {"val/accuracy": 0.5}


def test_rows_after_a_checkpoint_are_cut_off_with_the_columns_that_they_brought(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    file.log_metrics({"epoch": 0, "clips_seen": 8, "train/loss": 2.0}, step=1)
    content = path.read_bytes()
    assert file.rows == 1
    file.log_metrics({"epoch": 0, "clips_seen": 16, "train/loss": 1.0}, step=2)
    file.log_metrics({"epoch": 0, "clips_seen": 16, "val/accuracy": 0.5}, step=2)
    with path.open("a") as half:
        half.write("3,0,")  # a kill
    keep_rows(path, 1)
    assert path.read_bytes() == content
    assert MetricsFile(path).rows == 1
    keep_rows(path, 0)
    assert read_metrics(path) == []


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 60, bytes(range(128, 255)), b"step,epoch,clips_seen,train/loss\n1,0,8,2.0\n2,"]
)
def test_rows_that_are_lost_before_a_checkpoint_are_told(damage: bytes, tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(damage)
    with pytest.raises(
        BadRequest, match=f"{path}: damaged: [01] of the 2 rows before the checkpoint are left"
    ) as error:
        keep_rows(path, 2)
    assert path.read_bytes() == damage
    subprocess.run(shlex.split(str(error.value).rpartition("without them: ")[2]), check=True)
    keep_rows(path, 2)
    assert MetricsFile(path).rows == 0
    path.write_bytes(damage)
    keep_rows(path, 0)  # nothing of it is wanted
    assert MetricsFile(path).rows == 0
