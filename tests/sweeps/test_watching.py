"""What a sweep looks like while it runs and when it has ended."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from videxp.config.composing.sweeping import Axis
from videxp.runs.folder import RunFolder
from videxp.sweeps.controller import Active
from videxp.sweeps.launching import clean_environment
from videxp.sweeps.search import Objective, Plan, Trial
from videxp.sweeps.watching import Line, LiveTable, best_of, counts, duration, table

PLAN = Plan(
    axes=[Axis("optimizer.lr", low=1e-4, high=1e-1), Axis("model", values=("c3d", "s3d"))],
    objectives=[Objective("val/accuracy", "maximize")],
    sampler="random",
    trials=5,
)


def trial(number: int, state: str, score: float | None = None, cause: str = "") -> Trial:
    values = {"optimizer.lr": f"{0.012345678 * (number + 1)}", "model": "c3d"}
    return Trial(f"{number:04d}", number, state, values, scores=None if score is None else [score], cause=cause)


TRIALS = [
    trial(0, "finished", 0.71),
    trial(1, "failed", cause="RuntimeError: out of memory"),
    trial(2, "finished", 0.93),
    trial(3, "running"),
]
LINES = [Line(one, one.state, 61.0) for one in TRIALS]


def shown(view: object) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(view)
    return console.file.getvalue()


def test_a_table_holds_values_scores_and_causes():
    text = shown(table(LINES, PLAN, best=["0002"]))
    assert "0.01235" in text and "0.012345678" not in text  # a column for people
    assert "0.93" in text and "1 min 1 s" in text
    assert "RuntimeError: out of memory" in text
    assert counts(LINES, PLAN) == "3 of 5 trials: 2 finished, 1 failed, 1 running"


def test_the_best_is_one_or_a_front():
    assert best_of(LINES, PLAN.objectives) == ["0002"]
    two = [Objective("val/accuracy", "maximize"), Objective("throughput/latency_ms", "minimize")]
    scores = {"0000": [0.9, 50.0], "0001": [0.8, 10.0], "0002": [0.7, 20.0], "0003": [0.9, 60.0]}
    lines = [Line(Trial(name, 0, "finished", {}, scores=pair), "finished", 1.0) for name, pair in scores.items()]
    assert best_of(lines, two) == ["0000", "0001"]


def test_the_live_table_shows_what_runs_and_what_is_left(tmp_path: Path):
    console = Console(file=io.StringIO(), width=100, force_terminal=True, highlight=False)
    (tmp_path / "0000").mkdir()
    (tmp_path / "0000/status.json").write_text('{"state": "finished", "seconds": 60.0}')
    view = LiveTable(console, folder=tmp_path, plan=PLAN, trials=lambda: TRIALS, slots=2)
    running = Active(TRIALS[3], RunFolder(tmp_path / "0003"), "1:1", since=0.0, curve={0: 0.25, 1: 0.55})
    view.started(running, "pid 1")
    view.refresh([running])
    view.close()
    text = console.file.getvalue()
    assert "0.55" in text and "0.25" not in text
    assert "3 of 5 trials: 2 finished, 1 failed, 1 running; about 1 min 0 s left" in text


@pytest.mark.parametrize(("seconds", "text"), [(3.21, "3.2 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_are_read_at_a_glance(seconds: float, text: str):
    assert duration(seconds) == text


def test_what_a_parent_left_in_the_environment_is_taken_out():
    left = ["RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "GROUP_RANK"]
    left += ["PL_GLOBAL_SEED", "SLURM_NTASKS", "SLURM_PROCID", "TORCHELASTIC_RUN_ID", "WANDB_RUN_ID", "WANDB_SWEEP_ID"]
    kept = {"PATH": "/bin", "RANKING": "1", "WANDB_API_KEY": "k", "WANDB_MODE": "offline", "CUDA_VISIBLE_DEVICES": "1"}
    assert clean_environment({**dict.fromkeys(left, "1"), **kept}) == kept
