"""A rank that dies or hangs ends the run soon, is named, and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.strategies.launchers import subprocess_script

from tests import forked
from tests.conftest import clean_environment
from tests.training import killing
from tests.training.conftest import checkpoint, command, differences, metrics
from tests.training.killing import Kill
from tests.training.test_signals import RARE, state
from videxp.training.processes.signals import Interrupted, Signals
from videxp.training.processes.supervision import RanksFailed, Supervisor

DDP = ["hardware=ddp_cpu", "hardware.num_workers=1"]
TIMEOUT = "hardware.timeout_seconds=5"


def processes_in(folder: Path) -> list[int]:
    """Processes whose working folder it is: ranks, data workers, whoever they started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder and "zombie" not in (entry / "status").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def seconds_since_fault(workspace: Path) -> float:
    return time.monotonic() - float((workspace / "fault.txt").read_text())


def gone(folder: Path) -> bool:
    """Within 30 s: a rank that nobody ends waits for 300."""
    deadline = time.monotonic() + 30
    while processes_in(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "how", "says"),
    [
        (1, "raise", "rank 1: RuntimeError: boom"),
        (0, "KILL", "rank 0 was ended by SIGKILL; out of memory?"),
    ],
)
def test_a_rank_that_dies_is_named_and_takes_all_others_with_it(rank: int, how: str, says: str, workspace: Path):
    run = workspace / f"runs/dies-{rank}-{how}"
    statuses, printed = killing.run(
        *command(*DDP, run=run.name),
        cwd=workspace,
        kill=Kill("batch", nth=3, rank=rank, how=how),
        supervised=True,
        VIDEXP_TRACEBACK="0",
    )
    assert statuses == [1], printed
    assert printed.count("videxp:") == 1 and f"videxp: {says}\n" in printed
    assert seconds_since_fault(workspace) < 60
    assert gone(workspace)
    assert state(run) == "failed"
    assert says in json.loads((run / "status.json").read_text())["cause"]
    if how == "raise":
        assert 'raise RuntimeError("boom")' in (run / "log.txt").read_text()


@pytest.mark.slow
def test_a_rank_that_hangs_is_named_with_its_stack(workspace: Path):
    run = workspace / "runs/hangs"
    statuses, printed = killing.run(
        *command(*DDP, TIMEOUT, run=run.name),
        cwd=workspace,
        kill=Kill("batch", nth=3, rank=0, how="hang"),
        supervised=True,
        VIDEXP_TRACEBACK="0",
    )
    assert statuses == [1], printed
    assert "videxp: rank 0 hung: the others waited 5 s (hardware.timeout_seconds)\n" in printed
    assert 'tests/training/killing.py", line' in printed  # where it was
    assert seconds_since_fault(workspace) < 60
    assert gone(workspace)
    assert state(run) == "failed"
    log = (run / "log.txt").read_text()
    assert "in _end" in log and "training_epoch_loop.py" in log


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_at_the_same_step_and_the_run_goes_on_exactly(workspace: Path):
    statuses, printed = killing.run(*command(*DDP, *RARE, run="whole-ddp"), cwd=workspace, supervised=True)
    assert statuses == [0], printed
    kill = Kill("batch", nth=3, rank=1, how="TERM")
    statuses, printed = killing.run(*command(*DDP, *RARE, run="stop"), cwd=workspace, kill=kill, supervised=True)
    whole, run = workspace / "runs/whole-ddp", workspace / "runs/stop"
    assert statuses == [143], printed
    assert state(run) == "interrupted"
    assert checkpoint(run)["seen"]["batches"] == 3
    statuses, printed = killing.run("resume", str(run), cwd=workspace, supervised=True)
    assert statuses == [0], printed
    assert differences(checkpoint(whole), checkpoint(run)) + differences(metrics(whole), metrics(run)) == []


@pytest.mark.slow
def test_as_a_user_starts_it_a_signal_to_the_group_stops_two_processes(workspace: Path):
    """Nothing is forked from the test here: Python is started anew for each rank."""
    run = workspace / "runs/user"
    environment = {
        **clean_environment(workspace),
        "VIDEXP_ALLOW": "tests",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    arguments = command(*DDP, "trainer.max_epochs=200", "callbacks.checkpoint.every_n_steps=1", run="user")
    started = subprocess.Popen(
        [sys.executable, "-m", "videxp.cli", *arguments],
        cwd=workspace,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (run / "checkpoints/last.ckpt").exists():
        assert started.poll() is None
        time.sleep(0.1)
    os.killpg(started.pid, signal.SIGTERM)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 143
    assert gone(workspace)
    assert "videxp resume runs/user goes on" in said
    assert state(run) == "interrupted"


# ---- without torch: what the supervisor makes of its ranks -----------------------------------------------------------

RANK = """
import json, os, signal, sys, time, faulthandler
rank, fd = int(os.environ["LOCAL_RANK"]), int(os.environ["VIDEXP_REPORT_FD"])
faulthandler.enable(fd)
def says(error, echo):
    os.write(fd, json.dumps({"error": error, "echo": echo, "exit_status": 1, "traceback": "T"}).encode() + b"\\n")
    os._exit(1)
"""


def outcome(code: str, *, ranks: int = 2) -> str:
    with Supervisor() as supervisor, Signals(at_once=lambda: None) as signals:
        try:
            supervisor.run(
                [sys.executable, "-c", RANK + code],
                content="",
                environment=dict(os.environ),
                ranks=ranks,
                timeout_seconds=3,
                signals=signals,
            )
        except (RanksFailed, Interrupted) as error:
            return f"{type(error).__name__}: {error}"
    return "finished"


def test_ranks_that_end_well_are_a_success():
    assert outcome("") == "finished"


@pytest.mark.slow
def test_the_cause_is_told_from_its_echo_whichever_comes_first():
    code = "says('closed', True) if rank == 0 else (time.sleep(0.5), says('boom', False))"
    assert outcome(code) == "RanksFailed: rank 1: boom"
    assert outcome("says('closed', True) if rank == 0 else (time.sleep(0.5), os._exit(7))") == (
        "RanksFailed: rank 1 ended with exit status 7"
    )


@pytest.mark.slow
def test_a_stopped_rank_counts_as_hanging():
    found = outcome("says('timed out', True) if rank == 0 else os.kill(os.getpid(), signal.SIGSTOP)")
    assert found.startswith("RanksFailed: rank 1 hung: the others waited 3 s (hardware.timeout_seconds)\nFile")


class Stock(LightningModule):
    """Its second rank ends in the fourth step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if batch_idx == 3 and self.global_rank == 1:
            os._exit(3)
        return self.net(batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Again(forked.Popen):
    """Another rank, instead of the script once more."""

    def _child(self, arguments: list[str], env: dict[str, str], *_: object) -> int:
        os.environ.update(env)
        train_as_usual()
        return 0


def train_as_usual() -> None:
    subprocess_script.subprocess = SimpleNamespace(Popen=Again)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, accelerator="cpu", devices=2, strategy="ddp", enable_checkpointing=False, **quiet)
    trainer.fit(Stock(), torch.utils.data.DataLoader(torch.ones(50, 1)))


@pytest.mark.slow
def test_stock_lightning_does_not_name_the_rank_that_died(tmp_path: Path):
    with pytest.raises(AssertionError) as failed:
        forked.call(train_as_usual, cwd=tmp_path, environment=clean_environment(tmp_path))
    assert "exit status 3" not in str(failed.value) and "code 3" not in str(failed.value)
