"""What a run was made from beside code and data: recorded by value or hash, and compared."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from videxp.config import environment_values, flat
from videxp.core.errors import BadRequest
from videxp.runs.differences import Difference, config_differences, outside_differences
from videxp.runs.inputs import record_inputs


def recorded(config: dict[str, Any], **known: Any) -> dict[str, Any]:
    cfg = OmegaConf.create(config)
    return record_inputs(flat(cfg), environment_values(cfg), **known)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


FROM_OUTSIDE = {"optimizer": {"lr": "${oc.decode:${oc.env:MY_LR,0.25}}", "betas": ["${oc.env:MY_LR,0.25}", 1]}}


def test_a_value_from_the_environment_is_kept_as_a_hash_and_told_by_its_variable(monkeypatch: pytest.MonkeyPatch):
    default = recorded(FROM_OUTSIDE)
    monkeypatch.setenv("MY_LR", "0.123456789")
    set_ = recorded(FROM_OUTSIDE)
    assert "0.123456789" not in json.dumps(set_)
    assert set(set_["variables"]) == {"optimizer.lr", "optimizer.betas[0]"}
    assert outside_differences(set_, recorded(FROM_OUTSIDE)) == []
    assert outside_differences(default, set_) == [
        Difference("variable", "MY_LR", "has another value (optimizer.lr, optimizer.betas[0])")
    ]
    monkeypatch.setenv("MY_LR", "0.25")  # what it is without
    assert recorded(FROM_OUTSIDE) == default


def test_a_variable_that_is_not_set_is_named_with_the_key_that_reads_it():
    cfg = OmegaConf.create({"optimizer": {"lr": "${oc.decode:${oc.env:MY_LR}}"}, "logger": {"a": "${oc.env:NONE}"}})
    with pytest.raises(BadRequest, match=r"^optimizer.lr=.*MY_LR is not set in the environment: MY_LR=V"):
        environment_values(cfg, leave_out=("logger.",))


def test_where_something_lies_is_no_input_but_what_lies_there_is(desk: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that was moved is the same; another one in its place is not."""
    config = {"dataset": {"root": "${oc.env:DATA}", "list": "a.csv"}, "task": {"weights": ["${oc.env:DATA}/w.pt"]}}
    for name in ("here", "there"):
        (desk / name).mkdir()
        (desk / name / "a.csv").write_text("a,b\n")
        (desk / name / "w.pt").write_bytes(b"weights")
    monkeypatch.setenv("DATA", "here")
    before = recorded(config)
    assert before["variables"] == {}
    assert {key: facts["path"] for key, facts in before["files"].items()} == {
        "dataset.list": "a.csv",
        "task.weights[0]": "${oc.env:DATA}/w.pt",
    }
    monkeypatch.setenv("DATA", "there")
    assert outside_differences(before, recorded(config)) == []
    (desk / "there/w.pt").write_bytes(b"Weights")
    assert outside_differences(before, recorded(config)) == [
        Difference("file", "task.weights[0]", "${oc.env:DATA}/w.pt has other content")
    ]
    (desk / "there/w.pt").unlink()
    assert outside_differences(before, recorded(config)) == []  # who needs it will miss it


def test_a_file_of_the_same_size_and_date_is_not_read_again_and_one_of_another_size_neither(desk: Path):
    config = {"model": {"weights": "w.pt"}, "hardware": {"file": "w.pt"}}
    file = desk / "w.pt"
    file.write_bytes(b"1234")
    before = recorded(config)["files"]
    assert list(before) == ["model.weights"]
    os.chmod(file, 0)
    assert recorded(config, known=before)["files"] == before
    os.chmod(file, 0o644)
    file.write_bytes(b"12345")
    assert recorded(config, known=before)["files"]["model.weights"]["sha256"] is None
    file.write_bytes(b"4321")
    os.utime(file, ns=(0, before["model.weights"]["mtime_ns"] + 1))
    changed = recorded(config, known=before)["files"]["model.weights"]
    assert changed["sha256"] not in (None, before["model.weights"]["sha256"])


def test_of_a_run_that_is_learned_from_its_checkpoint_counts(desk: Path):
    (desk / "runs/big/checkpoints").mkdir(parents=True)
    (desk / "runs/big/config.yaml").write_text("a: 1\n")
    config = {"task": {"teacher": "runs/big"}}
    assert recorded(config)["files"] == {}
    for name in ("last", "best"):
        (desk / f"runs/big/checkpoints/{name}.ckpt").write_text(name)
    before = recorded(config)
    (desk / "runs/big/checkpoints/last.ckpt").write_text("more")
    assert outside_differences(before, recorded(config)) == []
    (desk / "runs/big/checkpoints/best.ckpt").write_text("more")
    assert [one.name for one in outside_differences(before, recorded(config))] == ["task.teacher"]


def test_a_key_that_was_edited_is_told_with_both_values():
    found = config_differences({"a": 1, "b": None, "c": "x"}, {"a": 2, "b": None, "d": True})
    assert [str(one).split(None, 1)[1] for one in found] == ["a: 1 -> 2", "c: x -> absent", "d: absent -> true"]
