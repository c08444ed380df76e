"""videxp resume, run.resume=auto: what they say, refuse and leave alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import clean_environment, videxp
from tests.training import killing
from tests.training.conftest import checkpoint, command, differences, metrics
from tests.training.killing import KILLED, Kill
from videxp.cli import main
from videxp.training.loggers.metrics_file import read_metrics

pytestmark = pytest.mark.slow
AUTO = "run.resume=auto"


def printed_by(workspace: Path, *arguments: str, kill: Kill | None = None, status: int = 0) -> str:
    statuses, printed = killing.run(*arguments, cwd=workspace, kill=kill, VIDEXP_TRACEBACK="0")
    assert statuses == [status], printed
    return printed


def test_the_same_command_begins_goes_on_and_then_says_that_it_is_finished(workspace: Path):
    arguments = command(AUTO, "callbacks.checkpoint.every_n_steps=1", run="auto")
    printed_by(workspace, *arguments, kill=Kill("batch", nth=8), status=KILLED)
    assert json.loads((workspace / "runs/auto/status.json").read_text())["state"] == "running"
    assert "goes on after batch 7 (runs/auto/checkpoints/last.ckpt)" in printed_by(workspace, *arguments)
    before = (workspace / "runs/auto/metrics.csv").read_bytes()
    assert printed_by(workspace, *arguments).startswith("runs/auto is finished already: videxp evaluate runs/auto")
    assert "is finished already" in printed_by(workspace, "resume", "runs/auto")
    assert (workspace / "runs/auto/metrics.csv").read_bytes() == before
    provenance = json.loads((workspace / "runs/auto/provenance.json").read_text())
    assert provenance["command"].startswith("videxp train classification/moving_digits")
    assert [one["command"] for one in provenance["resumed"]] == ["videxp resume runs/auto"]


def test_another_config_is_refused_in_one_line_and_nothing_is_touched(workspace: Path):
    printed_by(workspace, *command(run="other"), kill=Kill("batch", nth=8), status=KILLED)
    before = {path: path.read_bytes() for path in (workspace / "runs/other").rglob("*") if path.is_file()}
    printed = printed_by(workspace, *command(AUTO, "optimizer.lr=0.5", run="other"), status=2)
    assert printed.strip() == (
        "videxp: runs/other holds a run of another config (optimizer.lr was 0.003, now 0.5): give another hydra.run.dir"
    )
    assert before == {path: path.read_bytes() for path in (workspace / "runs/other").rglob("*") if path.is_file()}
    assert "holds a run already" in printed_by(workspace, *command(run="other"), status=2)


def test_keys_are_refused_with_the_place_where_they_may_change(capsys: pytest.CaptureFixture[str]):
    assert main(["resume", "runs/early", "trainer.max_epochs=9"]) == 2
    assert capsys.readouterr().err == (
        "videxp: resume takes no trainer.max_epochs=9: a run goes on as it began; what may change (hardware.*, "
        "trainer.max_epochs) is changed in runs/early/config.yaml\n"
    )


def test_a_run_without_a_checkpoint_begins_anew_in_its_folder(workspace: Path):
    printed_by(workspace, *command(run="early"), kill=Kill("batch", nth=4), status=KILLED)
    assert len(read_metrics(workspace / "runs/early/metrics.csv")) == 1
    printed = printed_by(workspace, "resume", "runs/early")
    assert "runs/early begins anew: it has no checkpoint" in printed
    steps = [row["step"] for row in read_metrics(workspace / "runs/early/metrics.csv") if "train/loss" in row]
    assert steps == [2, 4, 5, 7, 9, 10]


def test_a_damaged_last_checkpoint_costs_the_batches_since_the_best_and_is_named(workspace: Path):
    printed_by(workspace, *command("callbacks.checkpoint.every_n_steps=2", run="whole"))
    killed = command("callbacks.checkpoint.every_n_steps=2", run="damaged")
    printed_by(workspace, *killed, kill=Kill("batch", nth=10), status=KILLED)
    last = workspace / "runs/damaged/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    printed = printed_by(workspace, "resume", "runs/damaged")
    assert "last.ckpt cannot be used to go on" in printed
    assert "goes on after batch 5 (runs/damaged/checkpoints/last.ckpt)" in printed
    whole, damaged = workspace / "runs/whole", workspace / "runs/damaged"
    assert differences(checkpoint(whole), checkpoint(damaged)) + differences(metrics(whole), metrics(damaged)) == []


def test_early_stopping_stays_stopped(workspace: Path):
    """Killed after the last epoch's end, where stock Lightning would train on: `should_stop` is in no checkpoint."""
    stops = ["callbacks=[checkpoint,early_stopping]", "+callbacks.early_stopping.stopping_threshold=0.0"]
    arguments = command(*stops, "trainer.max_epochs=4", run="stopped")
    printed_by(workspace, *arguments)
    assert checkpoint(workspace / "runs/stopped")["seen"]["batches"] == 5
    status = workspace / "runs/stopped/status.json"
    status.write_text(status.read_text().replace("finished", "running"))
    printed_by(workspace, "resume", "runs/stopped")
    assert checkpoint(workspace / "runs/stopped")["seen"]["batches"] == 5
    rows = read_metrics(workspace / "runs/stopped/metrics.csv")
    assert len([row for row in rows if "test/loss" in row]) == 1


