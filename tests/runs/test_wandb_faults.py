"""W&B refuses, hangs, answers 500 or dies in mid-run: seconds, one line, no row lost, exit status 0."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.runs.conftest import command
from tests.runs.forking import Nursery
from tests.runs.wandb_server import serving
from videxp.runs.metrics_file import read_metrics
from videxp.runs.wandb_logger import unanswered

REFUSING = "http://127.0.0.1:9"


def trained(nursery: Nursery, ward: Path, url: str, *, run: str) -> tuple[str, float]:
    """What an online run printed, and its seconds."""
    since = time.monotonic()
    statuses, printed = nursery.run(
        *command("logger=wandb", run=run),
        cwd=ward,
        WANDB_BASE_URL=url,
        WANDB_API_KEY="x" * 40,
        WANDB_MODE="online",
    )
    assert statuses == [0], printed
    assert len([row for row in read_metrics(ward / f"runs/{run}/metrics.csv") if "train/loss" in row]) == 6
    return printed, time.monotonic() - since


@pytest.fixture(scope="module")
def healthy_seconds(nursery: Nursery, ward: Path) -> float:
    with serving() as server:
        printed, seconds = trained(nursery, ward, server.url, run="healthy")
        assert "W&B" not in printed and "wandb sync" not in printed
        assert len(server.history) == 1
    return seconds


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refuse", "hang", "500"])
def test_without_a_server_at_the_start_the_run_is_logged_offline(
    fault: str, nursery: Nursery, ward: Path, healthy_seconds: float
):
    with serving() as server:
        server.fault = "" if fault == "refuse" else fault
        url = REFUSING if fault == "refuse" else server.url
        printed, seconds = trained(nursery, ward, url, run=f"start-{fault}")
    assert seconds < healthy_seconds + 10
    assert [line for line in printed.splitlines() if line.startswith("videxp: ")] == [
        line for line in printed.splitlines() if "does not answer" in line and "logged offline" in line
    ]
    (offline,) = (ward / f"runs/start-{fault}/wandb").glob("offline-run-*")
    assert f"wandb sync runs/start-{fault}/wandb/{offline.name}" in printed


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hang", "drop"])
def test_a_server_that_dies_in_mid_run_holds_up_nothing_but_the_end(
    fault: str, nursery: Nursery, ward: Path, healthy_seconds: float
):
    with serving() as server:
        server.fault_when_streaming = fault
        printed, seconds = trained(nursery, ward, server.url, run=f"mid-{fault}")
    assert seconds < healthy_seconds + 15
    (folder,) = (ward / f"runs/mid-{fault}/wandb").glob("run-*")
    assert b"val/accuracy" in next(folder.glob("*.wandb")).read_bytes()
    said = [line for line in printed.splitlines() if line.startswith("videxp: ")]
    assert said == [f"videxp: W&B did not take everything in 8 s: wandb sync runs/mid-{fault}/wandb/{folder.name}"]


def test_a_question_to_the_server_takes_a_moment():
    assert "refused" in (unanswered(REFUSING) or "")
    with serving() as server:
        assert unanswered(server.url) is None
        server.fault = "500"
        assert unanswered(server.url) == "HTTP 500"


STOCK = """
import sys, wandb
wandb.init(project="p", settings=wandb.Settings(silent=True, console="off", init_timeout=2))  # 90 by default
print("trained")
"""


@pytest.mark.slow
def test_the_stock_client_ends_the_training_instead(tmp_path: Path):
    environment = {**clean_environment(tmp_path), "WANDB_BASE_URL": REFUSING, "WANDB_API_KEY": "x" * 40}
    done = subprocess.run(
        [sys.executable, "-c", STOCK], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "trained" not in done.stdout
