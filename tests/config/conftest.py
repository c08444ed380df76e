"""A researcher's folder, and `videxp` called inside this process."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from videxp import cli

RECIPE = "classification/moving_digits"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a cache of its own and no settings of the user's."""
    for name in ("VIDEXP_ALLOW", "VIDEXP_DATA", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIDEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keep_stderr_open() -> None:
    """Hydra's set-up of logging closes all handlers. That of absl, where a library has imported it, closes its stream,
    too: pytest's own stderr, while the command writes to another."""
    if absl := sys.modules.get("absl.logging"):
        absl.get_absl_handler().python_handler.setStream(io.StringIO())


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`status, stdout, stderr = call("check", RECIPE)`."""

    def run(*arguments: str) -> tuple[int, str, str]:
        keep_stderr_open()
        status = cli.main(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def write(folder: Path) -> Callable[[str, str], Path]:
    """Write a file beneath the current folder."""

    def to(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return to
