"""Reading run folders: every damage is told in words, and nothing that can be read is lost."""

import math
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.runs.made import ROWS, csv_text, make_run
from videxp.core.errors import BadRequest
from videxp.runs.folder import RunFolder
from videxp.runs.reading import Run, find_runs, read_run
from videxp.training.loggers.metrics_file import read_metrics


def test_last_best_time_and_speed_of_a_good_run(tmp_path: Path):
    run = read_run(make_run(tmp_path / "a"))
    assert (run.state, run.trouble, run.seconds) == ("finished", "", 12.5)
    assert (run.last("val/accuracy"), run.best("val/accuracy")) == (0.5, 0.75)  # more is better: the task says so
    assert (run.last("val/loss"), run.best("val/loss")) == (1.25, 1.25)
    assert run.best("train/loss") == 0.5
    assert run.clips_per_second == 40  # the median of 10, 50, 40
    assert run.headline == ["accuracy", "loss"]


def test_nan_is_a_last_value_but_never_the_best(tmp_path: Path):
    rows = [*ROWS, {"step": 8, "val/accuracy": "nan", "val/loss": "nan"}]
    run = read_run(make_run(tmp_path / "a", rows=rows))
    assert math.isnan(run.last("val/loss") or 0)
    assert (run.best("val/loss"), run.best("val/accuracy")) == (1.25, 0.75)


def test_a_row_that_a_kill_cut_off_is_left_out(tmp_path: Path):
    path = make_run(tmp_path / "a")
    text = csv_text([*ROWS, {"step": 8, "epoch": 1, "clips_seen": 64, "train/loss": 0.125}])
    (path / "metrics.csv").write_text(text[: text.rindex("25")])  # ...,0.1
    assert read_metrics(path / "metrics.csv")[-1]["train/loss"] == 0.1  # a plain reader believes it
    assert read_run(path).last("train/loss") == 0.5


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("status.json", '{"state": "run', "status.json cannot be read"),
        ("status.json", "[]", "status.json cannot be read: it does not hold what a run writes there"),
        ("status.json", "{}", 'status.json holds no "state"'),
        ("status.json", None, "no status.json"),
        ("config.yaml", "a: [1, 2", "config.yaml cannot be read"),
        ("config.yaml", "- 1\n", "config.yaml holds no mapping"),
        ("config.yaml", None, "no config.yaml"),
        ("config.yaml", "a: &a {b: *a}\n", "stands for nothing before it"),
    ],
)
def test_a_damaged_folder_is_told_as_broken_with_the_file(tmp_path: Path, name: str, content: str | None, words: str):
    path = make_run(tmp_path / "a")
    (path / "overrides.yaml").write_text("[]")
    (path / name).unlink() if content is None else (path / name).write_text(content)
    run = read_run(path)
    assert run.state == "broken"
    assert words in run.trouble
    assert "\n" not in run.trouble
    assert run.last("test/accuracy") == 0.625


def test_a_planned_run_is_queued_until_it_begins_and_broken_where_it_lost_its_state_later(tmp_path: Path):
    path = make_run(tmp_path / "a")
    for name in ("status.json", "metrics.csv"):
        (path / name).unlink()
    (path / "overrides.yaml").write_text("[]")
    assert read_run(path).state == "broken"
    RunFolder(path).plan(command="videxp train mine/tiny", recipe="mine/tiny")
    run = read_run(path)
    assert (run.state, run.trouble, run.seconds, run.config["optimizer.lr"]) == ("queued", "", None, 0.003)
    assert find_runs([str(tmp_path)]) == ([path], [])
    RunFolder(path).set_state("running")
    assert read_run(path).state == "running"


def test_a_damaged_row_is_named_and_what_comes_before_it_is_kept(tmp_path: Path):
    path = make_run(tmp_path / "a")
    (path / "metrics.csv").write_text("step,epoch,clips_seen,train/loss\n1,0,8,2.0\n2,0,16,x\n")
    run = read_run(path)
    assert (run.state, run.last("train/loss")) == ("finished", 2.0)
    assert "metrics.csv, line 3" in run.trouble


def test_a_config_is_only_looked_at_so_no_target_in_it_is_built_or_needs_to_be_allowed(tmp_path: Path):
    evil = {"model": {"_target_": "os.system", "command": "touch hacked"}}
    run = read_run(make_run(tmp_path / "a", config=evil))
    assert run.config == {"model._target_": "os.system", "model.command": "touch hacked"}
    (tmp_path / "a/config.yaml").write_text("a: !!python/object/apply:os.system ['touch hacked']\n")
    assert read_run(tmp_path / "a").state == "broken"
    assert not list(tmp_path.rglob("hacked"))


def test_runs_are_found_in_folders_beneath_them_and_by_globs_each_once(tmp_path: Path):
    a, b = make_run(tmp_path / "runs/a"), make_run(tmp_path / "runs/deep/er/b")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text("a: 1")  # not a run
    (a / "samples").mkdir()
    (a / "samples/status.json").write_text("{}")  # nor this
    (tmp_path / "runs/nothing").mkdir()
    assert find_runs([str(tmp_path)]) == ([a, b], [])
    assert find_runs([f"{tmp_path}/runs/*", str(a)]) == ([a, b], [f"{tmp_path}/runs/nothing"])
    assert find_runs([f"{tmp_path}/**/er"]) == ([b], [])
    with pytest.raises(BadRequest, match="no such folder"):
        find_runs([str(a), "nowhere"])
    with pytest.raises(BadRequest, match="no run folder there"):
        find_runs([str(tmp_path / "conf")])


def test_wall_time_adds_up_over_attempts_without_the_pause_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = RunFolder(tmp_path)
    run.config.write_text("a: 1")
    began = datetime.now(timezone.utc)
    for after, state in ((0, "running"), (10, "interrupted"), (60, "running"), (70, "finished")):
        monkeypatch.setattr("videxp.runs.folder._now", lambda now=began + timedelta(seconds=after): now)
        run.set_state(state)
    assert read_run(tmp_path).seconds == 20  # from the first start to the end it is 70


def test_an_attempt_that_was_killed_counts_until_its_last_row(tmp_path: Path):
    run = RunFolder(tmp_path)
    run.config.write_text("a: 1")
    run.set_state("running")
    run.metrics.write_text("step\n")
    later = time.time() + 60
    os.utime(run.metrics, (later, later))
    assert read_run(tmp_path).seconds == pytest.approx(60, abs=1)
    run.set_state("running")
    run.set_state("finished")
    assert read_run(tmp_path).seconds == pytest.approx(60, abs=1)


def test_a_tests_own_metrics_say_which_way_they_are_better():
    config = {"task._target_": "videxp.tasks.Restoration", "task.test_metrics.eye._target_": "videxp.metrics.Lpips"}
    run = Run(RunFolder(Path("run")), "finished", "", None, config, {}, {})
    assert [run.better(name) for name in ("test/eye", "test/psnr", "test/other")] == ["min", "max", None]
