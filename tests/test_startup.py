"""What a command has to wait for: the libraries that it imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.runs.made import CONFIG as RUN_CONFIG
from tests.runs.made import changed, make_run
from tests.shrink import tiny

RECIPE = "classification/moving_digits"
LIBRARIES = (
    *("hydra", "omegaconf", "yaml", "rich", "numpy", "torch", "pytorch_lightning", "torchmetrics", "torchvision"),
    *("transformers", "scipy", "matplotlib", "wandb", "decord", "av", "torchcodec", "hydra_plugins"),
)
PROGRAM = """import sys
from videxp import cli
try:
    status = cli.main(sys.argv[2:])
except SystemExit as stop:  # argparse's, of --help
    status = stop.code
print(status, *(name for name in sys.argv[1].split() if name in sys.modules), file=sys.stderr)"""
CONFIG = {"hydra", "omegaconf", "yaml"}
CHECK = {*CONFIG, "numpy"}


def imported(*command: str, cwd: Path, status: int | None = 0, **environment: str) -> set[str]:
    """Which of the libraries `videxp COMMAND` imports in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, " ".join(LIBRARIES), *command],
        cwd=cwd,
        env={**clean_environment(cwd), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    answer, *found = done.stderr.splitlines()[-1].split()
    assert status is None or answer == str(status), done.stderr
    return set(found)


@pytest.mark.parametrize(
    ("command", "libraries"),
    [
        ("--help", set()),
        ("train --help", set()),
        ("list", set()),
        ("list models --json", set()),
        (f"train {RECIPE} --cfg job", CONFIG),
        (f"check {RECIPE}", CHECK),
        ("check super_resolution/sample_clips", CHECK),
        ("check generation/moving_digits", CHECK),
        (f"check {RECIPE} model=r3d_18", CHECK),
    ],
)
def test_a_command_that_only_answers_imports_no_more_than_it_needs(command: str, libraries: set[str], tmp_path: Path):
    assert imported(*command.split(), cwd=tmp_path) <= libraries


@pytest.mark.parametrize(
    "command",
    [
        "resume no",
        "evaluate no",
        "reproduce no",
        "predict no clip.mp4",
        "compare no",
        f"train {RECIPE} optimizer.lrr=1",
    ],
)
def test_a_refusal_does_not_wait_for_torch(command: str, tmp_path: Path):
    assert imported(*command.split(), cwd=tmp_path, status=2) <= CHECK


@pytest.mark.parametrize(
    ("line", "libraries"),
    [("videxp tr", set()), ("videxp train cl", set()), (f"videxp train {RECIPE} optimizer.l", CONFIG)],
)
def test_completion_imports_no_more_than_it_needs(line: str, libraries: set[str], tmp_path: Path):
    assert imported("-sc", "query=bash", cwd=tmp_path, COMP_LINE=line) <= libraries


def test_runs_are_compared_and_records_checked_without_torch(tmp_path: Path):
    assert imported("record", "--check", cwd=tmp_path, status=None) <= CONFIG  # 1 where a record is out of date
    for name in ("a", "b"):
        make_run(tmp_path / name)
    assert imported("compare", "a", "b", cwd=tmp_path) <= {"yaml", "rich"}


@pytest.mark.parametrize("task", ["Classification", "Restoration", "Generation"])
def test_the_help_of_predict_for_a_run_does_not_wait_for_torch(task: str, tmp_path: Path):
    make_run(tmp_path / "run", config=changed(RUN_CONFIG, task___target_=f"videxp.tasks.{task}"))
    assert imported("predict", "run", "--help", cwd=tmp_path) <= CHECK


@pytest.mark.slow
def test_a_training_imports_what_it_uses(tmp_path: Path):
    found = imported("train", RECIPE, *tiny("logger=csv"), cwd=tmp_path)
    assert {"torch", "pytorch_lightning", "torchmetrics"} <= found
    assert not found & {"wandb", "torchvision", "transformers"}  # scipy is used to make the digits
