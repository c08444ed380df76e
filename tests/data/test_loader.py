"""A worker that hangs or dies is noticed, and said in words."""

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from torch.utils.data import DataLoader, Dataset

from videxp.core.errors import VidexpError
from videxp.core.private_torch import running_iterator
from videxp.data.loading.loader import ClipLoader, _in_words


class Stuck(Dataset[dict[str, Any]]):
    """A file system that does not answer, or a decoder that crashes, at sample 1."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == 1 and self.fault == "hangs":
            time.sleep(600)
        if index == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return {"index": index}


def read_all(loader: DataLoader[Any]) -> None:
    for _ in loader:
        pass


@pytest.mark.slow
def test_a_worker_that_hangs_is_an_error_that_says_what_to_do():
    with pytest.raises(VidexpError, match=r"for 2 s: one hangs.*\n.*dataset\.timeout_seconds"):
        read_all(ClipLoader(Stuck("hangs"), num_workers=1, timeout=2, multiprocessing_context="fork"))


@pytest.mark.slow
def test_a_worker_that_dies_is_an_error_that_says_what_to_do():
    with pytest.raises(VidexpError, match=r"exited unexpectedly\n.*dataset\.loading\.num_workers=0") as caught:
        read_all(ClipLoader(Stuck("crashes"), num_workers=1, timeout=60, multiprocessing_context="fork"))
    assert len(str(caught.value).splitlines()) == 2


FULL = """
import sys
import torch
from torch.utils.data import DataLoader
from videxp.data.loading.loader import ClipLoader

kind = {"ours": ClipLoader, "stock": DataLoader}[sys.argv[1]]
try:
    list(kind([torch.zeros(1 << 20)] * 4, num_workers=1, timeout=20, multiprocessing_context="fork"))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.slow
def test_a_full_shared_memory_is_an_error_that_says_what_to_do():
    """As in a container whose /dev/shm is small."""
    inside = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m none /dev/shm && exec "$@"', "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a full /dev/shm is not checked: no file system can be mounted here")
    said = {
        kind: subprocess.run(
            [*inside, sys.executable, "-c", FULL, kind], capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
        for kind in ("ours", "stock")
    }
    assert len(said["stock"].splitlines()) > 5
    assert said["ours"].splitlines() == [
        "VidexpError: A data worker ran out of shared memory: /dev/shm is full",
        "Give it more (docker run --shm-size=8g ...), or read without workers: hardware.num_workers=0",
    ]


def test_a_worker_that_is_killed_for_shared_memory_is_told_so():
    """torch's words for a page of /dev/shm that the kernel cannot give."""
    error = RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
    error.__cause__ = RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ...")
    assert "/dev/shm is full" in str(_in_words(error, None, timeout_seconds=1))


STOPPED = """
import os, signal, sys
from torch.utils.data import DataLoader
from videxp.data.loading.loader import ClipLoader

kind = {"ours": ClipLoader, "stock": DataLoader}[sys.argv[1]]
loader = kind([{"a": 1}] * 4, num_workers=2, persistent_workers=True, timeout=60, multiprocessing_context="fork")
list(loader)
loader._iterator._timeout = 1
os.kill(loader._iterator._workers[1].pid, signal.SIGSTOP)
try:
    list(loader)  # a second epoch
except Exception as error:
    print(type(error).__name__, loader._iterator._workers[1].pid, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ours", "stock"])
def test_a_process_whose_worker_hangs_ends_all_the_same(kind: str):
    """Between epochs, too, and though the worker does not hear that it shall end; the stock loader's never does."""
    process = subprocess.Popen([sys.executable, "-c", STOPPED, kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    name, worker = process.stdout.readline().split()
    try:
        if kind == "ours":
            assert (name, process.wait(60)) == ("VidexpError", 0)
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(5)
    finally:
        for one in (int(worker), process.pid):  # the worker first: it holds the pipe open
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
def test_a_stock_loader_would_wait_for_a_hanging_worker():
    before = time.monotonic()
    with pytest.raises(TimeoutError), alarm(seconds=3):
        read_all(DataLoader(Stuck("hangs"), num_workers=1, multiprocessing_context="fork"))
    assert time.monotonic() - before > 2.9


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "killed"), [(ClipLoader, 0), (DataLoader, 1)])
def test_a_worker_that_was_never_asked_is_told_to_end_when_its_loader_is_garbage(
    kind: type[DataLoader[Any]], killed: int, monkeypatch: pytest.MonkeyPatch
):
    """As that of a resumed run whose last epoch has fewer batches left than workers. The stock one is killed."""
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.5)  # seconds until it is
    kills: list[BaseProcess] = []
    terminate = BaseProcess.terminate
    monkeypatch.setattr(BaseProcess, "terminate", lambda worker: (kills.append(worker), terminate(worker)))
    gc.disable()
    samples: Any = [{"a": 1}]  # a list is a data set
    try:
        loader = kind(samples, num_workers=2, persistent_workers=True, multiprocessing_context="fork")
        list(loader)
        iterator: Any = running_iterator(loader)
        iterator.itself = iterator
        del loader, iterator
        gc.collect()
    finally:
        gc.enable()
    assert len(kills) == killed


class alarm:
    """Raises TimeoutError in the block after some seconds."""

    def __init__(self, *, seconds: int) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        def stop(*_: object) -> None:
            raise TimeoutError

        self.before = signal.signal(signal.SIGALRM, stop)
        signal.alarm(self.seconds)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self.before)
