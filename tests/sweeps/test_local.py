"""Runs on this machine: who gets which GPU, how many cores, and how a process is found again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runs.made import make_run
from videxp.sweeps import local
from videxp.sweeps.launching import OUTPUT
from videxp.sweeps.local import Local


def with_gpus(monkeypatch: pytest.MonkeyPatch, names: str, cores: int = 16) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)
    monkeypatch.setattr(local, "count_gpus", lambda: len(names.split(",")))
    monkeypatch.setattr(local, "count_cores", lambda: cores)


def test_each_run_has_gpus_of_its_own_and_a_share_of_the_cores(monkeypatch: pytest.MonkeyPatch):
    with_gpus(monkeypatch, "4,5,6,7")
    launcher = Local(gpus=2)
    assert launcher.slots == 2
    assert launcher.share() == {"hardware.num_threads": 8, "hardware.num_workers": 8}
    launcher._taken["a"] = launcher._least_busy()
    assert launcher._taken["a"] == ["4", "5"]
    assert launcher._least_busy() == ["6", "7"]


def test_more_runs_than_gpus_share_those_with_the_fewest(monkeypatch: pytest.MonkeyPatch):
    with_gpus(monkeypatch, "0,1")
    launcher = Local(jobs=3)
    for name in "abc":
        launcher._taken[name] = launcher._least_busy()
    assert launcher._taken == {"a": ["0"], "b": ["1"], "c": ["0"]}


def test_on_the_cpu_one_run_has_the_machine_and_several_share_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local, "count_gpus", lambda: 0)
    monkeypatch.setattr(local, "count_cores", lambda: 8)
    assert (Local().slots, Local().share()) == (1, {})
    assert Local(jobs=4).share() == {"hardware.num_threads": 2, "hardware.num_workers": 1}


def test_a_process_is_found_again_and_another_of_its_number_is_not_taken_for_it(tmp_path: Path):
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    handle = f"{process.pid}:{local._born(process.pid)}"
    other = Local()  # it did not start it
    assert other.ended([handle, f"{process.pid}:1", "1:"]).keys() == {f"{process.pid}:1", "1:"}
    other.stop([handle])
    process.wait(60)
    assert process.returncode == -signal.SIGTERM
    assert "ended with the sweep" in other.ended([handle])[handle]


@pytest.mark.slow
def test_a_run_is_gone_on_with_in_a_python_of_its_own(tmp_path: Path):
    """It is finished, so that its process has only that to say."""
    run, launcher = make_run(tmp_path / "run"), Local()
    handle = launcher.start(run)
    while not (ended := launcher.ended([handle])):
        time.sleep(0.05)
    said = (run / OUTPUT).read_text()
    assert ended == {handle: "ended with exit status 0"}, said
    assert "is finished already" in said


@pytest.mark.slow
def test_a_run_ends_with_the_sweep_that_started_it(tmp_path: Path):
    """The stock way: what a killed process started runs on."""
    stock = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    with_us = (
        "import os, signal, time; from videxp.training.processes.signals import end_with\n"
        "parent = os.getpid(); pid = os.fork()\n"
        "if pid == 0: end_with(parent); signal.signal(signal.SIGTERM, signal.SIG_DFL); time.sleep(60)\n"
        "time.sleep(0.5); print(pid, flush=True); time.sleep(60)"
    )
    for code, lives_on in ((stock, True), (with_us, False)):
        parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        end = time.monotonic() + (0.3 if lives_on else 60)
        while time.monotonic() < end and local._born(child) != "gone":
            time.sleep(0.02)
        assert (local._born(child) != "gone") == lives_on
        if lives_on:
            os.kill(child, signal.SIGKILL)
