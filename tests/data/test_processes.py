"""Work in processes ends with the command, also where one of them hangs."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.forked import CONTEXT
from videxp.core.processes import in_processes


def hang(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    while True:
        time.sleep(1)


def work(folder: Path) -> None:
    try:
        list(in_processes(hang, [folder] * 9, description="Hanging", processes=2))
    except KeyboardInterrupt:
        sys.exit(130)


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere workers outlive a parent that was killed")
@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_command_that_is_interrupted_or_killed_ends_and_its_hanging_workers_too(
    how: signal.Signals, status: int, tmp_path: Path
):
    process = CONTEXT.Process(target=work, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 60
    while len(workers := [int(file.name) for file in tmp_path.iterdir()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.pid is not None and len(workers) == 2
    os.kill(process.pid, how)
    process.join(60)
    try:
        assert process.exitcode == status
        while any(map(is_there, workers)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(is_there, workers))
    finally:
        for number in (process.pid, *workers):
            if is_there(number):
                os.kill(number, signal.SIGKILL)
