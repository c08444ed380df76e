"""A run folder is never half-written and never written over."""

from pathlib import Path

import pytest

from videxp.config import save_overrides
from videxp.core.errors import BadRequest
from videxp.core.files import replacing, write_text
from videxp.core.outputs import own_files
from videxp.runs.folder import RunFolder, open_run


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "status.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("killed")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_in_place_would_have_left_half_a_file(tmp_path: Path):
    path = tmp_path / "status.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), path.open("w") as file:
        file.write("half of the n")
        raise RuntimeError("killed")
    assert path.read_text() == "half of the n"


def test_replaced_files_can_be_read_by_others(tmp_path: Path):
    write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_state_is_what_was_set_last(tmp_path: Path):
    run = RunFolder(tmp_path)
    run.set_state("running")
    assert run.status()["state"] == "running"
    run.set_state("failed", cause="RuntimeError: x")
    assert (run.status()["state"], run.status()["cause"]) == ("failed", "RuntimeError: x")


def test_an_existing_run_is_not_written_over(tmp_path: Path):
    run = RunFolder(tmp_path / "run").create()
    run.config.write_text("seed: 0\n")
    with pytest.raises(BadRequest, match="holds a run already"):
        run.create()


def test_half_of_a_plan_that_a_kill_left_is_planned_anew(tmp_path: Path):
    run = RunFolder(tmp_path / "run").create()
    for write in (lambda: None, lambda: save_overrides(["seed=1"], run.overrides)):
        run.plan(command="videxp train a/b", recipe="a/b")
        write()
        assert own_files(run.create().path) == []
    run.plan(command="videxp train a/b", recipe="a/b")
    run.metrics.write_text("of something else")
    with pytest.raises(BadRequest, match=r"holds metrics.csv already"):
        run.create()
    run.metrics.unlink()
    write_text(run.provenance, '{"state": "running"}')
    with pytest.raises(BadRequest, match=r"holds provenance.json already"):
        run.create()


def test_the_checkpoint_is_the_best_then_the_last_then_an_error(tmp_path: Path):
    run = RunFolder(tmp_path)
    with pytest.raises(BadRequest, match=r"neither checkpoints/best\.ckpt nor"):
        run.checkpoint()
    run.last.parent.mkdir()
    run.last.touch()
    assert run.checkpoint() == run.last
    run.best.touch()
    assert run.checkpoint() == run.best


def test_a_folder_that_is_no_run_is_named(tmp_path: Path):
    with pytest.raises(BadRequest, match=r"is not a run folder: it has no config\.yaml"):
        open_run(str(tmp_path))
    file = tmp_path / "config.yaml"
    file.touch()
    with pytest.raises(BadRequest, match=r"config\.yaml is not a run folder: it is a file"):
        open_run(str(file))


@pytest.mark.parametrize("content", [b"", b'{"state": ', b"\xff\x00", b"[]", b"{}", b"3"])
def test_a_damaged_state_is_named_with_the_remedy(content: bytes, tmp_path: Path):
    run = RunFolder(tmp_path)
    run.state.write_bytes(content)
    with pytest.raises(BadRequest, match=f"{run.state}: damaged.*\n.*rm {run.state}; videxp resume {tmp_path}$"):
        run.require_state()
    run.state.unlink()
    assert run.require_state() == "interrupted"


def test_a_planned_run_has_its_recipe_and_stands_queued_until_it_begins(tmp_path: Path):
    run = RunFolder(tmp_path)
    assert (run.standing().state, run.standing().trouble, run.recipe) == ("broken", "no status.json", "")
    run.plan(command="videxp train mine/tiny", recipe="mine/tiny")
    assert (run.standing().state, run.recipe, run.is_planned) == ("queued", "mine/tiny", True)
    run.set_state("failed", cause="out of memory")
    assert (run.standing().state, run.standing().trouble, run.is_planned) == ("failed", "out of memory", True)
