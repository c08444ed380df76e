"""videxp in processes forked from one that has imported the libraries: the imports are most of a small run's time."""

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
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, ClassVar, NoReturn

from tests.ready import put_ready_digits

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.warm"])
PICTURES = "TESTS_PICTURES"
"""Variable of runs that draw the samples of their test; others leave them out."""


def clean_environment(folder: Path) -> dict[str, str]:
    """No W&B key, no netrc, a cache of its own, no variables of a launcher."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "VIDEXP", "SLURM", "MASTER", "PL_"))}
    return {**keep, "HOME": str(folder), "NETRC": str(folder / "netrc"), "VIDEXP_CACHE": str(folder / "cache")}


def begin_server() -> str | None:
    """Start what all workers of xdist are to fork from, in their controller -> where it listens.

    None from Python 3.14 on, whose servers answer nobody but who has started them.
    """
    if sys.version_info >= (3, 14):
        return None
    forkserver.ensure_running()
    return forkserver._forkserver._forkserver_address


def join_server(address: str) -> None:
    """Fork from the controller's server, in a worker: the libraries are imported once, and not in each."""
    server = forkserver._forkserver
    server._forkserver_address, server._forkserver_alive_fd = address, os.open(os.devnull, os.O_RDONLY)
    server.ensure_running = lambda: None


def videxp(*arguments: str, cwd: Path, environment: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """What `videxp ARGUMENTS` returned and printed, in this environment and no other.

    Raises subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder, "stdout"), Path(folder, "stderr")
        process = start(*arguments, cwd=cwd, environment=environment, printed=printed)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout, *(path.read_text() for path in printed))
        return subprocess.CompletedProcess(arguments, process.exitcode, *(path.read_text() for path in printed))


def start(
    *arguments: str,
    cwd: Path,
    environment: dict[str, str],
    printed: tuple[Path, Path],
    before: Callable[[], None] | None = None,
) -> Any:
    """The process of `videxp ARGUMENTS`, which prints into two files, or one; nobody waits for it.

    before: what the process does first; it is pickled.
    """
    put_ready_digits(arguments, cwd=cwd, environment=environment)
    work = partial(_main, arguments, before=before)
    process = CONTEXT.Process(target=_run, args=(work, cwd, environment, *printed))
    process.start()
    return process


def call(function: Callable[..., object], *arguments: object, cwd: Path, environment: dict[str, str]) -> str:
    """What a function of a module printed, in a process with this environment and no other. It must not fail."""
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder, "stdout"), Path(folder, "stderr")]
        work = partial(_call, partial(function, *arguments))
        process = CONTEXT.Process(target=_run, args=(work, cwd, environment, *printed))
        process.start()
        process.join()
        stdout, stderr = (path.read_text() for path in printed)
        assert process.exitcode == 0, stdout + stderr
        return stdout


# ---- in the forked process -------------------------------------------------------------------------------------------


def _run(work: Callable[[], int], cwd: Path, environment: dict[str, str], stdout: Path, stderr: Path) -> NoReturn:
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    _replace_environment(environment)
    _end_with(work)


def _main(arguments: tuple[str, ...], *, before: Callable[[], None] | None) -> int:
    from videxp import cli

    if os.environ.pop(PICTURES, None) is None:
        _leave_out_pictures()
    fork_others()
    if before is not None:
        before()
    sys.argv = [str(cli.__file__), *arguments]
    return cli.main()


def fork_others() -> None:
    """Whatever starts videxp forks instead: for the ranks of a training, those that Lightning starts, trials."""
    from pytorch_lightning.strategies.launchers import subprocess_script

    from videxp.sweeps import controller, local
    from videxp.training.processes import supervision

    # The name in their modules alone: git and others are still started by the real one.
    supervision.Popen = Popen
    subprocess_script.subprocess = SimpleNamespace(Popen=PopenScript)
    local.subprocess = SimpleNamespace(Popen=Popen, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    controller.LOOK_SECONDS = 0.1  # trials are through in so few that once a second may be too late


def _leave_out_pictures() -> None:
    """They take as long as the training of a test; no result depends on them."""
    from videxp.training.callbacks.samples import SaveSamples

    SaveSamples.on_test_end = lambda *_: None


def _call(work: Callable[[], object]) -> int:
    work()
    return 0


def _replace_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _end_with(work: Callable[[], int]) -> NoReturn:
    """Do it and end this process with the status that it returns, as an interpreter would; 1 where it raised."""
    status = 1
    try:
        status = work()
    except SystemExit as stop:
        status = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # to take apart what was imported takes seconds


class Popen:
    """As much of `subprocess.Popen` as starting `python -m videxp.cli ARGUMENTS` needs."""

    arguments_from: ClassVar[int] = 3
    """Words of the command line before the arguments."""
    before: ClassVar[Callable[[], None] | None] = None
    """What each such process does first."""

    def __init__(
        self,
        command: list[str],
        *,
        env: dict[str, str],
        cwd: Path | str | None = None,
        stdin: int | None = None,
        stdout: IO[bytes] | int | None = None,
        start_new_session: bool = False,
        **_: Any,
    ) -> None:
        reading, writing = os.pipe() if stdin == subprocess.PIPE else (None, None)
        self.stdin = None if writing is None else os.fdopen(writing, "w")
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            if start_new_session and os.getpgrp() != os.getpid():  # not yet in a group of its own
                os.setsid()
            atexit._clear()  # what the starting process is to do at its end
            _end_with(lambda: self._child(command[self.arguments_from :], env, Path(cwd or "."), reading, stdout))
        if reading is not None:
            os.close(reading)

    def _child(
        self,
        arguments: list[str],
        env: dict[str, str],
        cwd: Path,
        reading: int | None,
        stdout: IO[bytes] | int | None,
    ) -> int:
        from videxp.cli import main

        if reading is not None and self.stdin is not None:
            os.dup2(reading, 0)
            self.stdin.close()
        if stdout == subprocess.DEVNULL:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        elif stdout is not None and not isinstance(stdout, int):
            os.dup2(stdout.fileno(), 1)
            os.dup2(stdout.fileno(), 2)
        os.chdir(cwd)
        _replace_environment(env)
        if Popen.before is not None:
            Popen.before()
        sys.argv = ["videxp", *arguments]
        return main(arguments)

    def poll(self) -> int | None:
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        return self._wait(0)

    def _wait(self, flags: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


class PopenScript(Popen):
    """As `python SCRIPT ARGUMENTS`: how Lightning starts other ranks."""

    arguments_from = 2
