"""videxp in forked children: a process that has imported everything, and computed nothing, forks for each run.

A run then takes a second rather than the ten that the imports take. That process takes requests and answers each with
the exit statuses. A child can be told when to kill itself with SIGKILL.
"""

import io
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.forked import CONTEXT
from tests.forking import Forked, ends
from tests.ready import copy_ready_digits

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Kill:
    """When a child ends itself. `at`: "time" (after `amount` seconds), or before the `nth` batch, validation batch,
    test batch or row, or in the `nth` write of a checkpoint, of which the share `amount` is on disk.

    how: a signal to itself, "group TERM" to its group, "exit", "raise", "hang"; `again_seconds`: once more after that.
    """

    at: str
    nth: int = 1
    amount: float = 0.5
    rank: int = 0
    how: str = "KILL"
    again_seconds: float | None = None


@dataclass
class ForkServer:
    """The other end: asks the process that forks."""

    process: Any = field(init=False)
    requests: Any = field(init=False)

    def __post_init__(self) -> None:
        self.requests, there = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=serve, args=(there,))
        self.process.start()
        there.close()

    def run(
        self,
        *arguments: str,
        cwd: Path,
        kill: Kill | None = None,
        ranks: int = 1,
        supervised: bool = False,
        **environment: str,
    ) -> tuple[list[int], str]:
        """`videxp ARGUMENTS` on so many ranks -> (exit status of each rank, what was printed).

        supervised: the ranks are started by videxp (forked, too), and `kill` is for one of them.
        """
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "kill": kill and vars(kill),
            "ranks": ranks,
            "supervised": supervised,
            "environment": {**_environment(cwd), **environment},
        }
        self.requests.send(request)
        return self.requests.recv(), (cwd / "printed.txt").read_text()

    def close(self) -> None:
        self.requests.close()
        self.process.join(10)


def _environment(cwd: Path) -> dict[str, str]:
    return {"HOME": str(cwd), "VIDEXP_CACHE": str(cwd / "cache"), "VIDEXP_ALLOW": "tests", "VIDEXP_TRACEBACK": "1"}


# ---- in the process that forks ---------------------------------------------------------------------------------------


def serve(requests: Any) -> None:
    number = 0
    with suppress(EOFError):  # the other end is closed
        while True:
            request = requests.recv()
            number += 1
            port = str(20000 + os.getpid() % 10000 + number)
            (Path(request["cwd"]) / "printed.txt").write_text("")
            children = [_fork(request, rank=rank, port=port) for rank in range(request["ranks"])]
            requests.send(_statuses(children))
    os._exit(0)  # at once: to take apart what was imported takes seconds


def _statuses(children: list[int]) -> list[int]:
    """Waits for all; when one is killed, so are the others, as by a scheduler."""
    statuses: dict[int, int] = {}
    while len(statuses) < len(children):
        pid, status = os.wait()
        if pid in children:
            statuses[pid] = os.waitstatus_to_exitcode(status)
            if statuses[pid] < 0:
                for other in set(children) - set(statuses):
                    os.kill(other, signal.SIGKILL)
    return [statuses[pid] for pid in children]


def _fork(request: dict[str, Any], *, rank: int, port: str) -> int:
    if pid := os.fork():
        return pid
    ends(lambda: _child(request, rank=rank, port=port))


def _child(request: dict[str, Any], *, rank: int, port: str) -> int:
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    if request["ranks"] > 1:
        world = {"WORLD_SIZE": str(request["ranks"]), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        os.environ.update(world, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, TORCHELASTIC_RUN_ID="test")
    printed = os.open("printed.txt", os.O_WRONLY | os.O_APPEND)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    kill = Kill(**request["kill"]) if request["kill"] else None
    if kill is not None and kill.how.startswith("group"):
        os.setpgid(0, 0)
    if request["supervised"]:
        _fork_ranks(kill)
    elif kill is not None and rank == kill.rank:
        _arm(kill)
    leave_out_what_no_result_depends_on()
    copy_ready_digits()
    from videxp.cli import main

    sys.argv = ["videxp", *request["arguments"]]
    return main(request["arguments"])


def leave_out_what_no_result_depends_on() -> None:
    """Pictures and the list of installed packages take longer than the training of a test."""
    import torch

    from videxp.runs import provenance
    from videxp.training.callbacks.samples import SaveSamples

    SaveSamples.on_test_end = lambda *_: None
    provenance.environment = lambda: {"torch_threads": torch.get_num_threads(), "packages": {}}


def _fork_ranks(kill: Kill | None) -> None:
    """The supervisor's ranks are forked from it, where it would start Python anew for each."""
    from videxp.training.processes import supervision

    class Killed(Forked):
        def begin(self) -> None:
            if kill is not None and int(os.environ["LOCAL_RANK"]) == kill.rank:
                _arm(kill)

    supervision.Popen = Killed


def _end(kill: Kill) -> None:
    group, _, name = kill.how.rpartition(" ")
    Path("fault.txt").write_text(str(time.monotonic()))
    if name == "exit":
        os._exit(3)
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
