"""Runs in a real Ray: a local one that ends with its sweep, and a cluster that was there before and stays."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.shrink import tiny
from tests.sweeps.running import (
    ALLOWED,
    ROOT,
    attempts,
    processes,
    provide_moody,
    start,
    statuses,
    sweep,
    wait_for,
    weights,
)
from videxp.core.errors import BadRequest, NotInstalled
from videxp.sweeps.ray import Ray
from videxp.sweeps.ray_cluster import share_out
from videxp.sweeps.ray_keeper import Keeper

real = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'videxp[ray]'")
SPACE = ["model.number=0,11"]
SMALL = tiny("trainer.max_epochs=4", "model=moody", "sweep.metric=val/loss", "logger=csv", "hydra.sweep.dir=sweep")
BEGIN = ["classification/moving_digits", *SMALL]

A_RUN = """
import os, signal, sys, time
from pathlib import Path
from videxp.training.processes.signals import end_with
signal.signal(signal.SIGTERM, lambda *_: (Path("told").touch(), sys.exit(143)))
end_with(int(sys.argv[2]))
print("a run", flush=True)
Path("begun.new").write_text(str(os.getpid()))
Path("begun.new").rename("begun")
time.sleep(100)
"""
CONTROLLER = f"""
import sys, time
from pathlib import Path
from videxp.sweeps import ray
ray.resume_command = lambda run, *options: [sys.executable, "-c", {A_RUN!r}, *options]
ray.Ray(jobs=1).start(Path.cwd())
time.sleep(100)
"""


def trials(cwd: Path) -> list[int]:
    """Their processes: Ray's own run in other folders, or are told by their names."""
    return processes(cwd, named="resume")


def logged(cwd: Path) -> list[Path]:
    return [path for path in cwd.glob("sweep/????/metrics.csv") if path.stat().st_size > 0]


def is_gone(pid: int) -> bool:
    """Or a zombie, which has no command line."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What trials learn without Ray."""
    folder = provide_moody(tmp_path_factory.mktemp("local"))
    done = sweep(*BEGIN, "model.number=choice(0)", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return weights(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return provide_moody(tmp_path)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Ray of two cores that is there before a sweep and after it: how it is found, as environment variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = {"RAY_ADDRESS": f"127.0.0.1:{port}", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    options = ["--include-dashboard=false", "--num-cpus=2", "--object-store-memory=80000000", "--disable-usage-stats"]
    # Ray's own choice of ports is the same for all clusters of a machine.
    ports = ["--min-worker-port=0", "--max-worker-port=0", f"--port={port}"]
    log = tmp_path / "ray.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *options, *ports],
            env={**clean_environment(tmp_path), **ALLOWED, **found},
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: "Ray runtime started" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield found
    finally:
        process.terminate()
        process.wait(30)


@real
@pytest.mark.slow
def test_a_sweep_in_a_local_ray_is_stopped_and_finishes(folder: Path, local: dict[str, str]):
    """Ctrl-C leaves checkpoints and no process; a trial that is killed is told with its reason."""
    controller = start(*BEGIN, *SPACE, "launcher=ray", "launcher.jobs=1", "launcher.cpus=1", cwd=folder)
    wait_for(lambda: len(logged(folder)) == 1)
    os.kill(controller.pid, signal.SIGINT)
    controller.join(60)
    assert controller.exitcode == 130, (folder / "stderr").read_text()
    assert trials(folder) == []
    assert [status["state"] for status in statuses(folder).values()] == ["interrupted"]
    assert len(weights(folder)) == 1
    done = sweep("--resume", "sweep", "launcher.jobs=2", cwd=folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 trials: 1 finished, 1 failed" in done.stdout
    assert "was ended by SIGKILL; out of memory? while training" in done.stdout
    assert done.stderr == "", "Ray has nothing to say"
    assert weights(folder) == local
    assert trials(folder) == []


@real
@pytest.mark.slow
def test_a_local_ray_that_is_killed_leaves_no_run(tmp_path: Path):
    """Instead of a run, something as quick as can be that tells when it was asked for a checkpoint.

    Ray by itself ends what its workers have started without asking.
    """
    told = {}
    stock = "from videxp.sweeps import ray_cluster; ray_cluster.LOCAL.clear()\n"
    controllers = []
    for name, code in {"ours": CONTROLLER, "stock": stock + CONTROLLER}.items():
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", code]
        controllers.append(
            subprocess.Popen(command, cwd=tmp_path / name, env={**clean_environment(tmp_path), **ALLOWED})
        )
    try:
        wait_for(lambda: len(list(tmp_path.glob("*/begun"))) == 2)
    finally:
        for controller in controllers:
            controller.kill()
            controller.wait()
    for name in ("ours", "stock"):
        run = int((tmp_path / name / "begun").read_text())
        wait_for(lambda run=run: is_gone(run))
        assert (tmp_path / name / "output.txt").read_text() == "a run\n"
        told[name] = (tmp_path / name / "told").exists()
    assert told == {"ours": True, "stock": False}


@real
@pytest.mark.slow
def test_a_cluster_keeps_runs_whose_sweep_was_killed(folder: Path, cluster: dict[str, str], local: dict[str, str]):
    """The sweep that goes on finds them, and starts none of them twice."""
    where = ["launcher=ray", "launcher.address=auto", "launcher.jobs=1"]
    controller = start(*BEGIN, "model.number=choice(0)", *where, cwd=folder, **cluster)
    wait_for(lambda: len(logged(folder)) == 1)
    os.kill(controller.pid, signal.SIGKILL)
    controller.join()
    begun = attempts(folder)
    assert len(trials(folder)) >= 1
    done = sweep("--resume", "sweep", cwd=folder, **cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    assert attempts(folder) == begun
    assert weights(folder) == local


def test_what_a_run_gets_is_worked_out_from_the_nodes():
    assert share_out([(16, 0)], "auto", "auto", "auto") == (1, 0, 16)
    assert share_out([(16, 0)], "auto", "auto", 4) == (4, 0, 4)
    assert share_out([(16, 0)], 4, "auto", "auto") == (4, 0, 4)
    assert share_out([(4, 0), (64, 8), (32, 4)], "auto", "auto", "auto") == (12, 1, 8)
    assert share_out([(64, 8)], "auto", 2, "auto") == (4, 2, 16)
    assert share_out([(64, 8)], "auto", 0.5, "auto") == (16, 0.5, 4)
    assert share_out([(64, 8)], "auto", 1, 32) == (2, 1, 32), "the cores run out first"
    with pytest.raises(BadRequest, match="no node of the cluster has 1 cores and 2 GPUs"):
        share_out([(8, 1), (8, 1)], "auto", 2, "auto")


@real
def test_an_address_without_a_ray_is_refused_at_once():
    with pytest.raises(BadRequest, match="localhost:1: no Ray there"):
        Ray(address="localhost:1")
    with pytest.raises(BadRequest, match="neither host:port"):
        Ray(address="ray://head:10001")


def test_a_node_that_does_not_have_the_folder_is_named(tmp_path: Path):
    keeper = Keeper(str(tmp_path / "0007"), command=["true"], folder=str(tmp_path), environment={})
    assert asyncio.run(keeper.wait()) == (
        f"ended ({os.uname().nodename} has no {tmp_path}/0007; all nodes of the cluster must share it)"
    )


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("videxp.core.errors.find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match=r"ray is not installed: pip install 'videxp\[ray\]'"):
        Ray()
