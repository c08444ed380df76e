"""The ranks of one machine: started, watched and ended together by a process that trains nothing itself.

So any of them may die, rank 0 too, and still somebody says which one it was and writes the run's state. Each rank leads
a session of its own: signals to the group reach the supervisor alone, and none of a rank's processes outlives it.

A rank that hangs is found by those that wait for it: their collective ends after the process group's timeout. Ranks
that then say nothing are the ones that hang; SIGABRT makes them write their stacks.
"""

import faulthandler
import json
import os
import re
import signal
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from subprocess import PIPE, Popen
from typing import Any

from videxp.core.errors import VidexpError, system_words
from videxp.core.parent import die_with_parent
from videxp.core.processes import program
from videxp.training.processes.signals import Interrupted, Signals

PROGRAM = program("from videxp.cli import main\nsys.exit(main())")
"""The command line, for `python -c`."""
REPORT_FD, PARENT = "VIDEXP_REPORT_FD", "VIDEXP_PARENT"
POLL_SECONDS = 0.1
SILENT_SECONDS = (
    4  # from the first failure until ranks that say nothing count as hanging; others meet a closed connection
)
CLOSING_SECONDS = 11  # ... until ranks that said why they end must be gone: they close their loggers
DUMP_SECONDS = 1.5
INTERRUPTED = Interrupted(signal.SIGTERM).exit_status
MAX_TRACEBACK = 20_000  # a pipe holds 64 KiB

ECHO = re.compile(r"gloo/|NCCL|TCPStore|pair closure|[Cc]onnection (closed|reset) by peer|Timed out waiting")


