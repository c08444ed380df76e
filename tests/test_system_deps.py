"""What tests use of the system: installed by `make system-deps`; without it they skip, and in CI fail."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.sweeps.slurm_cluster import Unavailable, require_programs

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("complete", [False, True])
def test_without_chromium_a_test_is_skipped_or_in_ci_fails(complete: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("VIDEXP_TESTS_COMPLETE", raising=False)
    if complete:
        monkeypatch.setenv("VIDEXP_TESTS_COMPLETE", "1")
    outcome = pytest.fail.Exception if complete else pytest.skip.Exception
    with pytest.raises(outcome, match="no Chromium here: make system-deps installs it"):
        chromium()


def test_without_slurm_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name.startswith("slurm") else name)
    with pytest.raises(Unavailable, match="no slurmd, slurmctld, slurmdbd here: make system-deps"):
        require_programs()


def test_without_apt_nothing_happens(tmp_path: Path):
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "-C", str(ROOT), "SHELL=/bin/sh", "system-deps"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no apt-get here: tests that use chromium" in done.stdout


def test_ci_installs_them_before_it_tests():
    commands = (ROOT / ".ci/run").read_text().splitlines()[-3:]
    assert commands == ["make install", "make system-deps", "VIDEXP_TESTS_COMPLETE=1 make test"]
