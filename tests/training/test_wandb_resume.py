"""A resumed run is one curve in W&B: the real client, online and by `wandb sync`, against a server on loopback."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import clean_environment
from tests.training import killing
from tests.training.conftest import command
from tests.training.killing import KILLED, Kill
from tests.training.wandb_server import Server, serving
from videxp.training.loggers.metrics_file import read_metrics

pytestmark = pytest.mark.slow

# ---- each in a process of its own ------------------------------------------------------------------------------------


def log_rows(first: int, upto: int, *run_id: str) -> None:
    """An attempt: hand over `first` rows of an earlier one (if there is its id), log up to `upto`."""
    from videxp.training.loggers.wandb_logger import WandbRun

    run = WandbRun(save_dir=".", project="videxp")
    if run_id:
        run.go_on(run_id[0], rows=[{"step": float(step), **losses(step)} for step in range(1, first + 1)])
    run.start(config={}, group=None, tags=[], notes=None)
    for step in range(first + 1, upto + 1):
        run.log_metrics(losses(step), step=step)
    print(run.version, flush=True)
    run.finish(summary={}, exit_code=0)


def losses(step: int) -> dict[str, float]:
    return {"epoch": 0, "train/loss": 1 / step}


def log_rows_saying_all(*arguments: object) -> None:
    os.dup2(1, 2)
    log_rows(*arguments)


def log_rows_as_usual(first: int, upto: int, run_id: str) -> None:
    import wandb

    settings = wandb.Settings(silent=True, console="off")
    run = wandb.init(project="videxp", id=run_id, resume="allow", settings=settings)
    for step in range(first + 1, upto + 1):
        run.log({"step": step, "train/loss": 1 / step})
    run.finish()


def wandb_command(*arguments: str) -> None:
    """As `wandb ARGUMENTS` in a shell."""
    from wandb.cli.cli import cli

    cli(list(arguments), standalone_mode=False)


# ---- here ------------------------------------------------------------------------------------------------------------


def attempt(
    folder: Path,
    server: Server,
    *arguments: object,
    log: Callable[..., None] = log_rows,
    mode: str = "online",
    **variables: str,
) -> str:
    """The run's id."""
    environment = clean_environment(folder) | {
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": "x" * 40,
        "WANDB_MODE": mode,
        **variables,
    }
    return forked.call(log, *arguments, cwd=folder, environment=environment).strip()


def sync(folder: Path, server: Server, *arguments: str) -> None:
    environment = clean_environment(folder) | {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "x" * 40}
    forked.call(wandb_command, "sync", *arguments, cwd=folder, environment=environment)


def steps(server: Server, run_id: str) -> list[int]:
    rows = server.rows(run_id)
    assert [row["_step"] for row in rows] == list(range(len(rows)))
    assert all(row["train/loss"] == 1 / row["step"] for row in rows)
    return [row["step"] for row in rows]


def test_online_rows_after_the_checkpoint_come_once_and_rows_lost_on_their_way_are_filled_in(tmp_path: Path):
    with serving() as server:
        run_id = attempt(tmp_path, server, 0, 10)
        assert steps(server, run_id) == list(range(1, 11))
        # The checkpoint was at row 6: 7 to 10 are logged again. The client warns of rows handed over twice.
        said = attempt(tmp_path, server, 6, 14, run_id, log=log_rows_saying_all)
        assert "step" not in said and "WARNING" not in said and "videxp:" not in said, said
        assert steps(server, run_id) == list(range(1, 15))
        server.history[run_id] = {i: row for i, row in server.history[run_id].items() if i < 3}  # a kill took the rest
        attempt(tmp_path, server, 6, 14, run_id)
        assert steps(server, run_id) == list(range(1, 15))
        assert len(server.history) == 1


def test_offline_attempts_are_one_run_after_a_sync(tmp_path: Path):
    with serving() as server:
        run_id = attempt(tmp_path, server, 0, 10, mode="offline")
        attempt(tmp_path, server, 6, 14, run_id, mode="offline")
        assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1
        assert len(list(tmp_path.glob("wandb/superseded-offline-run-*"))) == 1
        sync(tmp_path, server, "--yes")  # all that wandb finds
        assert steps(server, run_id) == list(range(1, 15))


def test_stock_offline_attempts_with_one_id_write_over_each_other(tmp_path: Path):
    with serving() as server:
        attempt(tmp_path, server, 0, 10, "same", log=log_rows_as_usual, mode="offline")
        attempt(tmp_path, server, 6, 14, "same", log=log_rows_as_usual, mode="offline")
        for folder in sorted(tmp_path.glob("wandb/offline-run-*")):
            sync(tmp_path, server, str(folder))
        assert [row["step"] for row in server.rows("same")] != list(range(1, 15))


def test_a_run_that_videxp_resumed_holds_the_rows_of_metrics_csv(workspace: Path):
    arguments = command("logger=wandb", run="curve")
    for batch in (1, 8):  # before the first row, and after the first checkpoint
        statuses, printed = killing.run(*arguments, cwd=workspace, kill=Kill("batch", nth=batch))
        assert statuses == [KILLED], printed
        arguments = ["resume", "runs/curve"]
    statuses, printed = killing.run("resume", "runs/curve", cwd=workspace)
    assert statuses == [0], printed
    run_id = json.loads((workspace / "runs/curve/provenance.json").read_text())["wandb_id"]
    (offline,) = (workspace / "runs/curve/wandb").glob("offline-run-*")
    assert offline.name.endswith(run_id)
    assert f"wandb sync runs/curve/wandb/{offline.name}" in printed
    with serving() as server:
        sync(workspace / "runs/curve", server, "--yes")
        sent = [{k: v for k, v in row.items() if not k.startswith("_")} for row in server.rows(run_id)]
    assert sent == read_metrics(workspace / "runs/curve/metrics.csv")


def test_a_run_that_began_offline_may_go_on_online(tmp_path: Path):
    with serving() as server:
        run_id = attempt(tmp_path, server, 0, 10, mode="offline")
        attempt(tmp_path, server, 6, 14, run_id)
        assert steps(server, run_id) == list(range(1, 15))


def test_a_trial_that_wandbs_agent_began_has_the_agents_run_id_and_keeps_it_when_it_is_resumed(tmp_path: Path):
    with serving() as server:
        agents = {"WANDB_RUN_ID": "trial1", "WANDB_SWEEP_ID": "sweep1", "WANDB_PROJECT": "of_the_sweep"}
        assert attempt(tmp_path, server, 0, 10, **agents) == "trial1"
        assert attempt(tmp_path, server, 6, 14, "trial1") == "trial1"  # without the agent
        assert steps(server, "trial1") == list(range(1, 15))
        assert list(server.history) == ["trial1"]
