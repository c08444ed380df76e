"""An evaluation in W&B: a run of its own, through the real client."""

import json
from pathlib import Path

import pytest

from tests.conftest import videxp
from tests.training.wandb_server import serving
from videxp.training.loggers.evaluation_run import LONGEST_ID, record_id


def test_evaluations_of_long_names_that_begin_alike_have_records_of_their_own():
    assert record_id("1a2b3c4d", "evaluation_val") == "1a2b3c4d-evaluation_val"
    names = [f"evaluation_{'a' * 50}_{end}" for end in ("val", "train")]
    ids = [record_id("1a2b3c4d", name) for name in names]
    assert ids[0] != ids[1] and [len(one) for one in ids] == [LONGEST_ID, LONGEST_ID]


@pytest.mark.slow
def test_an_evaluation_is_logged_beside_its_run_and_anew_when_it_is_repeated(finished, workplace: Path):
    run, _ = finished
    of_run = json.loads((run / "provenance.json").read_text())["wandb_id"]
    before = {path.name for path in (run / "wandb").glob(f"offline-run-*-{of_run}")}
    with serving() as server:
        online = {"WANDB_MODE": "online", "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "x" * 40}
        for _ in range(2):
            done = videxp("evaluate", str(run), cwd=workplace, **online)
            assert done.returncode == 0, done.stderr
            assert "W&B" not in done.stdout + done.stderr
    assert list(server.history) == [f"{of_run}-evaluation"]
    assert server.groups[f"{of_run}-evaluation"] == of_run
    metrics = json.loads((run / "evaluation.json").read_text())["metrics"]
    summary = server.summaries[f"{of_run}-evaluation"]
    assert {name: summary[name] for name in metrics} == metrics
    worst = [row for row in server.rows(f"{of_run}-evaluation") if "evaluation/worst_videos" in row]
    assert len(worst) == 2
    assert {path.name for path in (run / "wandb").glob(f"offline-run-*-{of_run}")} == before  # the run's own record
    assert before


@pytest.mark.slow
def test_an_offline_evaluation_says_how_to_upload_it_and_one_without_wandb_leaves_nothing(finished, workplace: Path):
    run, _ = finished
    done = videxp("evaluate", str(run), cwd=workplace)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("W&B")]
    assert Path(workplace, line.split()[-1]).is_dir()
    assert line.split()[-1].endswith("-evaluation")
    folders = {path.name for path in (run / "wandb").iterdir()}
    done = videxp("evaluate", str(run), cwd=workplace, WANDB_MODE="disabled")
    assert done.returncode == 0 and "W&B" not in done.stdout
    assert {path.name for path in (run / "wandb").iterdir()} == folders
