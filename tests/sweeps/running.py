"""Sweeps in a researcher's folder, and what they have come to."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import forked
from tests.conftest import Run, clean_environment, videxp
from videxp.runs.weights import checkpoint_hash

ROOT = Path(__file__).parents[2]
ALLOWED = {"VIDEXP_ALLOW": "tests", "PYTHONPATH": str(ROOT)}


def provide_moody(folder: Path) -> Path:
    """A researcher's folder, with a model of their own."""
    model = folder / "conf/model/moody.yaml"
    model.parent.mkdir(parents=True)
    model.write_text("# Of changing moods\n_target_: tests.sweeps.moody.Moody\nnumber: 0\n")
    return folder


def sweep(*arguments: str, cwd: Path, **environment: str) -> Run:
    return videxp("sweep", *arguments, cwd=cwd, **ALLOWED, **environment)


def start(*arguments: str, cwd: Path, **environment: str) -> Any:
    """A sweep in the background."""
    printed = cwd / "stdout", cwd / "stderr"
    everything = {**clean_environment(cwd), **ALLOWED, **environment}
    return forked.start("sweep", *arguments, cwd=cwd, environment=everything, printed=printed)


def statuses(cwd: Path) -> dict[str, dict]:
    """Of each trial, what its status.json says."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(cwd.glob("sweep/????/status.json"))}


def attempts(cwd: Path) -> dict[str, str]:
    """When each trial was begun last."""
    return {name: status["attempt_started"] for name, status in statuses(cwd).items()}


def weights(cwd: Path) -> dict[str, str]:
    """The hash of what each trial has learnt."""
    return {path.parents[1].name: checkpoint_hash(path) for path in cwd.glob("sweep/????/checkpoints/last.ckpt")}


def processes(cwd: Path, *, named: str = "") -> list[int]:
    """Those that run in this folder, with this in their command line: trials, and the sweep itself."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            here = (path / "cwd").resolve() == cwd.resolve() and path.name != str(os.getpid())
            if here and named.encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            pass
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
