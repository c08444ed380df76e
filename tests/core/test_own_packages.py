"""The current folder's files are imported only where the user trusts them, and a run folder's never."""

import importlib
import sys
from pathlib import Path

import pytest

from videxp.core.own_packages import find_own_packages, user_packages

RAN = "open('ran', 'w').close()\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with `stranger.py`, and `mine.py`, which imports what lies beside it."""
    monkeypatch.delenv("VIDEXP_ALLOW", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stranger.py").write_text(RAN)
    (tmp_path / "mine.py").write_text("import beside_mine\n")
    (tmp_path / "beside_mine.py").write_text("")
    importlib.invalidate_caches()
    return tmp_path


def test_a_file_that_a_library_happens_to_ask_for_is_not_run(folder: Path):
    with find_own_packages(), pytest.raises(ModuleNotFoundError):
        importlib.import_module("stranger")
    assert not (folder / "ran").exists()
    sys.path.append(str(folder))  # the usual way
    importlib.import_module("stranger")
    sys.path.remove(str(folder))
    assert (folder / "ran").exists()


@pytest.mark.parametrize("place", ["variable", "pyproject"])
def test_a_package_that_the_user_names_is_found_with_what_lies_beside_it(
    place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    if place == "variable":
        monkeypatch.setenv("VIDEXP_ALLOW", "mine")
    else:
        (folder / "pyproject.toml").write_text('[tool.videxp]\nallow = ["mine"]\n')
    before = list(sys.path)
    with find_own_packages():
        assert importlib.import_module("mine").beside_mine.__file__ == str(folder / "beside_mine.py")
    assert sys.path == before


@pytest.mark.parametrize("beneath", ["", "samples"])
def test_a_run_folder_is_no_place_for_packages(beneath: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("config.yaml", "status.json"):
        (folder / name).write_text("{}")
    here = folder / beneath
    here.mkdir(exist_ok=True)
    (here / "mine.py").write_text(RAN)
    (here / "pyproject.toml").write_text('[tool.videxp]\nallow = ["mine"]\n')
    monkeypatch.chdir(here)
    assert user_packages() == frozenset()
    monkeypatch.setenv("VIDEXP_ALLOW", "mine")
    with find_own_packages(), pytest.raises(ModuleNotFoundError):
        importlib.import_module("mine")
    assert not (here / "ran").exists()
