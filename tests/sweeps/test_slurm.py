"""Runs as jobs of a real Slurm: interrupted in every way that there is, requeued, and the same to the bit."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import clean_environment, videxp
from tests.shrink import tiny
from tests.sweeps.slurm_cluster import Cluster
from tests.training.conftest import checkpoint, differences, metrics
from videxp import config
from videxp.core.errors import BadRequest, VidexpError
from videxp.runs.folder import RunFolder
from videxp.sweeps import slurm as slurm_launcher
from videxp.sweeps.launching import OUTPUT, resume_command, started
from videxp.sweeps.planning import plan
from videxp.sweeps.slurm import Slurm
from videxp.training.loggers.metrics_file import read_metrics

RECIPE = "classification/moving_digits"
SMALL = [
    *(
        "logger=csv",
        "trainer.max_epochs=3",
        "trainer.limit_test_batches=1",
        "callbacks.checkpoint.every_n_minutes=null",
    ),
    *("+callbacks.slow._target_=tests.sweeps.slow_batches.SlowBatches", "hardware.num_threads=1"),
]
BATCHES = 15
MIDDLE = 6
"""The batch after which runs are interrupted; an epoch has five."""


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


def until(condition: Callable[[], Any], what: str, *, seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return answer


def batches_done(run: Path) -> int:
    path = run / "metrics.csv"
    return max((int(row["step"]) for row in read_metrics(path)), default=0) if path.exists() else 0


def status(run: Path) -> dict[str, Any]:
    path = run / "status.json"
    return json.loads(path.read_text()) if path.exists() else {"state": "queued"}


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
    """The stock way, submitit with the same command, ends at the signal. A pre-emption begins with SIGTERM."""
    jobs, low = launcher(), launcher(partition="low")
    undisturbed = planned("undisturbed")
    done = videxp("resume", "undisturbed", cwd=place, VIDEXP_ALLOW="tests")
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("SLOW_SECONDS", "1")
    ways = {
        "SIGUSR2": ["scancel", "--signal=USR2"],
        "by-hand": ["scontrol", "requeue"],
        "pre-empted": ["sbatch", "--partition=high", "--output=/dev/null", "--wrap=sleep 1", "--comment"],
        "stock": ["scancel", "--signal=TERM"],
    }
    runs = {way: planned(way) for way in ways}
    start = {"pre-empted": low.start, "stock": stock}
    handles = {way: start.get(way, jobs.start)(run) for way, run in runs.items()}
    left = dict(ways)
    while left:
        way = until(lambda: next((way for way in left if batches_done(runs[way]) >= MIDDLE), None), f"{left} train")
        slurm.run(*left.pop(way), handles[way])
    ended = until(lambda: all_ended(slurm, jobs, list(handles.values())), "all have ended")
    assert ended.pop(handles.pop("stock")) == "ended with exit status 1"
    assert status(runs["stock"])["state"] == "interrupted" and batches_done(runs["stock"]) < BATCHES
    for way, handle in handles.items():
        run = runs[way]
        assert (ended[handle], status(run)["state"]) == ("ended with exit status 0", "finished"), said(run)
        (after,) = re.findall(r"goes on after batch (\d+) ", said(run))
        assert MIDDLE <= int(after) < BATCHES
        assert differences(checkpoint(undisturbed), checkpoint(run)) == []
        assert differences(metrics(undisturbed), metrics(run)) == []


def stock(run: Path) -> str:
    from submitit import SlurmExecutor
    from submitit.helpers import CommandFunction

    executor = SlurmExecutor((run / "slurm").absolute())
    executor.update_parameters(time=10)
    return executor.submit(CommandFunction(resume_command(run.absolute()))).job_id


@pytest.mark.slow
def test_two_nodes_interrupted_equal_two_processes_on_one(slurm: Cluster, place: Path, monkeypatch: pytest.MonkeyPatch):
    """The one node's job is one task, which starts both processes; on two nodes each process is a task."""
    one = planned("one-node", "hardware=ddp_cpu")
    two = planned("two-nodes", "hardware=ddp_cpu", "hardware.num_nodes=2", "hardware.devices=1")
    jobs = launcher()
    handles = [jobs.start(one)]
    monkeypatch.setenv("SLOW_SECONDS", "0.5")
    handles += [jobs.start(two)]
    until(lambda: batches_done(two) >= MIDDLE, "two nodes in training")
    assert slurm.run("squeue", "--noheader", f"--jobs={handles[1]}", "--format=%D") == "2"
    slurm.run("scancel", "--signal=USR1", handles[1])
    ended = until(lambda: all_ended(slurm, jobs, handles), "both have ended")
    for run in (one, two):
        assert status(run)["state"] == "finished", said(run)
    assert set(ended.values()) == {"ended with exit status 0"}
    assert said(two).count("goes on after batch") == 1 and "goes on" not in said(one)
    assert differences(checkpoint(one)["state_dict"], checkpoint(two)["state_dict"]) == []
    assert differences(metrics(one), metrics(two)) == []


