"""A full disk under metrics.csv, log.txt or the checkpoints: said in a line or two, exit status 1, nothing old lost."""

import io
import logging
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger

from tests.training import killing
from tests.training.conftest import checkpoint, command
from tests.training.test_signals import state
from videxp import cli
from videxp.core.errors import VidexpError, system_words
from videxp.core.files import replacing, write_text
from videxp.tasks import pictures
from videxp.tasks.generated import save_clip_strips
from videxp.training.callbacks.checkpoint import Checkpoint
from videxp.training.callbacks.samples import SaveSamples
from videxp.training.log_file import LogFile
from videxp.training.loggers.metrics_file import MetricsFile, read_metrics
from videxp.video import write_video
from videxp.video.remaking import picture_folder
from videxp.video.sequence import Picture


@contextmanager
def files_may_have(size_bytes: int) -> Iterator[None]:
    """For those who may not mount a disk: the same within this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def row(step: int) -> dict[str, float]:
    return {"epoch": 0, "clips_seen": 8 * step, "train/loss": 1 / step}


def test_a_row_that_finds_no_room_leaves_whole_rows_and_says_so(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    with files_may_have(400), pytest.raises(VidexpError, match=r"metrics\.csv could not be written: .*before step"):
        for step in range(1, 100):
            file.log_metrics(row(step), step=step)
    rows = read_metrics(path)
    assert [one["step"] for one in rows] == list(range(1, file.rows + 1))
    assert len(rows) > 5 and all(len(one) == 4 for one in rows)
    file.log_metrics(row(file.rows + 1), step=file.rows + 1)  # room again
    assert len(read_metrics(path)) == file.rows


def test_plain_appending_would_leave_half_a_row(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    with files_may_have(400), pytest.raises(OSError, match="too large"):
        for step in range(1, 100):
            with path.open("a") as file:
                file.write(f"{step},0,{8 * step},{1 / step}\n")
    assert not path.read_text().endswith("\n")


def test_a_new_column_that_finds_no_room_leaves_the_rows_as_they_were(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    file.log_metrics(row(1), step=1)
    before = path.read_bytes()
    with files_may_have(40), pytest.raises(VidexpError, match="could not be written"):
        file.log_metrics({**row(2), "val/accuracy": 0.5}, step=2)
    assert path.read_bytes() == before
    file.log_metrics({**row(2), "val/accuracy": 0.5}, step=2)
    assert [one["step"] for one in read_metrics(path)] == [1, 2]


def test_kill_9_loses_no_row(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    if not (child := os.fork()):
        file = MetricsFile(path)
        for step in range(1, 51):
            file.log_metrics(row(step), step=step)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert [one["step"] for one in read_metrics(path)] == list(range(1, 51))


def test_lightnings_own_file_would_lose_all_of_them(tmp_path: Path):
    file = CSVLogger(tmp_path)
    for step in range(1, 51):
        file.log_metrics(row(step), step=step)
    assert list(tmp_path.rglob("metrics.csv")) == []


NOISE = np.random.default_rng(0).integers(0, 256, (24, 96, 96, 3), np.uint8)
WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a checkpoint": ("last.ckpt", lambda path: torch.save({"a": torch.randn(9999)}, path)),
    "a picture": ("a.png", lambda path: Image.fromarray(NOISE[0]).save(path)),
    "a video": ("a.mp4", lambda path: write_video(path, NOISE, fps=10)),
    "a figure": ("a.png", pictures.sheet_figure(NOISE[0])[0].savefig),
    "a text": ("a.json", lambda path: path.write_text("[]" * 9999)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_whatever_library_writes_the_error_names_the_file_and_the_system_s_reason(kind: str, tmp_path: Path):
    name, write = WRITERS[kind]
    (tmp_path / name).write_text("before")
    with (
        files_may_have(100),
        pytest.raises(OSError, match="File too large") as found,
        replacing(tmp_path / name) as temporary,
    ):
        write(temporary)
    assert system_words(found.value) == f"{tmp_path / name}: File too large"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_the_stock_way_names_no_file_and_torch_no_reason(tmp_path: Path):
    with files_may_have(600), pytest.raises(RuntimeError, match="unexpected pos") as hidden:
        torch.save({"a": torch.randn(9999)}, tmp_path / "last.ckpt")
    assert "large" not in str(hidden.value)
    with files_may_have(600), pytest.raises(OSError, match="File too large") as nameless:
        (tmp_path / "a.json").write_text("[]" * 9999)
    assert nameless.value.filename is None


def test_an_error_that_is_not_the_disk_s_stays_what_it_is(tmp_path: Path):
    with pytest.raises(RuntimeError, match="no network"), replacing(tmp_path / "a.json"):
        raise RuntimeError("no network")
    with pytest.raises(FileNotFoundError, match=r"b\.json"), replacing(tmp_path / "a.json"):
        (tmp_path / "b.json").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_pictures_that_finds_no_room_is_named_and_not_there(tmp_path: Path):
    with (
        files_may_have(600),
        pytest.raises(OSError, match="File too large") as found,
        picture_folder(tmp_path / "frames") as write,
    ):
        write(Picture(NOISE[0], name="0001"))
    assert system_words(found.value) == f"{tmp_path / 'frames'}: File too large"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rule", ["continue", "stop"])
def test_samples_that_find_no_room_end_training_only_where_a_checkpoint_would(
    rule: Literal["continue", "stop"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    task = SimpleNamespace(
        save_samples=lambda folder, *_: save_clip_strips(torch.rand(1, 2, 3, 64, 64), folder / "a.png")
    )
    checkpoint = Checkpoint(monitor="val/loss", on_failed_write=rule)
    trainer: Any = SimpleNamespace(is_global_zero=True, datamodule=None, loggers=[], callbacks=[checkpoint])
    stopped = pytest.raises(VidexpError, match=r"samples/a\.png: File too large\nMake room .*videxp resume")
    with files_may_have(600), stopped if rule == "stop" else nullcontext():
        SaveSamples(tmp_path / "samples").on_test_end(trainer, cast(Any, task))
    told = f"videxp: samples could not be written: {tmp_path}/samples/a.png: File too large; training goes on without"
    assert capsys.readouterr().err.startswith(told) == (rule == "continue")


def test_the_command_line_says_the_file_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(cli, "_dispatch", lambda arguments: write_text(tmp_path / "a.json", "[]" * 9999))
    monkeypatch.delenv("VIDEXP_TRACEBACK", raising=False)
    with files_may_have(600):
        assert cli.main(["evaluate"]) == 1
    assert capsys.readouterr().err == f"videxp: {tmp_path}/a.json: File too large\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_finds_no_room_is_one_line_and_an_error_at_the_end():
    def said_by(handler: logging.Handler) -> str:
        logger = logging.getLogger("videxp")
        with redirect_stderr(io.StringIO()) as said:
            logger.addHandler(handler)
            logger.warning("one")
            logger.warning("two")
            logger.removeHandler(handler)
            try:
                handler.close()
            except OSError:
                pass
        return said.getvalue()

    assert said_by(logging.FileHandler("/dev/full")).count("Traceback") >= 2  # the stock way
    ours = LogFile(Path("/dev/full"))
    assert said_by(ours) == "videxp: /dev/full could not be written: No space left on device\n"
    with pytest.raises(VidexpError, match="/dev/full is incomplete: No space left on device"):
        ours.refuse_if_incomplete()


@pytest.mark.slow
def test_where_not_even_the_state_can_be_written_the_terminal_says_it_and_the_checkpoint_before_stays(workspace: Path):
    disk = workspace / "full"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        arguments = command("+callbacks.fill._target_=tests.training.watching.FillDisk", run="x")
        arguments[-1] = f"hydra.run.dir={disk}/run"
        run = disk / "run"
        statuses, printed = killing.run(*arguments, cwd=workspace, VIDEXP_TRACEBACK="0")
        assert statuses == [1], printed
        lines = [line for line in printed.splitlines() if line.startswith("videxp: ")]
        assert any("last.ckpt could not be written: No space left on device" in line for line in lines), printed
        assert any(
            "status.json could not be written (No space left on device): the run failed" in line for line in lines
        )
        assert "Traceback" not in printed
        assert checkpoint(run)["seen"]["batches"] == 5

        assert state(run) == "running"  # what the disk had room for
    finally:
        subprocess.run(["umount", disk], check=True)
