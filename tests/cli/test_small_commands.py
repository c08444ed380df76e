"""Commands that need no training: help, completion, prepare, and what predict and compare do with their arguments."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment, videxp
from videxp.cli import command_names, main
from videxp.core.errors import BadRequest
from videxp.deploy.inputs import expand


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"videxp {name} " in printed for name in command_names())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "did you mean train?"),
        (["frobnicate"], "commands: train, sweep, resume, reproduce, evaluate"),
        (["train", "--cfg", "job"], "the recipe comes first"),
        (["train", "classification/moving_digits", "sweep.trials=3"], "is about many runs; videxp sweep"),
        (["evaluate", "nowhere"], "nowhere is not a run folder"),
        (["compare", "nowhere"], "nowhere: no such folder"),
        (["predict", "nowhere", "no.mp4"], "nowhere is not a run folder"),
        (["predict", "nowhere.onnx", "no.mp4"], "nowhere.onnx: no such file"),
        (["evaluate", "nowhere.onnx"], "nowhere.onnx: no such file"),
        (["completion", "bash"], "expected install=bash"),
    ],
)
def test_a_bad_request_is_one_line_and_status_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.slow
def test_prepare_says_what_it_found_and_is_quick_the_second_time(tmp_path: Path):
    few = [f"dataset.layout.{split}_videos=10" for split in ("train", "val", "test")]
    first = videxp("prepare", "moving_digits", *few, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "10 train, 10 val, 10 test" in first.stdout
    second = videxp("prepare", "moving_digits", *few, "--json", cwd=tmp_path)
    facts = json.loads(second.stdout)
    assert facts["unreadable"] == []
    assert facts["fingerprint"] in first.stdout
    assert "Reading" not in second.stderr


@pytest.mark.slow
def test_prepare_of_an_unknown_data_set_or_folder_is_told(tmp_path: Path):
    wrong = videxp("prepare", "moving_digit", cwd=tmp_path)
    assert (wrong.returncode, "did you mean moving_digits" in wrong.stderr) == (2, True)
    nowhere = videxp("prepare", "ucf101", "dataset.root=nowhere", cwd=tmp_path)
    assert (nowhere.returncode, "nowhere" in nowhere.stderr) == (2, True)
    assert len(nowhere.stderr.strip().splitlines()) <= 3
    misplaced = videxp("prepare", "moving_digits", "root=nowhere", cwd=tmp_path)
    assert "root=nowhere: no such key; did you mean dataset.root?" in misplaced.stderr


def complete(line: str, cwd: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "videxp.cli", "-sc", "query=bash"],
        env={**clean_environment(cwd), "COMP_LINE": line, "COMP_POINT": str(len(line))},
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    return set(done.stdout.split())


@pytest.mark.slow
def test_tab_completes_commands_recipes_groups_and_values(tmp_path: Path):
    assert complete("videxp tr", tmp_path) == {"train"}
    assert complete("videxp train classification/moving_digits_2", tmp_path) == {"classification/moving_digits_2d"}
    assert {"hardware=cpu", "hardware=ddp_cpu"} <= complete(
        "videxp train classification/moving_digits hardware=", tmp_path
    )
    assert "optimizer.lr=" in complete("videxp train classification/moving_digits optimizer.l", tmp_path)


@pytest.mark.slow
def test_the_completion_script_is_one_for_videxp(tmp_path: Path):
    done = videxp("-sc", "install=bash", cwd=tmp_path)
    assert "complete -o nospace" in done.stdout
    check = subprocess.run(["bash", "-n"], input=done.stdout, text=True, capture_output=True, check=False)
    assert check.returncode == 0


def test_predict_takes_files_folders_and_globs(tmp_path: Path):
    for name in ("a.mp4", "b/c.MKV", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def names(inputs: list[str]) -> list[str]:
        return [os.path.relpath(path, tmp_path) for path in expand([str(tmp_path / each) for each in inputs])]

    assert names(["a.mp4"]) == ["a.mp4"]
    assert names(["."]) == ["a.mp4", "b/c.MKV"]
    assert names(["b/*.MKV", "a.mp4"]) == ["b/c.MKV", "a.mp4"]
    (tmp_path / "link").symlink_to("b")
    assert names(["b", "a.mp4", "link/c.MKV", "./a.mp4"]) == ["b/c.MKV", "a.mp4"]
    with pytest.raises(BadRequest, match="nothing"):
        expand([str(tmp_path / "nothing*")])
