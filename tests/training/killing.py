"""Runs of one or more ranks, of which one can be told when to end itself."""

import io
import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests import forked
from tests.forked import clean_environment

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Kill:
    """When a rank ends itself. `at`: "time" (after `amount` seconds), or before the `nth` batch, validation batch,
    test batch, row or report of the result, or in the `nth` write of a checkpoint, of which the share `amount` is on
    disk.

    how: a signal to itself, "group TERM" to its group, "raise", "hang"; `again_seconds`: once more after that.
    """

    at: str
    nth: int = 1
    amount: float = 0.5
    rank: int = 0
    how: str = "KILL"
    again_seconds: float | None = None

    def arm(self) -> None:
        """In the run's process, before it begins."""
        if self.how.startswith("group"):
            os.setpgid(0, 0)
        if int(os.environ.get("LOCAL_RANK", "0")) == self.rank:
            _arm(self)

    def arm_ranks(self) -> None:
        """In a process that starts the ranks."""
        forked.Popen.before = self.arm


def run(
    *arguments: str,
    cwd: Path,
    kill: Kill | None = None,
    ranks: int = 1,
    supervised: bool = False,
    **environment: str,
) -> tuple[list[int], str]:
    """`videxp ARGUMENTS` on so many ranks -> (exit status of each rank, what was printed).

    supervised: videxp starts the ranks, and `kill` is for one of them.
    """
    printed = cwd / "printed.txt"
    printed.write_text("")
    before = kill and (kill.arm_ranks if supervised else kill.arm)
    common = {**clean_environment(cwd), "VIDEXP_ALLOW": "tests", "VIDEXP_TRACEBACK": "1", **environment}
    port = str(random.randrange(20000, 30000))
    processes = [
        forked.start(
            *arguments,
            cwd=cwd,
            environment={**common, **(_world(rank, ranks, port) if ranks > 1 else {})},
            printed=(printed, printed),
            before=before,
        )
        for rank in range(ranks)
    ]
    return _wait_for(processes), printed.read_text()


def _world(rank: int, ranks: int, port: str) -> dict[str, str]:
    """As torchrun tells a rank where it is."""
    numbers = {"WORLD_SIZE": str(ranks), "RANK": str(rank), "LOCAL_RANK": str(rank)}
    return {**numbers, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}


def _wait_for(processes: list[Any]) -> list[int]:
    """Exit statuses; when one is killed, so are the others, as by a scheduler."""
    running = list(processes)
    while running:
        wait([process.sentinel for process in running])
        running = [process for process in running if process.is_alive()]
        if any(process.exitcode is not None and process.exitcode < 0 for process in processes):
            for process in running:
                process.kill()
    return [process.exitcode for process in processes]


# ---- in the run's process --------------------------------------------------------------------------------------------


def _end(kill: Kill) -> None:
    group, _, name = kill.how.rpartition(" ")
    Path("fault.txt").write_text(str(time.monotonic()))
    if name == "raise":
        raise RuntimeError("boom")
    if name == "hang":
        time.sleep(1000)
    _signal(group, name)
    if kill.again_seconds is not None:
        timer = threading.Timer(kill.again_seconds, _signal, [group, name])
        timer.daemon = True
        timer.start()


def _signal(group: str, name: str) -> None:
    signum = signal.Signals[f"SIG{name}"]
    if group:
        os.killpg(0, signum)
    else:
        os.kill(os.getpid(), signum)


def _arm(kill: Kill) -> None:
    import torch

    from videxp.data import VideoDataModule
    from videxp.tasks import VideoTask
    from videxp.training import terminal
    from videxp.training.loggers.metrics_file import MetricsFile

    if kill.at == "time":
        timer = threading.Timer(kill.amount, _end, [kill])
        timer.daemon = True
        timer.start()
    elif kill.at == "save":
        save = torch.save

        def half_a_save(value: Any, path: Any) -> None:
            buffer = io.BytesIO()
            save(value, buffer)
            content = buffer.getvalue()
            Path(path).write_bytes(content[: int(kill.amount * len(content))])
            _end(kill)

        torch.save = _after(kill.nth, half_a_save, otherwise=save)
    else:
        owner, name = {
            "batch": (VideoTask, "on_train_batch_start"),
            "validation": (VideoTask, "validation_step"),
            "test": (VideoTask, "test_step"),
            "preparation": (VideoDataModule, "prepare"),
            "report": (terminal, "report_result"),
            "row": (MetricsFile, "log_metrics"),
        }[kill.at]
        original = getattr(owner, name)

        def ended(*arguments: Any, **named: Any) -> Any:
            _end(kill)
            return original(*arguments, **named)

        setattr(owner, name, _after(kill.nth, ended, otherwise=original))


def _after(nth: int, last: Any, *, otherwise: Any) -> Any:
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return (last if calls == nth else otherwise)(*arguments, **named)

    return call
