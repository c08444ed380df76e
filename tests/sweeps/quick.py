"""Trials forked from the controller, which has imported everything: a second each rather than five.

The controller looks at them ten times a second: they are through in so few that once a second may be too late.
"""

import subprocess
from pathlib import Path
from types import SimpleNamespace

from tests.forking import Forked
from tests.training.forking import leave_out_what_no_result_depends_on
from videxp.sweeps import controller, local

CONF = """# This machine, without the seconds that imports take
_target_: tests.sweeps.quick.Quick
jobs: auto
gpus: 1
"""


def provide(folder: Path, *, name: str = "quick") -> Path:
    """Make `launcher=quick` known in a researcher's folder."""
    path = folder / f"conf/launcher/{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONF)
    return folder


class Quick(local.Local):
    """As `Local`, but for the interpreter's start."""

    def start(self, run: Path) -> str:
        controller.LOOK_SECONDS = 0.1
        # The name in that module alone: git and others are still started by the real one.
        local.subprocess = SimpleNamespace(Popen=Trial, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
        return super().start(run)


class Trial(Forked):
    def begin(self) -> None:
        leave_out_what_no_result_depends_on()
