"""What W&B refuses is found by the check; what its variables cannot change is said."""

import os
from pathlib import Path

import pytest
import wandb

from videxp.config.checking.wandb_limits import LOGGER, wandb_problems
from videxp.training.loggers.wandb_environment import FOLDERS, overruled, replace_unusable_folders
from videxp.training.loggers.wandb_logger import short_name


def problems(project: str = "films", **run: object) -> list[str]:
    plain = {"logger": {"wandb": {"_target_": LOGGER, "project": project}}, "run": {"tags": [], "group": None, **run}}
    return [str(problem) for problem in wandb_problems(plain)]


@pytest.mark.parametrize("project", ["films", "x" * 128, "team/films", "a: #1", "50%", "a\\b", "x" * 129])
def test_a_projects_name_is_refused_where_the_client_refuses_it(project: str):
    try:
        wandb.Settings(project=project)
        is_refused = False
    except (wandb.errors.Error, ValueError):
        is_refused = True
    assert bool(problems(project)) == is_refused


def test_a_team_in_a_project_is_told_where_it_belongs():
    (said,) = problems("team/films")
    assert said.endswith("write logger.wandb.entity=team logger.wandb.project=films")


@pytest.mark.parametrize("tags", [["x" * 64, "a b"], ["x" * 65], [""], []])
def test_tags_are_refused_where_the_client_refuses_them(tags: list[str]):
    try:
        wandb.Settings(run_tags=tags)
        is_refused = False
    except ValueError:
        is_refused = True
    assert bool(problems(tags=tags)) == is_refused


def test_long_groups_and_what_variables_bring_are_measured_too(monkeypatch: pytest.MonkeyPatch):
    assert problems(group="x" * 128) == []
    assert problems(group="x" * 129)[0].startswith("run.group=xxx")
    monkeypatch.setenv("WANDB_TAGS", "a," + "x" * 65)
    assert "this one 65" in problems()[0] and problems(tags=["a"]) == []
    assert list(wandb_problems({"logger": {}, "run": {"tags": ["x" * 65]}})) == []


def test_names_that_videxp_makes_itself_are_short_enough():
    assert short_name(Path("runs/classification/moving_digits/1")) == "classification/moving_digits/1"
    long = Path("runs") / ("a" * 100) / ("b" * 100) / "20260101-000000-abcdef"
    assert len(short_name(long)) == 128 and short_name(long).endswith("/20260101-000000-abcdef")


def test_a_variable_without_effect_is_named():
    config = {"logger.wandb.project": "videxp", "logger.wandb.entity": None, "run.tags": ["a", "b"], "run.group": None}
    said = overruled(config, {"WANDB_PROJECT": "films", "WANDB_ENTITY": "me", "WANDB_TAGS": "c", "WANDB_NAME": "x"})
    assert said == [
        "WANDB_NAME has no effect: hydra.run.dir names the run",
        "WANDB_PROJECT=films has no effect: logger.wandb.project=videxp goes before it",
        "WANDB_TAGS=c has no effect: run.tags=a,b goes before it",
    ]
    assert overruled(config, {"WANDB_PROJECT": "films", "WANDB_SWEEP_ID": "s"}) == []  # W&B's agent decides
    assert overruled(config, {"WANDB_PROJECT": "videxp", "WANDB_RUN_GROUP": "g"}) == []


def test_a_folder_of_wandb_that_takes_no_files_is_replaced_by_one_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in FOLDERS:  # set first, so that what is set later is undone
        monkeypatch.setenv(name, str(tmp_path / "own"))
    assert list(replace_unusable_folders(tmp_path / "run")) == []
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "file/cache"))
    (line,) = replace_unusable_folders(tmp_path / "run")
    assert f"{tmp_path}/file/cache: Not a directory" in line and "WANDB_CACHE_DIR=FOLDER" in line
    assert os.environ["WANDB_CACHE_DIR"] == str(tmp_path / "run/wandb/cache")
    assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "own")
    assert list(replace_unusable_folders(tmp_path / "run")) == []


@pytest.mark.usefixtures("no_home")
def test_without_a_home_folder_wandb_keeps_all_in_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in FOLDERS:
        monkeypatch.setenv(name, "")
        del os.environ[name]
    (line,) = replace_unusable_folders(tmp_path / "run")
    assert "HOME is not set" in line
    assert {os.environ[name] for name in FOLDERS} == {
        str(tmp_path / "run/wandb" / name) for name in ("cache", "config", "data")
    }
