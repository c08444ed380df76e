"""Forked children that stand for processes of their own: a second each rather than the ten that imports take."""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import IO, Any, ClassVar, NoReturn


def ends(work: Callable[[], int]) -> NoReturn:
    """Do it and end this child with the status that it returns, as an interpreter would; 1 where it raised."""
    status = 1
    try:
        status = work()
    except SystemExit as stop:
        status = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Forked:
    """As much of `subprocess.Popen` as starting `python -m videxp.cli ARGUMENTS` needs."""

    arguments_from: ClassVar[int] = 3
    """Words of the command line before the arguments."""

    def __init__(
        self,
        command: list[str],
        *,
        env: dict[str, str],
        stdin: int | None = None,
        stdout: IO[bytes] | None = None,
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
            ends(lambda: self._child(command[self.arguments_from :], env, reading, stdout))
        if reading is not None:
            os.close(reading)

    def _child(self, arguments: list[str], env: dict[str, str], reading: int | None, stdout: IO[bytes] | None) -> int:
        from videxp.cli import main

        if reading is not None and self.stdin is not None:
            os.dup2(reading, 0)
            self.stdin.close()
        if stdout is not None:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stdout.fileno(), 2)
        os.environ.clear()
        os.environ.update(env)
        self.begin()
        sys.argv = ["videxp", *arguments]
        return main(arguments)

    def begin(self) -> None:
        """For those who want more of a child."""

    def poll(self) -> int | None:
        return self._waited(os.WNOHANG)

    def wait(self) -> int | None:
        return self._waited(0)

    def _waited(self, flags: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


class ForkedScript(Forked):
    """As `python SCRIPT ARGUMENTS`: how Lightning starts other ranks."""

    arguments_from = 2
