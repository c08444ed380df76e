"""`videxp` in a process forked from one that has imported the libraries: the imports are half of a small run's time."""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.forking import Forked, ForkedScript
from tests.ready import copy_ready_digits

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.warm"])


def videxp(*arguments: str, cwd: Path, environment: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """What `videxp ARGUMENTS` returned and printed, in this environment and no other.

    Raises subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder, "stdout"), Path(folder, "stderr")]
        process = start(*arguments, cwd=cwd, environment=environment, printed=printed)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout, *(path.read_text() for path in printed))
        return subprocess.CompletedProcess(arguments, process.exitcode, *(path.read_text() for path in printed))


def call(function: Callable[..., object], *arguments: object, cwd: Path, environment: dict[str, str]) -> str:
    """What a function of a module printed, in a process with this environment and no other. It must not fail."""
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder, "stdout"), Path(folder, "stderr")]
        process = CONTEXT.Process(target=_call, args=(partial(function, *arguments), cwd, environment, *printed))
        process.start()
        process.join()
        stdout, stderr = (path.read_text() for path in printed)
        assert process.exitcode == 0, stdout + stderr
        return stdout


def start(*arguments: str, cwd: Path, environment: dict[str, str], printed: list[Path]) -> Any:
    """The process of `videxp ARGUMENTS`, which prints into two files; nobody waits for it."""
    process = CONTEXT.Process(target=_main, args=(arguments, cwd, environment, *printed))
    process.start()
    return process


def _main(arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    _begin(cwd, environment, stdout, stderr)
    from pytorch_lightning.strategies.launchers import subprocess_script

    from videxp import cli
    from videxp.training.processes import supervision

    copy_ready_digits()
    # Other ranks likewise: training's, and those that Lightning starts.
    supervision.Popen = Forked
    subprocess_script.subprocess = SimpleNamespace(Popen=ForkedScript)
    sys.argv = [str(cli.__file__), *arguments]
    status = cli.main()
    _end()
    os._exit(status)


def _call(work: Callable[[], object], cwd: Path, environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    _begin(cwd, environment, stdout, stderr)
    try:
        work()
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    _end()


def _begin(cwd: Path, environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)


def _end() -> None:
    """As the interpreter ends: threads, then what waits for its end."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
