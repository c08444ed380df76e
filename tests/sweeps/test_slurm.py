"""Runs as jobs of a real Slurm: interrupted in every way that there is, requeued, and the same to the bit."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import clean_environment, videxp
from tests.runs.conftest import checkpoint, differences, metrics
from tests.shrink import tiny
from tests.sweeps.conftest import ROOT
from tests.sweeps.slurm_cluster import Cluster
from videxp import config
from videxp.errors import BadRequest, NotInstalled, VidexpError
from videxp.runs.folder import RunFolder
from videxp.runs.metrics_file import read_metrics
from videxp.sweeps import slurm as launching
from videxp.sweeps.launching import OUTPUT, resume_command
from videxp.sweeps.planning import plan
from videxp.sweeps.slurm import Slurm

RECIPE = "classification/moving_digits"
SMALL = [
    *("logger=csv", "trainer.max_epochs=3", "trainer.limit_test_batches=1", "callbacks.checkpoint.every_n_minutes=null"),
    *("+callbacks.slow._target_=tests.sweeps.slow_batches.SlowBatches", "hardware.num_threads=1"),
]
MIDDLE = 4
"""The batch of fifteen after which runs are interrupted; it is no epoch's last."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slurm")


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs are, with the environment that their jobs inherit; they share the tiny data set."""
    monkeypatch.chdir(home)
    for name, value in {**clean_environment(home), "VIDEXP_ALLOW": "tests", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    return home


def launcher(**options: Any) -> Slurm:
    return Slurm(**{"gpus": 0, "cpus": 1, "setup": ["export MASTER_ADDR=127.0.0.1"], **options})


def planned(name: str, *overrides: str) -> Path:
    composed = config.compose(RECIPE, tiny("hardware=cpu", *SMALL, *overrides, f"hydra.run.dir={name}"))
    config.refuse(config.check(composed))
    return plan(composed, Path(name)).path


def undisturbed(name: str, *overrides: str, cwd: Path) -> Path:
    arguments = tiny("hardware=cpu", *SMALL, *overrides, f"hydra.run.dir={name}")
    done = videxp("train", RECIPE, *arguments, cwd=cwd, VIDEXP_ALLOW="tests")
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd / name


def until(condition: Callable[[], Any], what: str, *, seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return answer


def batches_done(run: Path) -> int:
    path = run / "metrics.csv"
    return max((int(row["step"]) for row in read_metrics(path)), default=0) if path.exists() else 0


def state(run: Path) -> str:
    return RunFolder(run).record().get("state", "") if not (run / "status.json").exists() else _status(run)["state"]


def _status(run: Path) -> dict[str, Any]:
    return json.loads((run / "status.json").read_text())


def let_go_on(slurm: Cluster, jobs: list[str]) -> None:
    """A requeued job waits for two minutes, unless somebody says that it need not."""
    waiting = slurm.run("squeue", "--noheader", "--states=PENDING", "--format=%i %r").splitlines()
    for job in [line.split()[0] for line in waiting if line.endswith("BeginTime")]:
        if job in jobs:
            slurm.run("scontrol", "update", f"jobid={job}", "starttime=now")


def all_ended(slurm: Cluster, jobs: Slurm, handles: list[str]) -> dict[str, str] | None:
    let_go_on(slurm, handles)
    ended = jobs.ended(handles)
    return ended if len(ended) == len(handles) else None


def said(run: Path) -> str:
    logs = [run / OUTPUT, *sorted((run / "slurm").glob("*.out"))]
    return "\n".join(path.read_text() for path in logs if path.exists())


@pytest.mark.slow
def test_a_run_that_is_interrupted_in_any_way_goes_on_to_a_bit_identical_end(
    slurm: Cluster, place: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without what the job does besides (the stock way: submitit running the same command), it ends at a signal."""
    monkeypatch.setenv("SLOW_SECONDS", "1")
    ways: dict[str, list[str]] = {
        "SIGUSR1": ["scancel", "--signal=USR1"],
        "SIGUSR2": ["scancel", "--signal=USR2"],
        "SIGTERM": ["scancel", "--signal=TERM"],
        "by hand": ["scontrol", "requeue"],
        "pre-empted": [],
        "stock": ["scancel", "--signal=TERM"],
    }
    runs = {way: planned(way.replace(" ", "-")) for way in ways}
    reference = undisturbed("undisturbed", cwd=place)
    normal, low = launcher(), launcher(partition="low")
    handles = {way: (low if way == "pre-empted" else normal).start(run) for way, run in runs.items() if way != "stock"}
    handles["stock"] = stock(runs["stock"])
    higher = ""
    for way in ways:
        until(lambda way=way: batches_done(runs[way]) >= MIDDLE, f"{way} in training: {said(runs[way])}")
        if way == "pre-empted":
            higher = slurm.run("sbatch", "--parsable", "--partition=high", "--output=/dev/null", "--wrap=sleep 1")
        else:
            slurm.run(*ways[way], handles[way])
    assert higher
    ended = until(lambda: all_ended(slurm, normal, list(handles.values())), "all have ended")
    assert ended.pop(handles.pop("stock")) == "ended with exit status 1"
    assert state(runs["stock"]) == "interrupted" and batches_done(runs["stock"]) < 15
    for way, handle in handles.items():
        run = runs[way]
        assert (ended[handle], state(run)) == ("ended with exit status 0", "finished"), said(run)
        assert f"goes on after batch {MIDDLE + 1}" in said(run) or f"goes on after batch {MIDDLE + 2}" in said(run)
        assert differences(checkpoint(reference), checkpoint(run)) + differences(metrics(reference), metrics(run)) == []


def stock(run: Path) -> str:
    from submitit import SlurmExecutor
    from submitit.helpers import CommandFunction

    executor = SlurmExecutor((run / "slurm").absolute())
    executor.update_parameters(time=10)
    return executor.submit(CommandFunction(resume_command(run.absolute()))).job_id
