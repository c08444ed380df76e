"""A repository may come from anyone: its own config names programs, which run when git compares files."""

import subprocess
from pathlib import Path

import pytest

from videxp.runs.code_state import code_state

COMMIT = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"]
# What .git/config says; each touches a file of its own when it runs.
PROGRAMS = {
    "filter.evil.clean": "touch ran-clean; cat",
    "filter.evil.required": "true",
    "filter.evil=x.process": "touch ran-process",
    "core.fsmonitor": "touch ran-fsmonitor; false",
    "diff.external": "touch ran-external; true",
    "diff.evil.textconv": "touch ran-textconv; cat",
}


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a changed file, a hook, a submodule, and programs in its config."""
    monkeypatch.setenv("HOME", str(tmp_path))
    root = tmp_path / "unpacked"
    inner = root / "inner"
    for folder in (inner, root):
        folder.mkdir(exist_ok=True, parents=True)
        git(folder, "init", "-q")
        (folder / "a.py").write_text("x = 1\n")
        (folder / "b.py").write_text("x = 1\n")
        (folder / ".gitattributes").write_text("a.py filter=evil diff=evil\nb.py filter=evil=x\n")
        git(folder, "add", "-A")
        git(folder, *COMMIT)
    for folder in (inner, root):
        for key, value in PROGRAMS.items():
            git(folder, "config", key, value)
        hook = folder / ".git/hooks/post-index-change"
        hook.write_text(f"#!/bin/sh\ntouch {root}/ran-hook\n")
        hook.chmod(0o755)
        for name in ("a.py", "b.py"):
            (folder / name).write_text("x = 2\n")
    return root


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "advice.addEmbeddedRepo=false", *arguments], cwd=folder, check=True, capture_output=True
    )


def ran(root: Path) -> set[str]:
    return {path.name for path in root.rglob("ran-*")}


def test_reading_the_codes_state_runs_no_program_of_the_repository(unpacked: Path):
    state = code_state(unpacked)
    assert state is not None and ran(unpacked) == set()
    assert state["diff"].count("-x = 1\n+x = 2") == 2 and len(state["commit"]) == 40
    subprocess.run(["git", "diff", "HEAD"], cwd=unpacked, capture_output=True, check=False)  # the usual way
    assert ran(unpacked) >= {"ran-clean", "ran-process", "ran-fsmonitor"}


def test_a_filter_of_the_users_own_config_still_holds(unpacked: Path):
    """As git-lfs is set up: what is committed is what the filter makes of the file."""
    (unpacked.parent / ".gitconfig").write_text('[filter "evil"]\n\tclean = sed s/2/1/\n')
    state = code_state(unpacked)
    assert state is not None and ran(unpacked) == set()
    assert "b/a.py" not in state["diff"] and "b/b.py" in state["diff"]
