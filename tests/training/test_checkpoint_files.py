"""A checkpoint is never lost: not by a kill while it is written, not by a full disk, not by damage to one file."""

import os
import random
import re
import resource
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from tests import forked
from videxp.core.errors import BadRequest
from videxp.runs.folder import RunFolder
from videxp.runs.newest import newest_checkpoint, restore_last
from videxp.runs.weights import read_checkpoint
from videxp.training.callbacks.checkpoint import AtomicCheckpointIO

SHM = Path("/dev/shm")


def content(step: int, *, megabytes: float = 0.1, **more: object) -> dict:
    numbers = torch.full((int(megabytes * 2**18),), float(step))
    return {
        "state_dict": {"w": numbers},
        "seen": {"batches": step},
        "rows": 0,
        "ranks": [{}],
        "accumulating": False,
    } | more


# ---- kills -----------------------------------------------------------------------------------------------------------


def save_for_ever(whose: str, path: Path, times: int) -> None:
    """In a process of its own: saves in a child until that is killed, so often; prints what each left behind."""
    io = {"ours": AtomicCheckpointIO, "stock": TorchCheckpointIO}[whose]()
    rng = random.Random(0)
    io.save_checkpoint({"step": -1}, path)  # imports what saving needs, before the forks
    for _ in range(times):
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            for step in range(1000):
                started = time.perf_counter()
                io.save_checkpoint({"step": step, "t": torch.zeros(2**19)}, path)
                if step == 0:
                    os.write(writing, b"%f" % (time.perf_counter() - started))
        seconds = float(os.read(reading, 100))
        time.sleep(rng.uniform(0, 1.5 * seconds))  # while the second or the third is written
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)
        try:
            torch.load(path, weights_only=True)
            print("whole")
        except Exception:
            print("BROKEN")


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not on the file system of $TMPDIR."""
    if not SHM.is_dir() or SHM.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("needs /dev/shm on another file system than $TMPDIR")
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


def kills_while_saving(whose: str, path: Path, *, times: int) -> list[str]:
    return forked.call(save_for_ever, whose, path, times, cwd=path.parent, environment=dict(os.environ)).split()


@pytest.mark.slow
def test_none_of_a_hundred_kills_while_saving_leaves_a_checkpoint_that_does_not_load(other_file_system: Path):
    found = kills_while_saving("ours", other_file_system / "last.ckpt", times=100)
    assert found == ["whole"] * 100


@pytest.mark.slow
def test_lightnings_own_way_leaves_broken_ones(other_file_system: Path):
    assert "BROKEN" in kills_while_saving("stock", other_file_system / "last.ckpt", times=40)


def test_halves_are_swept_and_nothing_else(tmp_path: Path):
    run = RunFolder(tmp_path)
    run.last.parent.mkdir()
    torch.save(content(3), run.last)
    (run.last.parent / ".last-abcd1234.ckpt").write_bytes(b"half")
    (tmp_path / ".metrics-abcd1234.csv").write_bytes(b"half")
    (tmp_path / ".metrics-notes.csv.bak").write_bytes(b"mine")
    run.sweep()
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"last.ckpt", ".metrics-notes.csv.bak"}


# ---- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_on_a_full_disk_the_checkpoint_before_stays_and_the_error_is_kept(small_disk: Path):
    path, io = small_disk / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint(content(1, megabytes=2), path)
    assert io.error is None
    io.save_checkpoint(content(2, megabytes=2), path)
    assert io.error is not None
    assert torch.load(path, weights_only=True)["seen"]["batches"] == 1
    assert list(small_disk.iterdir()) == [path]
    io.save_checkpoint(content(3, megabytes=0.5), path)  # room again
    assert io.error is None
    assert torch.load(path, weights_only=True)["seen"]["batches"] == 3


def test_lightnings_own_way_loses_it(small_disk: Path):
    path, io = small_disk / "last.ckpt", TorchCheckpointIO()
    io.save_checkpoint(content(1, megabytes=2), path)
    with pytest.raises((OSError, RuntimeError)):
        for step in (2, 3):
            io.save_checkpoint(content(step, megabytes=4), path)
    with pytest.raises((OSError, RuntimeError)):
        assert torch.load(path, weights_only=True)["seen"]["batches"] == 1


def test_a_limit_on_the_size_of_files_is_as_a_full_disk(tmp_path: Path):
    """For those who may not mount: the same, in a process that may write no file of more than a megabyte."""
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(content(1), path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        io = AtomicCheckpointIO()
        io.save_checkpoint(content(2, megabytes=4), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert io.error is not None
    assert torch.load(path, weights_only=True)["seen"]["batches"] == 1
    assert list(tmp_path.iterdir()) == [path]


# ---- which one is the newest -----------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    run.last.parent.mkdir()
    torch.save(content(5), run.best)
    torch.save(content(8), run.last)
    os.utime(run.last, (0, 0))  # the date says nothing
    return run


def test_the_newest_is_the_one_with_the_most_batches(run: RunFolder):
    start = newest_checkpoint(run)
    assert start is not None and (start.path, start.step) == (run.last, 8)
    torch.save(content(9), run.best)
    start = newest_checkpoint(run)
    assert start is not None and start.path == run.best
    assert restore_last(run, start).path == run.last
    assert torch.load(run.last, weights_only=True)["seen"]["batches"] == 9


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text"])
def test_a_damaged_last_checkpoint_falls_back_to_the_best(run: RunFolder, damage: str):
    whole = run.last.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    run.last.write_bytes({"cut": whole[:middle], "bit": flipped, "empty": b"", "text": b"hello"}[damage])
    if damage == "bit":
        torch.load(run.last, weights_only=True)  # torch notices nothing
    start = newest_checkpoint(run)
    assert start is not None and (start.path, start.step) == (run.best, 5)


def test_a_checkpoint_between_two_optimizer_steps_is_none_to_go_on_from(run: RunFolder):
    torch.save(content(12, accumulating=True), run.best)
    start = newest_checkpoint(run)
    assert start is not None and start.step == 8


def test_the_checkpoint_of_a_run_that_trains_nothing_is_none_to_go_on_from(run: RunFolder):
    torch.save(content(0), run.best)
    run.last.unlink()
    assert newest_checkpoint(run) is None


def test_no_checkpoint_is_no_start(tmp_path: Path):
    assert newest_checkpoint(RunFolder(tmp_path)) is None


# ---- using one -------------------------------------------------------------------------------------------------------


def flip_bits_of_a_tensor(path: Path) -> None:
    """As a bad disk or copy does: the file keeps its form, its numbers are others."""
    with zipfile.ZipFile(path) as archive:
        entry = max((one for one in archive.infolist() if "/data/" in one.filename), key=lambda one: one.file_size)
    content = bytearray(path.read_bytes())
    middle = entry.header_offset + 128 + entry.file_size // 2
    content[middle] ^= 0x40
    path.write_bytes(content)


def test_a_checkpoint_with_a_wrong_checksum_is_not_used_and_the_remedy_works(run: RunFolder):
    for path in (run.best, run.last):
        torch.save(content(1), path)
    flip_bits_of_a_tensor(run.best)
    torch.load(run.best, weights_only=True)  # the usual way: without a word
    with pytest.raises(
        BadRequest, match=r"best.ckpt: refused: a damaged checkpoint: the checksum of .* is wrong"
    ) as caught:
        read_checkpoint(run.best)
    remedy = re.search(r"(mv .*) takes it in its place", str(caught.value))
    assert remedy is not None
    subprocess.run(remedy[1], shell=True, check=True)
    assert read_checkpoint(run.best)["seen"] == {"batches": 1}
    run.best.write_bytes(run.best.read_bytes()[:-100])
    with pytest.raises(BadRequest, match="refused: no checkpoint, or a damaged one"):
        read_checkpoint(run.best)


def test_weights_that_are_nan_are_not_used_and_masks_of_minus_infinity_are(run: RunFolder):
    masked = content(1, state_dict={"mask": torch.tensor([0.0, -torch.inf]), "steps": torch.tensor(3)})
    torch.save(masked, run.best)
    assert read_checkpoint(run.best)["state_dict"].keys() == {"mask", "steps"}
    for number in (torch.nan, torch.inf):
        torch.save(content(1, state_dict={"a": torch.zeros(2), "head.weight": torch.tensor([1.0, number])}), run.best)
        with pytest.raises(BadRequest, match=r"head\.weight is NaN or infinite"):
            read_checkpoint(run.best)
