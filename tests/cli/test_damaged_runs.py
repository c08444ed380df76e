"""A run whose small files a power failure, a sync or an editor damaged: each command says which file, or goes on."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run, videxp
from videxp import cli
from videxp.core.errors import BadRequest
from videxp.runs.folder import RunFolder
from videxp.runs.provenance import read_provenance, read_samples
from videxp.training.callbacks.left_out import read_manifest
from videxp.training.loggers.metrics_file import MetricsFile, keep_rows

FILES = ("status.json", "provenance.json", "overrides.yaml", "metrics.csv", "data.jsonl.gz", "manifest.tsv.gz")


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def change_a_type(path: Path) -> None:
    """Of values that are needed; of a cell."""
    if path.suffix == ".json":
        content = json.loads(path.read_bytes())
        path.write_text(json.dumps({**content, "state": ["x", 3], "inputs": ["x", 3], "seconds": "x"}))
    else:
        replace(path, path.read_bytes().replace(b"1", b"x").replace(b"0,", b""))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: replace(path, b""),
    "cut": lambda path: replace(path, path.read_bytes()[: path.stat().st_size // 2]),
    "zero bytes": lambda path: replace(path, bytes(200_000)),
    "a list": lambda path: replace(path, b"[]\n"),
    "a number": lambda path: replace(path, b"3\n"),
    "deep": lambda path: replace(path, b"[" * 100_000),
    "not UTF-8": lambda path: replace(path, b'{"state": "\xff\xfe"}\n'),
    "a folder": make_folder,
    "a pipe": make_pipe,
    "another type": change_a_type,
}


@pytest.fixture
def damage(finished: tuple[Path, Run], monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """damage("status.json", "empty"): a copy of a finished run with that file damaged so."""
    monkeypatch.setenv("VIDEXP_CACHE", str(finished[0].parents[1] / "cache"))
    monkeypatch.delenv("VIDEXP_TRACEBACK", raising=False)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(finished[0].parents[1])

    def damage(name: str, how: str) -> Path:
        run = finished[0].with_name("damaged")
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(finished[0], run)
        DAMAGES[how](run / name)
        return run

    return damage


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_whatever_is_damaged_is_said_by_its_file_or_is_not_needed(
    damage: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
):
    draw = random.Random(0)
    for _ in range(10):
        name, how, command = draw.choice(FILES), draw.choice(sorted(DAMAGES)), draw.choice(["resume", "evaluate"])
        run = damage(name, how)
        capsys.readouterr()
        status = cli.main([command, str(run)])
        said = capsys.readouterr().err
        assert status in (0, 1, 2) and "VIDEXP_TRACEBACK" not in said
        assert status == 0 or (name in said and len(said.strip().splitlines()) <= 3)


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGES)
def test_what_is_needed_is_refused_by_its_name_and_what_is_not_is_passed_over(
    how: str, damage: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
):
    run = RunFolder(damage("provenance.json", how))
    with pytest.raises(BadRequest, match=r"provenance\.json: cannot be read"):
        read_provenance(run)
    assert isinstance(run.known_provenance(), dict)

    run = RunFolder(damage("status.json", how))
    assert cli.main(["resume", str(run.path)]) == 2
    assert f"{run.state}: damaged" in capsys.readouterr().err

    run = RunFolder(damage("metrics.csv", how))
    assert cli.main(["reproduce", str(run.path)]) == 2
    assert f"{run.metrics}: cannot be read" in capsys.readouterr().err
    with pytest.raises(BadRequest, match=r"metrics\.csv: damaged: .*\n.*: mv "):
        keep_rows(run.metrics, 100)
    run.metrics.rename(run.metrics.with_suffix(".damaged"))  # the remedy
    keep_rows(run.metrics, 100)
    assert MetricsFile(run.metrics).rows == 0

    run = RunFolder(damage("data.jsonl.gz", how))
    assert read_samples(run.data) == []
    assert "data.jsonl.gz: damaged" in capsys.readouterr().err
    run = RunFolder(damage("manifest.tsv.gz", how))
    assert read_manifest(run.manifest) is None
    assert "manifest.tsv.gz: damaged" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_goes_on_without_the_record_of_its_beginning_has_one_that_says_so(
    damage: Callable[[str, str], Path], finished: tuple[Path, Run]
):
    run, desk = RunFolder(damage("provenance.json", "empty")), finished[0].parents[1]
    run.state.write_text('{"state": "interrupted"}')
    resumed = videxp("resume", str(run.path), cwd=desk, WANDB_MODE="disabled")
    assert resumed.returncode == 0 and "provenance.json: cannot be read" in resumed.stderr
    assert "provenance.json is damaged, now provenance.damaged.json: a new one begins after batch 10" in resumed.stdout
    assert read_provenance(run)["unrecorded_batches"] == 10
    evaluated = videxp("evaluate", str(run.path), "hardware.num_workers=0", cwd=desk)
    assert f"{run.path}: what its first 10 batches were trained with is not recorded" in evaluated.stderr
