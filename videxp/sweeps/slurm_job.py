"""What a Slurm job does: `videxp resume RUN` as a process of its own, and back into the queue if it was interrupted.

Slurm announces a pre-emption by SIGTERM and the time limit by SIGUSR2 (as submitit asks it to), people by SIGUSR1. Some
clusters tell the task alone, some all processes of its group. So the run has a group of its own, and is told once.

submitit's own way, `checkpoint()`, knows SIGUSR2 alone, and ignores the SIGTERM that comes before a pre-emption.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from videxp.core.lines import warn
from videxp.sweeps.launching import OUTPUT, clean_environment, resume_command
from videxp.training.processes.signals import Interrupted

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
# The second is of a run that was told before it listened.
INTERRUPTED = (Interrupted(signal.SIGTERM).exit_status, -signal.SIGTERM)


@dataclass(frozen=True)
class ResumeRun:
    """Called by submitit in each task of the job.

    run: absolute path of a planned run. requeues: how often at most the job queues again.
    """

    run: str
    requeues: int

    def __call__(self) -> None:
        """Always raises SystemExit, with the run's exit status."""
        status, told = _carried_out(Path(self.run))
        if told and status in INTERRUPTED:
            status = Interrupted(signal.SIGTERM).exit_status
            if not _is_first_task():
                status = 0  # the first one answers for all; some clusters end a job when any task fails
            elif self._requeue():
                status = 0
        sys.exit(status if status >= 0 else 128 - status)

    def _requeue(self) -> bool:
        job, before = os.environ["SLURM_JOB_ID"], int(os.environ.get("SLURM_RESTART_COUNT") or 0)
        if (state := _state(job)) not in ("RUNNING", "TIMEOUT"):  # somebody cancelled or requeued it
            _say(f"job {job} is {state.lower()}")
        elif before >= self.requeues:
            _say(f"job {job} was requeued {before} times already (launcher.requeues={self.requeues})")
        elif subprocess.run(["scontrol", "requeue", job], check=False, timeout=60).returncode == 0:
            _say(f"job {job} is requeued")
            return True
        return False


def _carried_out(run: Path) -> tuple[int, bool]:
    """(exit status of `videxp resume RUN`, whether it was told to stop)."""
    told: list[int] = []
    process: subprocess.Popen | None = None

    def tell(signum: int, frame: FrameType | None) -> None:
        _say(f"{signal.Signals(signum).name} received")
        told.append(signum)
        if process is not None and len(told) == 1:  # a second one would end it without a checkpoint
            process.send_signal(signal.SIGTERM)

    for number in STOPPING:
        signal.signal(number, tell)
    output = (run / OUTPUT).open("ab") if _is_first_task() else None
    process = subprocess.Popen(
        resume_command(run, "--ends-with", str(os.getpid())),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        # Several tasks are the run's processes, which find each other by Slurm's variables. One task starts them
        # itself, and would take itself for one of several.
        env=dict(os.environ) if int(os.environ.get("SLURM_NTASKS", "1")) > 1 else clean_environment(),
        start_new_session=True,
    )
    if told:
        process.send_signal(signal.SIGTERM)
    return process.wait(), bool(told)


def _is_first_task() -> bool:
    return os.environ.get("SLURM_PROCID", "0") == "0"


def _state(job: str) -> str:
    command = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T %r"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    state, _, reason = done.stdout.strip().partition(" ")
    return "TIMEOUT" if reason == "TimeLimit" else state or done.stderr.strip()


def _say(text: str) -> None:
    warn(text)