class RanksFailed(VidexpError):
    """Names the rank that was the cause. `details`: tracebacks and stacks of all, for the log."""

    def __init__(self, message: str, *, details: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.details = details
        self.exit_status = exit_status


# ---- in a rank -------------------------------------------------------------------------------------------------------


def under_supervision() -> bool:
    return REPORT_FD in os.environ


def be_supervised() -> None:
    """End with the supervisor; write the stacks of all threads to it on SIGABRT and on crashes."""
    die_with_parent()
    if os.getppid() != int(os.environ[PARENT]):  # it ended before the kernel was told
        os._exit(1)
    faulthandler.enable(int(os.environ[REPORT_FD]), all_threads=True)


def report(error: BaseException) -> None:
    """Tell the supervisor why this rank ends."""
    plain = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    said = {
        "error": str(error) if isinstance(error, VidexpError) else system_words(error) or plain,
        "echo": is_echo(error),
        "exit_status": getattr(error, "exit_status", 1),
        "traceback": "".join(traceback.format_exception(error))[-MAX_TRACEBACK:],
    }
    os.write(int(os.environ[REPORT_FD]), json.dumps(said).encode() + b"\n")


def is_echo(error: BaseException) -> bool:
    """Whether it only says that another rank is gone or does not come, as gloo, NCCL and the store do."""
    import torch.distributed

    return isinstance(error, torch.distributed.DistError) or ECHO.search(str(error)) is not None


# ---- in the supervisor -----------------------------------------------------------------------------------------------


@dataclass
class Rank:
    """A process and what it has said: lines of JSON, and stacks in words."""

    number: int
    process: Popen
    pipe: int
    said: bytes = b""
    aborted: bool = field(default=False)

    @property
    def status(self) -> int | None:
        return self.process.poll()

    def listen(self) -> None:
        try:
            while part := os.read(self.pipe, 1 << 16):
                self.said += part
        except BlockingIOError:
            pass

    @property
    def report(self) -> dict[str, Any] | None:
        lines = [line for line in self.said.splitlines(keepends=True) if line.startswith(b"{") and line.endswith(b"\n")]
        return json.loads(lines[0]) if lines else None

    @property
    def stacks(self) -> str:
        lines = self.said.decode("utf-8", "replace").splitlines()
        return "\n".join(line for line in lines if not line.startswith("{"))

    def end(self) -> None:
        """This process and all of its session's group, at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


class Supervisor:
    """`with Supervisor() as supervisor: supervisor.run(...)`; whatever happens inside, no rank is left."""

    def __init__(self) -> None:
        self.ranks: list[Rank] = []

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: Any) -> None:
        self.end()

    def end(self) -> None:
        for rank in self.ranks:
            if rank.status != 0:
                rank.end()
        for rank in self.ranks:
            rank.process.wait()

    def run(
        self,
        command: Sequence[str],
        *,
        content: str,
        environment: dict[str, str],
        ranks: int,
        timeout_seconds: float,
        signals: Signals,
    ) -> None:
        """Start `command` once for each rank, with `content` on its standard input, and wait.

        Raises Interrupted when the ranks ended because a signal was received, RanksFailed when one failed.
        """
        for number in range(ranks):
            self.ranks.append(_start(command, content, {**environment, "LOCAL_RANK": str(number)}, number))
        forwarded, ending_since = False, None
        while any(rank.status is None for rank in self.ranks):
            time.sleep(POLL_SECONDS)
            for rank in self.ranks:
                rank.listen()
            if signals.received is not None and not forwarded:
                forwarded = True
                for rank in self.ranks:
                    rank.process.send_signal(signal.SIGTERM)
            if ending_since is None and any(rank.report or rank.status for rank in self.ranks):
                ending_since = time.monotonic()
            if ending_since is not None:
                self._end_late_ones(time.monotonic() - ending_since, orderly=forwarded)
        for rank in self.ranks:
            rank.listen()
        if any(rank.status for rank in self.ranks):
            if signals.received is not None:
                raise Interrupted(signals.received)
            if all(rank.status == INTERRUPTED for rank in self.ranks):  # somebody told a rank rather than the run
                raise Interrupted(signal.SIGTERM)
            raise failure(self.ranks, timeout_seconds=timeout_seconds)

    def _end_late_ones(self, seconds: float, *, orderly: bool) -> None:
        for rank in self.ranks:
            if rank.status is not None:
                continue
            patience = CLOSING_SECONDS if rank.report or orderly else SILENT_SECONDS
            if seconds > patience and not rank.aborted:
                rank.aborted = True
                rank.process.send_signal(signal.SIGABRT)
                rank.process.send_signal(signal.SIGCONT)  # a stopped process dumps nothing
            if seconds > patience + DUMP_SECONDS:
                rank.end()


def _start(command: Sequence[str], content: str, environment: dict[str, str], number: int) -> Rank:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    process = Popen(
        command,
        env={**environment, REPORT_FD: str(writing), PARENT: str(os.getpid())},
        stdin=PIPE,
        pass_fds=[writing],
        start_new_session=True,
        text=True,
    )
    os.close(writing)
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(content)
    return Rank(number, process, reading)


# ---- who it was ------------------------------------------------------------------------------------------------------


def failure(ranks: Sequence[Rank], *, timeout_seconds: float) -> RanksFailed:
    """The rank that was the cause: one with an error of its own, else one that died, else one that hung."""
    details = "\n".join(_details(rank) for rank in ranks)
    for rank in ranks:
        if rank.report and not rank.report["echo"]:
            message = f"rank {rank.number}: {rank.report['error']}"
            return RanksFailed(message, details=details, exit_status=rank.report["exit_status"])
    for rank in ranks:
        if rank.status and not rank.report and not rank.aborted:
            return RanksFailed(f"rank {rank.number} {death(rank.status)}", details=details)
    hanging = [rank for rank in ranks if rank.aborted and not rank.report]
    if hanging:
        names = " and ".join(f"rank {rank.number}" for rank in hanging)
        where = innermost(hanging[0].stacks)
        message = f"{names} hung: the others waited {timeout_seconds:g} s (hardware.timeout_seconds)"
        return RanksFailed(f"{message}\n{where}; all stacks are in the log" if where else message, details=details)
    first = next(rank for rank in ranks if rank.status)
    said = first.report["error"] if first.report else death(first.status or 1)
    return RanksFailed(f"rank {first.number}: {said}", details=details)


def innermost(stacks: str) -> str:
    """Where the thread that got the signal (the main thread) was: the first line of its stack."""
    lines = iter(stacks.splitlines())
    for line in lines:
        if line.startswith("Current thread"):
            return next(lines, "").strip()
    return ""


def death(status: int) -> str:
    """A process's exit status in words: `was ended by SIGKILL; out of memory?`."""
    if status >= 0:
        return f"ended with exit status {status}"
    hint = "; out of memory?" if status == -signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-status).name}{hint}"


def _details(rank: Rank) -> str:
    text = rank.report["traceback"] if rank.report else ""
    status = "" if rank.status is None else f" (exit status {rank.status})"
    return f"rank {rank.number}{status}:\n{text}{rank.stacks}"
