"""Two gloo processes on the CPU: one run, each test sample counted once, the same batches as with one process."""

import csv
import json
from pathlib import Path

import pytest
import torch

from tests.conftest import train, videxp
from videxp.training.loggers.metrics_file import last_values, read_metrics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ddp_run(workplace: Path) -> Path:
    return train("hardware=ddp_cpu", "hardware.num_workers=0", cwd=workplace, run="runs/ddp")


def test_two_processes_make_one_run_folder_and_one_wandb_run(ddp_run: Path):
    assert json.loads((ddp_run / "status.json").read_text())["state"] == "finished"
    assert json.loads((ddp_run / "provenance.json").read_text())["world_size"] == 2
    assert len(list(ddp_run.rglob("*.wandb"))) == 1


def test_the_test_metric_is_the_count_over_all_samples_exactly_once(ddp_run: Path, workplace: Path):
    done = videxp("evaluate", str(ddp_run), "hardware=cpu", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with (ddp_run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["path"] for row in rows}) == 31
    by_hand = sum(row["label"] == row["predicted"] for row in rows) / 31
    reported = last_values(read_metrics(ddp_run / "metrics.csv"))["test/accuracy"]
    assert reported == pytest.approx(by_hand, abs=1e-6)


def test_steps_and_clips_are_those_of_one_process(ddp_run: Path):
    rows = read_metrics(ddp_run / "metrics.csv")
    assert [row["step"] for row in rows if "train/loss" in row] == [2, 4, 5, 7, 9, 10]
    assert all(row["clips_seen"] == 8 * row["step"] for row in rows)
    shares = [row["throughput/data_wait_share"] for row in rows if "train/loss" in row]
    assert all(0 < share < 1 for share in shares)


def test_dropout_drops_something_else_on_each_rank(ddp_run: Path):
    """Stock: one seed for all, and the i-th clip of every rank loses the same."""
    saved = torch.load(ddp_run / "checkpoints/last.ckpt", weights_only=True)
    first, second = (state["RandomState"]["torch"] for state in saved["ranks"])
    assert not torch.equal(first, second)


def test_without_batch_statistics_two_processes_learn_what_one_learns(workplace: Path):
    overrides = ["logger=csv", "trainer.max_epochs=1", "optimizer=sgd", "optimizer.lr=0.01"]
    norm_free = ["model=convlstm", "+model.states=[8]", "+model.kernel=3"]
    one = train(*overrides, *norm_free, cwd=workplace, run="runs/one")
    two = train(*overrides, *norm_free, "hardware=ddp_cpu", "hardware.num_workers=0", cwd=workplace, run="runs/two")
    a, b = (torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in (one, two))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-6)
