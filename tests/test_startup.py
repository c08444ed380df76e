"""What a command has to wait for: the libraries that it imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.ready import put_ready_digits
from tests.runs.made import CONFIG as RUN_CONFIG
from tests.runs.made import changed, make_run
from tests.shrink import tiny

RECIPE = "classification/moving_digits"
LIBRARIES = (
    *("hydra", "omegaconf", "yaml", "rich", "numpy", "torch", "pytorch_lightning", "torchmetrics", "torchvision"),
    *("transformers", "scipy", "matplotlib", "wandb", "decord", "av", "torchcodec", "hydra_plugins"),
)
PROGRAM = """import json, os, sys
from videxp import cli
for command, line in json.loads(sys.argv[2]):
    os.environ["COMP_LINE"] = line
    try:
        status = cli.main(command)
    except SystemExit as stop:  # argparse's, of --help
        status = stop.code
    found = [name for name in sys.argv[1].split() if name in sys.modules]
    print(json.dumps([status, found]), file=sys.stderr)"""
CONFIG = {"hydra", "omegaconf", "yaml"}
CHECK = {*CONFIG, "numpy"}
COMPLETE = "-sc query=bash"


def imported(*commands: str, cwd: Path) -> list[tuple[int, set[str]]]:
    """Exit status of each `videxp COMMAND`, one after the other in one new interpreter, and the libraries it has then.

    A command may follow its name with " < " and the line that is to be completed.
    """
    asked = [(words.split(), line) for words, _, line in (command.partition(" < ") for command in commands)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, " ".join(LIBRARIES), json.dumps(asked)],
        cwd=cwd,
        env=clean_environment(cwd),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    assert len(answers) == len(commands), done.stderr
    return [(status, set(found)) for status, found in answers]


@pytest.mark.slow
def test_a_command_imports_no_more_than_it_needs(tmp_path: Path):
    """What only answers or refuses does not wait for torch, nor what only completes for more than the config."""
    for task in ("Classification", "Restoration", "Generation"):
        make_run(tmp_path / task, config=changed(RUN_CONFIG, task___target_=f"videxp.tasks.{task}"))
    # Those that need least come first: a library is there for all that follow.
    expected: dict[str, tuple[int, set[str]]] = {
        "--help": (0, set()),
        "train --help": (0, set()),
        "list": (0, set()),
        "list models --json": (0, set()),
        f"{COMPLETE} < videxp tr": (0, set()),
        f"{COMPLETE} < videxp train cl": (0, set()),
        f"{COMPLETE} < videxp train {RECIPE} optimizer.l": (0, CONFIG),
        f"train {RECIPE} --cfg job": (0, CONFIG),
        f"check {RECIPE}": (0, CHECK),
        "check super_resolution/sample_clips": (0, CHECK),
        "check generation/moving_digits": (0, CHECK),
        f"check {RECIPE} model=r3d_18": (0, CHECK),
        "resume no": (2, CHECK),
        "evaluate no": (2, CHECK),
        "reproduce no": (2, CHECK),
        "predict no clip.mp4": (2, CHECK),
        "stream no clip.mp4": (2, CHECK),
        "compare no": (2, CHECK),
        f"train {RECIPE} optimizer.lrr=1": (2, CHECK),
        "predict Classification --help": (0, CHECK),
        "predict Restoration --help": (0, CHECK),
        "predict Generation --help": (0, CHECK),
        "stream Classification --help": (0, CHECK),
        "stream Restoration no.mp4": (2, CHECK),
    }
    for command, (status, found) in zip(expected, imported(*expected, cwd=tmp_path), strict=True):
        assert (command, status, found - expected[command][1]) == (command, expected[command][0], set())


@pytest.mark.slow
def test_runs_are_compared_and_records_checked_without_torch(tmp_path: Path):
    ((_, found),) = imported("record --check", cwd=tmp_path)  # 1 where a record is out of date
    assert found <= CONFIG
    for name in ("a", "b"):
        make_run(tmp_path / name)
    ((status, found),) = imported("compare a b", cwd=tmp_path)
    assert status == 0 and found <= {"yaml", "rich"}


@pytest.mark.slow
def test_a_training_imports_what_it_uses(tmp_path: Path):
    words = tiny("logger=csv", "trainer.max_epochs=1")
    put_ready_digits(words, cwd=tmp_path, environment=clean_environment(tmp_path))  # scipy is used to make them
    ((status, found),) = imported(" ".join(["train", RECIPE, *words]), cwd=tmp_path)
    assert status == 0 and {"torch", "pytorch_lightning", "torchmetrics"} <= found
    assert not found & {"wandb", "torchvision", "transformers", "scipy"}