@pytest.mark.slow
def test_what_becomes_of_jobs_is_told_in_words(slurm: Cluster, place: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a job that was cancelled within seconds, and by a process that did not start it."""
    monkeypatch.setenv("SLOW_SECONDS", "1")
    jobs, once = launcher(), launcher(requeues=0)
    stopped, killed, limited, broken = runs = [planned(name) for name in "abcd"]
    handles = dict(zip(runs, [jobs.start(stopped), jobs.start(killed), once.start(limited), jobs.start(broken)]))
    (broken / "config.yaml").unlink()
    queued = launcher(partition="low", additional={"hold": True}).start(planned("held"))
    assert jobs.ended([queued]) == {}
    for run in (stopped, killed, limited):
        until(lambda run=run: batches_done(run) >= MIDDLE, f"{run} in training")
    slurm.run("scancel", queued)
    jobs.stop([handles[stopped]])
    slurm.run("scancel", "--signal=KILL", f"{handles[killed]}.0")
    slurm.run("scancel", "--signal=TERM", handles[limited])
    asked = time.monotonic()
    ended = until(lambda: all_ended(slurm, jobs, [*handles.values(), queued]), "all have ended", seconds=45)
    assert time.monotonic() - asked < 45
    assert ended == {
        queued: "was cancelled (scancel)",
        handles[stopped]: "was cancelled (scancel)",
        handles[killed]: "was ended by SIGKILL; out of memory?",
        handles[limited]: "was ended by SIGTERM",
        handles[broken]: "ended with exit status 2",
    }
    until(lambda: {status(run)["state"] for run in runs[:3]} == {"interrupted"}, "all are interrupted")
    assert checkpoint(stopped)["seen"]["batches"] >= MIDDLE
    assert "requeued 0 times already (launcher.requeues=0)" in said(limited)
    assert told_elsewhere(list(ended)) == ended
    for handle in (queued, handles[stopped], handles[broken]):  # as when they have left the queue
        assert slurm_launcher._how(*slurm_launcher._accounts([handle])[handle]) == ended[handle]
    assert jobs.ended(["999999"]) == {"999999": "is no longer known to Slurm"}


def told_elsewhere(handles: list[str]) -> dict[str, str]:
    """By another process, which has nothing but the handles."""
    script = "import json, sys; from videxp.sweeps.slurm import Slurm; print(json.dumps(Slurm().ended(sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", script, *handles], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_runs_started_together_are_one_job_array(slurm: Cluster, place: Path):
    first, second, wide = (planned(f"array/{name}") for name in ("0000", "0001", "0002"))
    for run in (first, second, wide):
        (run / "status.json").write_text('{"state": "finished"}')
    two_nodes = (wide / "config.yaml").read_text().replace("num_nodes: 1", "num_nodes: 2")
    (wide / "config.yaml").write_text(two_nodes)
    jobs = launcher(array=True)
    by_run = dict(started(jobs, [first, wide, second]))
    handles = [by_run[run] for run in (first, wide, second)]
    job = handles[0].removesuffix("_0")
    assert handles[2] == f"{job}_1" and handles[1] not in (job, f"{job}_2")
    assert until(lambda: all_ended(slurm, jobs, handles), "all have ended") == dict.fromkeys(
        handles, "ended with exit status 0"
    )
    assert "is finished already" in said(first) and "is finished already" in said(second)


@pytest.mark.slow
def test_what_the_cluster_refuses_is_one_line(slurm: Cluster, place: Path, monkeypatch: pytest.MonkeyPatch):
    run = planned("refused")
    with pytest.raises(VidexpError, match=r"^sbatch refused the job: invalid partition specified: nope$"):
        launcher(partition="nope").start(run)
    assert not (run / "slurm").exists()
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # as within a job, which would hand its own options down
    monkeypatch.setenv("SBATCH_PARTITION", "nope")
    jobs = launcher(additional={"hold": True})
    jobs.stop([jobs.start(run)], at_once=True)
    monkeypatch.setattr(slurm_launcher, "_asked", lambda *command: None)
    assert jobs.ended(["1"]) == {}  # no answer is no end


def test_the_process_that_failed_first_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each process of a run on several nodes ends by itself; the first one may only have lost the other."""
    from videxp.training.course import _ended

    run = RunFolder(tmp_path)
    run.plan(command="videxp train x", recipe="x")
    run.config.write_text("")
    run.set_state("running")
    lost = RuntimeError("gloo: Connection closed by peer")
    for rank, error in (("1", RuntimeError("mine")), ("0", lost), ("1", lost), ("1", BadRequest("all find out"))):
        monkeypatch.setenv("SLURM_PROCID", rank)
        with pytest.raises(type(error)):
            _ended(run, error)
        assert status(tmp_path)["cause"] == "rank 1: RuntimeError: mine"
    monkeypatch.setenv("SLURM_PROCID", "0")
    with pytest.raises(RuntimeError):
        _ended(run, RuntimeError("of rank 0"))
    assert status(tmp_path)["cause"] == "RuntimeError: of rank 0"


@pytest.mark.slow
def test_its_options_are_checked():
    composed = config.compose(RECIPE, ["launcher=slurm", "launcher.time=0", "+launcher.partitions=gpu"])
    problems = [str(problem).partition(":")[0] for problem in config.check(composed)]
    assert sorted(problems) == ["launcher.partitions=gpu", "launcher.time=0"]


def test_without_slurm_a_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadRequest, match=r"^launcher=slurm: there is no sbatch here; run this on a machine of the"):
        launcher()
    monkeypatch.setattr("videxp.core.errors.find_spec", lambda name: None)
    with pytest.raises(BadRequest, match=r"^submitit is not installed: pip install 'videxp\[slurm\]'$"):
        launcher()


@pytest.mark.parametrize(
    ("state", "wait_status", "words"),
    [
        ("RUNNING", 0, None),
        ("COMPLETING", 0, None),
        ("COMPLETED", 0, "ended with exit status 0"),
        ("FAILED", 3 << 8, "ended with exit status 3"),
        ("FAILED", 143 << 8, "was ended by SIGTERM"),
        ("FAILED", 9, "was ended by SIGKILL; out of memory?"),
        ("OUT_OF_MEMORY", 125 << 8, "ran out of memory (launcher.memory)"),
        ("NODE_FAIL", 0, "its node failed"),
        ("TIMEOUT", 0, "reached its time limit (launcher.time)"),
    ],
)
def test_states_in_words(state: str, wait_status: int, words: str | None):
    assert slurm_launcher._how(state, wait_status) == words
