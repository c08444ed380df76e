"""W&B refuses, hangs, answers 500 or dies in mid-run: seconds, one line, no row lost, exit status 0."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import clean_environment
from tests.training import killing
from tests.training.conftest import command
from tests.training.wandb_server import serving
from videxp.training.loggers.metrics_file import read_metrics
from videxp.training.loggers.wandb_logger import unanswered

REFUSING = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Trained:
    """What an online run printed, and how long its logger took at both ends."""

    printed: str
    seconds_to_begin: float
    """From the first file in the run's folder to that of W&B."""
    seconds_to_end: float
    """From the last row of metrics.csv to the end of the process."""


def trained(workspace: Path, url: str, *, run: str) -> Trained:
    folder = workspace / f"runs/{run}"
    statuses, printed = killing.run(
        *command("logger=wandb", run=run),
        cwd=workspace,
        WANDB_BASE_URL=url,
        WANDB_API_KEY="x" * 40,
        WANDB_MODE="online",
    )
    assert statuses == [0], printed
    assert len([row for row in read_metrics(folder / "metrics.csv") if "train/loss" in row]) == 6
    began = (folder / "wandb").stat().st_mtime - (folder / "overrides.yaml").stat().st_mtime
    return Trained(printed, began, time.time() - (folder / "metrics.csv").stat().st_mtime)


@pytest.fixture(scope="module")
def healthy(workspace: Path) -> Trained:
    with serving() as server:
        run = trained(workspace, server.url, run="healthy")
        assert "W&B" not in run.printed and "wandb sync" not in run.printed
        assert len(server.history) == 1
    return run


@pytest.mark.slow
def test_without_a_server_at_the_start_the_run_is_logged_offline(workspace: Path, healthy: Trained):
    """The client by itself tries for 90 s. Whether a server answers is one question: the next test but one asks it."""
    with serving() as server:
        server.fault = "hang"
        run = trained(workspace, server.url, run="start")
    assert run.seconds_to_begin < healthy.seconds_to_begin + 40
    assert [line for line in run.printed.splitlines() if line.startswith("videxp: ")] == [
        line for line in run.printed.splitlines() if "does not answer" in line and "logged offline" in line
    ]
    (offline,) = (workspace / "runs/start/wandb").glob("offline-run-*")
    assert f"wandb sync runs/start/wandb/{offline.name}" in run.printed


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hang", "drop"])
def test_a_server_that_dies_in_mid_run_holds_up_nothing_but_the_end(fault: str, workspace: Path, healthy: Trained):
    with serving() as server:
        server.fault_when_streaming = fault
        run = trained(workspace, server.url, run=f"mid-{fault}")
    assert run.seconds_to_end < healthy.seconds_to_end + 45
    (folder,) = (workspace / f"runs/mid-{fault}/wandb").glob("run-*")
    assert b"val/accuracy" in next(folder.glob("*.wandb")).read_bytes()
    said = [line for line in run.printed.splitlines() if line.startswith("videxp: ")]
    assert said == [f"videxp: W&B did not take everything in 8 s: wandb sync runs/mid-{fault}/wandb/{folder.name}"]


@pytest.mark.slow
def test_a_question_to_the_server_takes_a_moment():
    assert "refused" in (unanswered(REFUSING) or "")
    with serving() as server:
        assert unanswered(server.url) is None
        server.fault = "500"
        assert unanswered(server.url) == "HTTP 500"


def train_as_usual() -> None:
    import wandb

    # The timeout is 90 s by default.
    wandb.init(project="p", settings=wandb.Settings(silent=True, console="off", init_timeout=2))
    print("trained")


@pytest.mark.slow
def test_the_stock_client_ends_the_training_instead(tmp_path: Path):
    environment = {**clean_environment(tmp_path), "WANDB_BASE_URL": REFUSING, "WANDB_API_KEY": "x" * 40}
    with pytest.raises(AssertionError, match="CommError"):
        forked.call(train_as_usual, cwd=tmp_path, environment=environment)
