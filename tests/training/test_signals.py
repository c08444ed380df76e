"""SIGTERM, SIGUSR1, Ctrl-C: a checkpoint at the next step, the state, the exit status; twice: at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer

from tests import forked
from tests.conftest import clean_environment
from tests.training import killing
from tests.training.conftest import checkpoint, command, differences, metrics
from tests.training.killing import Kill

RARE = ["callbacks.checkpoint.every_n_epochs=5"]  # no checkpoint that would have come anyway


def state(run: Path) -> str:
    return json.loads((run / "status.json").read_text())["state"]


@pytest.fixture(scope="module")
def whole(workspace: Path) -> Path:
    """The run that nobody interrupts."""
    statuses, printed = killing.run(*command(*RARE, run="whole-signals"), cwd=workspace)
    assert statuses == [0], printed
    return workspace / "runs/whole-signals"


def interrupted(workspace: Path, kill: Kill, *overrides: str, run: str, status: int = 143) -> Path:
    statuses, printed = killing.run(*command(*RARE, *overrides, run=run), cwd=workspace, kill=kill)
    assert statuses == [status], printed
    assert f"videxp resume runs/{run} goes on" in printed
    assert "Traceback" not in printed
    assert state(workspace / f"runs/{run}") == "interrupted"
    return workspace / f"runs/{run}"


def goes_on_as(whole: Path, run: Path, workspace: Path) -> list[str]:
    statuses, printed = killing.run("resume", str(run), cwd=workspace)
    assert statuses == [0], printed
    return differences(checkpoint(whole), checkpoint(run)) + differences(metrics(whole), metrics(run))


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [("USR1", 143), ("INT", 130), ("group TERM", 143)])
def test_a_signal_in_training_leaves_a_checkpoint_of_the_step_from_which_the_run_goes_on_exactly(
    how: str, status: int, workspace: Path, whole: Path
):
    name = how.replace(" ", "-")
    workers = ["hardware.num_workers=2"] if how == "group TERM" else []
    run = interrupted(workspace, Kill("batch", nth=3, how=how), *workers, run=name, status=status)
    assert checkpoint(run)["seen"]["batches"] == 3
    assert goes_on_as(whole, run, workspace) == []


@pytest.mark.slow
def test_in_the_last_batch_or_in_validation_it_waits_for_the_end_of_a_short_validation(workspace: Path, whole: Path):
    for at, nth in (("batch", 5), ("validation", 2)):
        run = interrupted(workspace, Kill(at, nth=nth, how="TERM"), run=f"{at}-end")
        assert checkpoint(run)["seen"]["batches"] == 5
        assert goes_on_as(whole, run, workspace) == []


@pytest.mark.slow
def test_in_a_test_the_trained_weights_stay_and_a_resumed_run_tests(workspace: Path, whole: Path):
    run = interrupted(workspace, Kill("test", how="TERM"), "trainer.limit_test_batches=3", run="in-test")
    assert checkpoint(run)["seen"]["batches"] == 10
    assert not any("test/loss" in line for line in (run / "metrics.csv").read_text().splitlines())
    statuses, printed = killing.run("resume", str(run), cwd=workspace)
    assert statuses == [0], printed
    assert state(run) == "finished"


@pytest.mark.slow
def test_a_run_that_has_finished_stays_so_while_its_result_is_told(workspace: Path):
    kill = Kill("report", how="TERM")
    statuses, printed = killing.run(*command(*RARE, run="told"), cwd=workspace, kill=kill)
    assert statuses == [143], printed
    assert state(workspace / "runs/told") == "finished" and "goes on" not in printed


@pytest.mark.slow
def test_in_preparation_there_is_a_run_folder_to_go_on_in(workspace: Path):
    run = interrupted(workspace, Kill("preparation", how="INT"), run="early-signal", status=130)
    assert not (run / "checkpoints").exists()
    statuses, printed = killing.run("resume", str(run), cwd=workspace)
    assert statuses == [0], printed
    assert "begins anew: it has no checkpoint" in printed
    assert state(run) == "finished"


@pytest.mark.slow
def test_accumulated_gradients_are_used_first(workspace: Path):
    run = interrupted(
        workspace, Kill("batch", nth=3, how="TERM"), "trainer.accumulate_grad_batches=2", run="accumulated"
    )
    assert checkpoint(run)["seen"]["batches"] == 4


@pytest.mark.slow
def test_a_second_signal_ends_at_once(workspace: Path):
    hangs = Kill("batch", nth=3, how="TERM", again_seconds=0.8)
    statuses, printed = killing.run(
        *command(*RARE, "+callbacks.sleep._target_=tests.training.watching.Sleep", run="twice"),
        cwd=workspace,
        kill=hangs,
    )
    assert statuses == [143], printed
    assert "ended at once" in printed
    assert state(workspace / "runs/twice") == "interrupted"
    assert not (workspace / "runs/twice/checkpoints/last.ckpt").exists()


class Stock(LightningModule):
    """Is told to end in its fourth step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if batch_idx == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.net(batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def train_as_usual() -> None:
    batches = torch.utils.data.DataLoader(torch.ones(50, 1))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    Trainer(max_epochs=1, accelerator="cpu", default_root_dir=".", **quiet).fit(Stock(), batches)


@pytest.mark.slow
def test_stock_lightning_ends_with_success_and_without_a_checkpoint(tmp_path: Path):
    forked.call(train_as_usual, cwd=tmp_path, environment=clean_environment(tmp_path))
    assert not list(tmp_path.rglob("*.ckpt"))


PLAIN = """
import hashlib, sys, time
from videxp.training.processes.signals import Interrupted, Signals
try:
    with Signals(at_once=lambda: print("at once", flush=True)) as signals:
        if sys.argv[1] == "held":
            with signals.held():
                print("ready", flush=True)
                hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # native code, in which no handler runs
        print("ready", flush=True)
        time.sleep(60)
except Interrupted as error:
    print(error, flush=True)
    sys.exit(error.exit_status)
"""


def started(mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PLAIN, mode], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_outside_of_loops_a_signal_raises():
    for signum, status in ((signal.SIGTERM, 143), (signal.SIGUSR1, 143), (signal.SIGINT, 130)):
        process = started("open")
        process.send_signal(signum)
        assert process.communicate() == (f"{signum.name}\n", None)
        assert process.returncode == status


@pytest.mark.slow
def test_the_second_signal_needs_no_python_in_the_main_thread_but_twins_count_as_one():
    process = started("held")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)  # `timeout` sends two
    time.sleep(0.7)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("at once\n", None)
    assert process.returncode == 143
