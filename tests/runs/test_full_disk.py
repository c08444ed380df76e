"""A full disk under metrics.csv, log.txt or the checkpoints: said in a line or two, exit status 1, nothing old lost."""

import io
import logging
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
from pytorch_lightning.loggers import CSVLogger

from tests.runs.conftest import checkpoint, command
from tests.runs.forking import Nursery
from tests.runs.test_signals import state
from videxp.errors import VidexpError
from videxp.runs.log_file import LogFile
from videxp.runs.metrics_file import MetricsFile, read_metrics


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
def test_where_not_even_the_state_can_be_written_the_terminal_says_it_and_the_checkpoint_before_stays(
    nursery: Nursery, ward: Path
):
    disk = ward / "full"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        arguments = command("+callbacks.fill._target_=tests.runs.watching.FillDisk", run="x")
        arguments[-1] = f"hydra.run.dir={disk}/run"
        run = disk / "run"
        statuses, printed = nursery.run(*arguments, cwd=ward, VIDEXP_TRACEBACK="0")
        assert statuses == [1], printed
        lines = [line for line in printed.splitlines() if line.startswith("videxp: ")]
        assert any("last.ckpt could not be written: " in line for line in lines), printed
        assert any(
            "status.json could not be written (No space left on device): the run failed" in line for line in lines
        )
        assert "Traceback" not in printed
        assert checkpoint(run)["seen"]["batches"] == 5

        assert state(run) == "running"  # what the disk had room for
    finally:
        subprocess.run(["umount", disk], check=True)
