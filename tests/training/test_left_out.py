"""A run goes on with the samples that it began with though files have gone since, and keeps what it went without."""

from pathlib import Path

import pytest

from tests.films import Put, module
from videxp.data import FolderPerClass, VideoDataModule
from videxp.runs.differences import environment_differences
from videxp.runs.folder import RunFolder
from videxp.training.callbacks.left_out import read_manifest, recall_data, save_manifest


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for i in range(6):
        put(f"train/{'ab'[i % 2]}/{i}.mp4")
    put("val/a/0.mp4")
    return tmp_path / "root"


def prepared(tmp_path: Path, *, max_unreadable: int) -> VideoDataModule:
    data = module(tmp_path, FolderPerClass(), max_unreadable=max_unreadable)
    data.prepare()
    return data


def test_after_files_have_gone_samples_keep_their_numbers(root: Path, put: Put, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    before = prepared(tmp_path, max_unreadable=2)
    save_manifest(before.manifest, run.manifest)
    (root / "train/a/2.mp4").unlink()
    put("train/b/3.mp4", of="broken.mp4")
    again = prepared(tmp_path, max_unreadable=2)
    assert again.fingerprint != before.fingerprint  # so that to resume would be refused
    assert again.counts["train"] == 4
    recall_data(again, run)
    assert again.fingerprint == before.fingerprint
    assert [again.dataset("train").path(i) for i in range(6)] == [before.dataset("train").path(i) for i in range(6)]
    assert again.quarantine.before == 0  # they will be found missing once more, and counted then


@pytest.mark.slow
@pytest.mark.parametrize("change", ["a new file", "other content", "more than may be missing"])
def test_any_other_change_is_left_to_be_refused(change: str, root: Path, put: Put, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    before = prepared(tmp_path, max_unreadable=1)
    save_manifest(before.manifest, run.manifest)
    (root / "train/a/2.mp4").unlink()
    if change == "a new file":
        put("train/a/new.mp4")
    elif change == "other content":
        put("train/a/0.mp4", of="ntsc.mp4")
    else:
        (root / "train/a/4.mp4").unlink()
    again = prepared(tmp_path, max_unreadable=1)
    fingerprint = again.fingerprint
    recall_data(again, run)
    assert again.fingerprint == fingerprint != before.fingerprint


def test_a_damaged_manifest_of_a_run_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.tsv.gz").write_bytes(b"\x1f\x8bnothing")
    assert read_manifest(tmp_path / "manifest.tsv.gz") is None
    assert read_manifest(tmp_path / "absent.tsv.gz") is None


def test_notes_of_a_run_outlive_its_states(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.set_state("running")
    run.note(quarantined={"a.mp4": "truncated"}, skipped_steps=[])
    run.set_state("failed", cause="x")
    assert run.status()["quarantined"] == {"a.mp4": "truncated"}
    assert "skipped_steps" not in run.status()
    run.note(quarantined={})
    assert "quarantined" not in run.status() and run.status()["state"] == "failed"


def test_files_that_failed_in_one_of_two_runs_could_explain_a_difference() -> None:
    before = {"packages": {}, "data": {"quarantined": {"a.mp4": "gone"}}}
    (found,) = environment_differences(before, {"packages": {}, "data": {"quarantined": {}}})
    assert (found.kind, found.name) == ("data", "files left out")
    assert "a.mp4" in str(found)