def test_tensorboard_shows_each_step_once(workspace: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    arguments = command("logger=tensorboard", run="board")
    printed_by(workspace, *arguments, kill=Kill("batch", nth=9, how="raise"), status=1)  # in the second epoch
    printed_by(workspace, "resume", "runs/board")
    events = EventAccumulator(str(workspace / "runs/board/tensorboard"))
    events.Reload()
    assert [one.step for one in events.Scalars("train/loss")] == [2, 4, 5, 7, 9, 10]
    events = EventAccumulator(str(workspace / "runs/board/tensorboard"), purge_orphaned_data=False)
    events.Reload()
    assert [one.step for one in events.Scalars("train/loss")] != [2, 4, 5, 7, 9, 10]  # without the mark


def test_a_folder_in_use_is_refused(workspace: Path):
    printed_by(workspace, *command(run="busy"), kill=Kill("batch", nth=8), status=KILLED)
    holds = "import sys, time; from pathlib import Path; from videxp.runs.folder import RunFolder\n"
    holds += "lock = RunFolder(Path('runs/busy')).claim(); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", holds], cwd=workspace, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    said = printed_by(workspace, "resume", "runs/busy", status=2)
    assert said == "videxp: runs/busy is in use: another process is training there\n"  # before any data is looked at
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    printed_by(workspace, "resume", "runs/busy")


def test_a_full_disk_costs_no_checkpoint_and_is_said(workspace: Path):
    """A disk with room for one checkpoint and a half: best.ckpt fits, last.ckpt does not."""
    disk = workspace / "disk"
    disk.mkdir()
    size = (
        (workspace / "runs/auto/checkpoints/last.ckpt").stat().st_size
        if (workspace / "runs/auto").exists()
        else 4_000_000
    )
    mount = ["mount", "-t", "tmpfs", "-o", f"size={int(1.5 * size)}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        for policy, batches in (("continue", 10), ("stop", 5)):
            arguments = command(f"callbacks.checkpoint.on_failed_write={policy}", run="x")
            arguments[-1] = f"hydra.run.dir={disk}/{policy}"
            printed = printed_by(workspace, *arguments, status=1)  # the last one of all is an error in any case
            assert "last.ckpt could not be written" in printed
            assert ("training goes on" in printed) == (policy == "continue")
            run = disk / policy
            assert checkpoint(run, "best")["seen"]["batches"] == 5
            assert max(row["step"] for row in read_metrics(run / "metrics.csv")) == batches
            assert json.loads((run / "status.json").read_text())["state"] == "failed"
            shutil.rmtree(run)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_two_processes_whose_starter_is_killed_end_and_go_on(workspace: Path):
    """As a user runs it: Python is started anew for each process."""
    arguments = command("hardware=ddp_cpu", "callbacks.checkpoint.every_n_steps=1", "trainer.max_epochs=30", run="ddp2")
    environment = {
        **clean_environment(workspace),
        "VIDEXP_ALLOW": "tests",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    started = subprocess.Popen(
        [sys.executable, "-m", "videxp.cli", *arguments], cwd=workspace, env=environment, start_new_session=True
    )
    while not (workspace / "runs/ddp2/checkpoints/last.ckpt").exists():
        assert started.poll() is None
        time.sleep(0.1)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    (workspace / "runs/ddp2/config.yaml").write_text(
        (workspace / "runs/ddp2/config.yaml").read_text().replace("max_epochs: 30", "max_epochs: 3")
    )
    done = videxp("resume", "runs/ddp2", cwd=workspace, VIDEXP_ALLOW="tests")
    assert done.returncode == 0, done.stderr
    assert "goes on after batch" in done.stdout
