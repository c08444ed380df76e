"""`videxp predict` asks the run's task what to do, so that a task of one's own needs no edit anywhere."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import clean_environment
from tests.shrink import tiny
from tests.video.torture_set import source_frames
from videxp import cli
from videxp.config import compose, save_resolved
from videxp.training.assembling import build_task
from videxp.video import open_video, write_video

RECIPE = "classification/moving_digits"
TASK = """
from typing import Any, ClassVar
import torch
from videxp.tasks import Contract, VideoTask


class Twice(torch.nn.Module):
    scale, radius = 2, 0

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return video.repeat_interleave(2, -1).repeat_interleave(2, -2)


class Enlargement(VideoTask):
    contract: ClassVar[Contract] = Contract(predictor="PREDICTOR")

    def __init__(self, *, optimizer: Any, scheduler: Any, classes: list[str], monitor: str = "val/error") -> None:
        super().__init__(network=Twice(), optimizer=optimizer, scheduler=scheduler, monitor=monitor)
"""
PREDICTOR = '''
"""Counts."""


def add_arguments(parser):
    parser.add_argument("--num", type=int, required=True)


def predict(task, datamodule, options):
    print(type(task).__name__, datamodule.num_frames, options.num)
    return 7
'''


def make_run(folder: Path, monkeypatch: pytest.MonkeyPatch, *, predictor: str, package: str) -> None:
    """A run folder of a task of one's own, as after a training."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VIDEXP_ALLOW", package)
    monkeypatch.syspath_prepend(folder)
    (folder / f"{package}.py").write_text(TASK.replace("PREDICTOR", predictor))
    (folder / "own_predictor.py").write_text(PREDICTOR)
    composed = compose(RECIPE, tiny())
    composed.cfg.task = {"_target_": f"{package}.Enlargement"}
    (folder / "run/checkpoints").mkdir(parents=True)
    save_resolved(composed.cfg, folder / "run/config.yaml")
    task = build_task(composed.cfg, classes=["a", "b"])
    torch.save({"classes": ["a", "b"], "state_dict": task.state_dict()}, folder / "run/checkpoints/best.ckpt")


@pytest.mark.slow
def test_a_restoration_run_restores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make_run(tmp_path, monkeypatch, predictor="videxp.deploy.restore_files", package="enlarging")
    write_video(tmp_path / "in.mp4", source_frames(5, (16, 24)), fps=25)
    assert cli.main(["predict", "run", "in.mp4", "-o", "out.mp4", "--window", "3", "--crf", "10"]) == 0
    with open_video(tmp_path / "out.mp4") as video:
        assert (video.num_frames, video.size) == (5, (32, 48))
    printed = capsys.readouterr().out
    assert "24x16 -> 48x32, windows of 3 frames (overlap 0), whole frames" in printed
    assert "5 frames -> out.mp4" in printed

    for arguments, message in [
        (["in.mp4", "-o", "out.mp4"], "out.mp4 is there already: choose another name, or add --overwrite"),
        (["in.mp4", "-o", "in.mp4", "--overwrite"], "in.mp4 is the input itself"),
        (["no.mp4", "-o", "new.mp4"], "no.mp4: no such video file"),
        (["in.mp4", "-o", "new.avi"], "avi does not keep the times of frames"),
        (["in.mp4", "-o", "new.mp4", "--window", "4", "--overlap", "2"], "--window 4 --overlap 2"),
        (["in.mp4", "-o", "new.mp4", "--codec", "libx999"], "libx999"),
    ]:
        assert cli.main(["predict", "run", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) <= 3 and "Traceback" not in error
    assert not list(tmp_path.glob("*new*"))


@pytest.mark.slow
def test_what_must_not_be_written_is_refused_before_any_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make_run(tmp_path, monkeypatch, predictor="videxp.deploy.label_files", package="labelling")
    checkpoint, film = Path("run/checkpoints/best.ckpt"), Path("film.mp4")
    checkpoint.write_bytes(b"damaged: would be told")
    film.write_bytes(b"film")
    Path("old.json").write_text("old")
    for output, message in [
        ("film.mp4", "-o film.mp4 is the input itself: choose another name"),
        ("./run/../film.mp4", "is the input itself"),
        ("old.json", "-o old.json is there already: choose another name, or add --overwrite"),
        (str(checkpoint), "best.ckpt is one of the run's own files"),
        ("run/evaluation.json", "is one of the run's own files"),
        ("run", "-o run is a folder: give a file"),
        ("film.mp4/labels.json", "cannot be written"),
        ("x" * 300, "a name may have 255 bytes"),
    ]:
        for more in [[], ["--overwrite"]] if "already" not in message else [[]]:
            assert cli.main(["predict", "run", "film.mp4", "-o", output, *more]) == 2
            error = capsys.readouterr().err
            assert message in error and len(error.splitlines()) == 1
    assert (film.read_bytes(), Path("old.json").read_text()) == (b"film", "old")
    assert checkpoint.read_bytes() == b"damaged: would be told"
    assert cli.main(["export", "run", "--format", "safetensors", "-o", str(checkpoint), "--overwrite"]) == 2
    assert "is one of the run's own files" in capsys.readouterr().err


@pytest.mark.slow
def test_a_task_of_ones_own_brings_its_own_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make_run(tmp_path, monkeypatch, predictor="own_predictor", package="counting")
    assert cli.main(["predict", "run", "--num", "16"]) == 7
    assert capsys.readouterr().out == "Enlargement 4 16\n"


@pytest.mark.slow
def test_a_task_that_predicts_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make_run(tmp_path, monkeypatch, predictor="", package="silent")
    assert cli.main(["predict", "run", "in.mp4"]) == 2
    assert "a run of Enlargement, which says nothing about predicting" in capsys.readouterr().err


def test_the_run_comes_first(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["predict", "-o", "out.mp4", "run"]) == 2
    assert "the run folder comes first, got -o" in capsys.readouterr().err
    assert cli.main(["predict", "--help"]) == 0
    usage = re.sub(" +", " ", capsys.readouterr().out)
    assert "videxp predict RUN --help" in usage and " generation videxp predict RUN --num 16 -o CLIPS\n" in usage


SLOW = """
import signal, sys, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
from pathlib import Path
import videxp.cli as cli
from tests.deploy.networks import Identity
from videxp.deploy.restore import restore_video


class Slow(Identity):
    def forward(self, video):
        print("working", flush=True)
        time.sleep(0.3)
        return video


cli._dispatch = lambda arguments: restore_video(Slow(), Path("in.mp4"), Path("out.mp4"), window=1, say=lambda _: None)
sys.exit(cli.main([]))
"""


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path: Path):
    write_video(tmp_path / "in.mp4", source_frames(60, (16, 24)), fps=25)
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        cwd=tmp_path,
        env={**clean_environment(tmp_path), "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "working\n"
    assert len(list(tmp_path.iterdir())) == 2  # the input, and the output under another name
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "videxp: interrupted" in error
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
