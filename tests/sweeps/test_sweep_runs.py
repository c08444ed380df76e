"""Sweeps of real runs: failing trials, kills, signals, pruning, and going on afterwards."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import videxp
from tests.shrink import tiny
from tests.sweeps.moody import CURED
from tests.sweeps.running import attempts, processes, provide_moody, start, statuses, sweep, wait_for, weights
from videxp.training.loggers.metrics_file import read_metrics

pytestmark = pytest.mark.slow
QUICK = ["logger=csv", "hydra.sweep.dir=sweep"]


def account(cwd: Path) -> dict[str, dict]:
    done = sweep("--status", "sweep", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {trial["trial"]: trial for trial in json.loads(done.stdout)["trials"]}


def states(cwd: Path) -> Counter:
    return Counter(trial["state"] for trial in account(cwd).values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A researcher's, with a model of their own."""
    return provide_moody(tmp_path)


def test_a_failing_trial_does_not_end_the_sweep(folder: Path):
    """6 trials of which one each hangs, raises, exits, is killed, is NaN; mended, the second call runs those 5."""
    brief = ["trainer.max_epochs=1", *(f"trainer.limit_{split}_batches=1" for split in ("train", "val", "test"))]
    small = tiny(*brief, "model=moody", "sweep.metric=val/loss", "sweep.trial_minutes=0.5", *QUICK)
    space = ["model.number=2,0,5,8,11,13", "launcher.jobs=2"]
    done = sweep("classification/moving_digits", *small, *space, cwd=folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert states(folder) == {"finished": 1, "failed": 5}
    trials = account(folder)
    numbers = {name: int(trial["values"]["model.number"]) for name, trial in trials.items()}
    causes = {numbers[name]: trial["cause"] for name, trial in trials.items() if trial["state"] == "failed"}
    expected = {
        2: "took longer than 0.5 minutes",
        5: "RuntimeError: cannot go on with number 5",
        8: "SystemExit: 5",
        11: "was ended by SIGKILL; out of memory? while training",
        13: "val/loss is nan",
    }
    assert {number: cause[: len(expected[number])] for number, cause in causes.items()} == expected
    assert all(cause in done.stdout for cause in expected.values())
    before = attempts(folder)
    (folder / CURED).touch()
    again = sweep("--resume", "sweep", cwd=folder)
    assert again.returncode == 0, again.stdout + again.stderr
    assert states(folder) == {"finished": 6}
    assert {numbers[name] for name in before if attempts(folder)[name] != before[name]} == set(expected)


def space(trials: int) -> list[str]:
    return [f"seed=range(0,{trials})", "launcher.jobs=2"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, str]]:
    """What so many trials learn when nobody kills them."""

    @cache
    def learnt(trials: int) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("undisturbed")
        done = sweep("classification/moving_digits", *tiny(*QUICK), *space(trials), cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return weights(folder)

    return learnt


@pytest.mark.parametrize(("kills", "trials"), [(2, 3), pytest.param(10, 8, marks=pytest.mark.kill)])
def test_killed_at_random_moments_nothing_is_lost_and_nothing_run_twice(
    folder: Path, kills: int, trials: int, undisturbed: Callable[[int], dict[str, str]]
):
    """The controller is killed, and a trial as well every other time; in the end all is as if nothing had happened."""
    rng = random.Random(kills)
    begin = ["classification/moving_digits", *tiny(*QUICK), *space(trials)]
    finished: dict[str, str] = {}
    for number in range(kills):
        controller = start(*(["--resume", "sweep"] if (folder / "sweep/sweep.yaml").exists() else begin), cwd=folder)
        rows = logged(folder)
        wait_for(lambda rows=rows, at_end=controller: logged(folder) > rows or not at_end.is_alive())  # it goes on
        time.sleep(rng.uniform(0.0, 3.0))
        running = [pid for pid in processes(folder) if pid != controller.pid]
        if number % 2 and running:
            os.kill(rng.choice(running), signal.SIGKILL)
        with suppress(ProcessLookupError):  # it may have come to its end
            os.kill(controller.pid, signal.SIGKILL)
        controller.join()
        assert {name: finished[name] for name in finished} == {name: attempts(folder)[name] for name in finished}
        finished = {name: when for name, when in attempts(folder).items() if is_finished(folder / "sweep" / name)}
    last = sweep("--resume", "sweep", cwd=folder)
    assert last.returncode == 0, last.stdout + last.stderr
    assert states(folder) == {"finished": trials}
    assert weights(folder) == undisturbed(trials)
    for path in folder.glob("sweep/????/metrics.csv"):
        epochs = [row["epoch"] for row in read_metrics(path) if "val/accuracy" in row]
        assert epochs == [0, 1], "an epoch was trained twice, or not at all"
    print(f"{kills} kills: {len(finished)} of {trials} trials were finished before the last call")


def logged(folder: Path) -> int:
    """Bytes of metrics of all trials."""
    return sum(path.stat().st_size for path in folder.glob("sweep/????/metrics.csv"))


def is_finished(run: Path) -> bool:
    return statuses(run.parents[1])[run.name]["state"] == "finished"


def test_ctrl_c_stops_with_checkpoints_and_the_sweep_goes_on(
    folder: Path, undisturbed: Callable[[int], dict[str, str]]
):
    controller = start("classification/moving_digits", *tiny(*QUICK), *space(3), cwd=folder)
    wait_for(lambda: len(list(folder.glob("sweep/????/metrics.csv"))) >= 2)
    os.kill(controller.pid, signal.SIGINT)
    controller.join(60)
    assert controller.exitcode == 130
    assert "videxp sweep --resume sweep goes on" in (folder / "stderr").read_text()
    assert processes(folder) == []
    assert set(states(folder)) <= {"finished", "interrupted", "queued"}
    again = sweep("--resume", "sweep", cwd=folder)
    assert again.returncode == 0, again.stdout + again.stderr
    assert weights(folder) == undisturbed(3)


def test_the_stock_sweep_ends_with_its_first_failing_job_and_begins_anew(tmp_path: Path):
    """Hydra's -m: all jobs in one process; job 1 of 3 exits, job 2 never begins, and nothing is left to go on with."""
    script = tmp_path / "job.py"
    script.write_text(
        "import hydra, sys\n"
        "@hydra.main(version_base='1.3', config_path=None)\n"
        "def main(cfg):\n    print('began', cfg.x, flush=True)\n    cfg.x == 1 and sys.exit(5)\nmain()\n"
    )
    command = [sys.executable, str(script), "-m", "+x=0,1,2"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert [line for line in done.stdout.splitlines() if line.startswith("began")] == ["began 0", "began 1"]


def test_two_metrics_and_a_table(tmp_path: Path):
    """As users run it: `train -m`, a Pareto front, what matters, JSON; W&B groups the runs."""
    metrics = "sweep.metric=[val/accuracy,throughput/latency_ms]"
    brief = ["trainer.max_epochs=1", "launcher.jobs=2", "hydra.sweep.dir=sweep"]
    words = tiny("model=cnn3d_small,cnn2d_small", metrics, *brief)
    done = videxp("train", "-m", "classification/moving_digits", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "best   val/accuracy (maximize), throughput/latency_ms (minimize)" in done.stdout
    assert "2 of 2 trials: 2 finished" in done.stdout
    assert "wandb sync sweep/*/wandb/offline-run-*" in done.stdout
    for name in ("0000", "0001"):
        config = (tmp_path / f"sweep/{name}/config.yaml").read_text()
        assert "group: sweep" in config
        assert "num_threads: " in config  # its share of the cores, so that trials do not fight
    trials = account(tmp_path)
    assert [trial["values"]["model"] for trial in trials.values()] == ["cnn3d_small", "cnn2d_small"]
    assert all(trial["scores"]["throughput/latency_ms"] > 0 for trial in trials.values())
    again = sweep("classification/moving_digits", "seed=0,1", "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert again.returncode == 2
    assert "holds a sweep already: videxp sweep --resume sweep" in again.stderr


def test_what_is_behind_is_pruned_and_can_be_gone_on_with(folder: Path):
    """A network that learns nothing falls behind one that learns; what is pruned leaves a checkpoint."""
    rates = "optimizer.lr=1e-2,1e-9"
    # Long enough for the controller, which looks ten times a second, on a machine of any speed.
    words = tiny("trainer.max_epochs=8", "sweep.metric=train/loss", "sweep.pruner=median", "launcher.jobs=1", *QUICK)
    done = sweep("classification/moving_digits", *words, rates, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    last = account(folder)["0001"]
    assert (last["state"], last["cause"][:19]) == ("pruned", "behind after epoch "), done.stdout
    assert states(folder) == {"finished": 1, "pruned": 1}
    assert (folder / "sweep/0001/checkpoints/last.ckpt").exists()
    assert json.loads((folder / "sweep/0001/status.json").read_text())["state"] == "interrupted"
    resumed = videxp("resume", "sweep/0001", cwd=folder)
    assert resumed.returncode == 0 and "goes on after batch" in resumed.stdout


def test_a_second_ctrl_c_ends_even_what_hangs(folder: Path):
    words = tiny("trainer.max_epochs=1", "model=moody", "model.number=2,0", "launcher.jobs=1", *QUICK)
    controller = start("classification/moving_digits", *words, cwd=folder)
    wait_for((folder / "hanging").exists)
    os.kill(controller.pid, signal.SIGINT)
    controller.join(2)
    assert controller.exitcode is None  # it waits for a checkpoint
    os.kill(controller.pid, signal.SIGINT)
    controller.join(60)
    assert controller.exitcode == 130
    assert "once more ends at once" in (folder / "stderr").read_text()
    wait_for(lambda: processes(folder) == [])


def test_each_trial_is_a_fresh_run_of_its_own_number_of_ranks(folder: Path):
    """What a distributed parent left in the environment is nothing to a trial; both ranks train its one config."""
    left = {"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1", "NODE_RANK": "1"}
    words = tiny("trainer.max_epochs=1", "optimizer.lr=choice(0.4)", "hardware=ddp_cpu", *QUICK)
    done = sweep("classification/moving_digits", *words, cwd=folder, **left)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((folder / "sweep/0000/provenance.json").read_text())
    assert (record["world_size"], record["state"]) == (2, "finished")
    assert "optimizer.lr=0.4" in record["command"]
