"""Trials forked from the controller, which has imported everything: a second each rather than five."""

import os
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.runs.forking import leave_out_what_no_result_depends_on
from videxp.sweeps import local

CONF = """# This machine, without the seconds that imports take
_target_: tests.sweeps.quick.Quick
jobs: auto
gpus: 1
"""


def provide(folder: Path) -> Path:
    """Make `launcher=quick` known in a researcher's folder."""
    path = folder / "conf/launcher/quick.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONF)
    return folder


class Quick(local.Local):
    """As `Local`, but for the interpreter's start."""

    def start(self, run: Path) -> str:
        # The name in that module alone: git and others are still started by the real one.
        local.subprocess = SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
        return super().start(run)


class Forked:
    """As much of `subprocess.Popen` as the launcher uses."""

    def __init__(self, command: list[str], *, env: dict[str, str], stdout: Any, **_: Any) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.dup2(stdout.fileno(), 1)
                os.dup2(stdout.fileno(), 2)
                os.environ.clear()
                os.environ.update(env)
                leave_out_what_no_result_depends_on()
                from videxp.cli import main

                sys.argv = ["videxp", *command[3:]]
                status = main(command[3:])
            except SystemExit as stop:
                status = int(stop.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode
