"""Files with names of every kind are trained on, evaluated, labelled, and found again in what was written."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import videxp
from videxp.config.composing.overriding import check_overrides
from videxp.core.files import unescape_name
from videxp.tasks.pictures import Example, save_confusion_matrix, save_prediction_clips, save_prediction_strips

NAMES = [
    os.fsdecode(name)
    for name in (
        b"caf\xe9.mp4",
        b"x" * 246 + b".mp4",
        b"line\nfeed\ttab.mp4",
        b"'q'\",;|.mp4",
        b"-dash.mp4",
        b"%41 {} [*?].mp4",
        b"[/]$\\foo$.mp4",
        b"\\udce9.mp4",
        b"\x1b[31m.mp4",
        "e\u0301 走 😀.mp4".encode(),
    )
]
CLASS = os.fsdecode(b"b\xe9 $\\foo$ \n")


@pytest.mark.slow
def test_names_survive_training_evaluation_and_prediction(tmp_path: Path, films: dict[str, Path]):
    for split in ("train", "val", "test"):
        for label, names in (("a", NAMES), (CLASS, ["0.mp4"])):
            for name in names:
                place = tmp_path / "data" / split / label / name
                place.parent.mkdir(parents=True, exist_ok=True)
                unlike = len(list(tmp_path.rglob("*"))).to_bytes(4, "big")
                place.write_bytes(films["bar.mp4"].read_bytes() + b"\0\0\0\x0cfree" + unlike)
    data = [
        "dataset=folder_per_class",
        "dataset.root=data",
        "dataset.size=24",
        "dataset.num_frames=4",
        "dataset.batch_size=4",
    ]
    words = [*data, "trainer=quick", "hardware=cpu", "hardware.num_workers=0", "logger=csv", "hydra.run.dir=run"]
    done = videxp("train", "classification/moving_digits", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    paths = {f"test/a/{name}" for name in NAMES} | {f"test/{CLASS}/0.mp4"}

    done = videxp("evaluate", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {unescape_name(row["path"]) for row in rows} == paths
    assert {unescape_name(row["label"]) for row in rows} == {"a", CLASS}
    evaluation = json.loads((run / "evaluation.json").read_bytes())
    assert {row["path"] for row in evaluation["worst"]} <= paths

    for output in (["-o", "labels.json"], []):
        done = videxp("predict", "run", "data/test", *output, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        labelled = json.loads((tmp_path / "labels.json").read_bytes() if output else done.stdout)
        assert {result["path"] for result in labelled} == {f"data/{path}" for path in paths}
    assert videxp("compare", "run", "--html", "x.html", "--csv", "y" * 251 + ".csv", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_all_names_can_be_drawn(tmp_path: Path):
    names = [*NAMES, CLASS]
    examples = [Example(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), name, "b") for name in names]
    save_confusion_matrix(torch.eye(len(names)).long(), names, tmp_path / "matrix.png")
    save_prediction_strips(examples, tmp_path / "strips.png", frames_shown=2)
    save_prediction_clips(examples, tmp_path / "clips.mp4", fps=5)


def test_a_folder_whose_name_is_not_utf8_is_given_by_a_link(tmp_path: Path, put: Callable[..., Path]):
    put("train/walk/a.mp4")
    os.rename(tmp_path / "root", os.fsencode(tmp_path) + b"/caf\xe9")
    named = os.fsdecode(b"dataset.root=caf\xe9")
    for text in (named, named.replace("caf", "'caf") + "'"):
        problems, usable = check_overrides([text])
        assert usable == [] and "is not UTF-8" in str(problems[0]) and "ln -s" in str(problems[0])
    os.symlink(os.fsencode(tmp_path) + b"/caf\xe9", tmp_path / "cafe")
    done = videxp("prepare", "folder_per_class", "dataset.root=cafe", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
