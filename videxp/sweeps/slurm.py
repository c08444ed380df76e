"""Runs as jobs of a Slurm cluster, through submitit."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Annotated, Any

from videxp import config
from videxp.core.errors import BadRequest, VidexpError, require_installed
from videxp.core.limits import Ge, Gt
from videxp.runs.folder import RunFolder
from videxp.sweeps.launching import clean_environment
from videxp.sweeps.slurm_job import ResumeRun
from videxp.training.processes.supervision import death

ENDED = {
    "BOOT_FAIL": "its node did not boot",
    "CANCELLED": "was cancelled (scancel)",
    "DEADLINE": "its deadline passed",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "ran out of memory (launcher.memory)",
    "PREEMPTED": "was pre-empted, and not requeued",
    "TIMEOUT": "reached its time limit (launcher.time)",
}
"""Slurm's states of jobs that are over, but for those that the exit status says more about."""
HANGING_SECONDS = 60
"""From the end of a job's first process until those that are left count as hanging."""
LOST = "is no longer known to Slurm"


class Slurm:
    """A job for each run. It outlives this process; another one finds it again by its handle, the job's number.

    A job that is pre-empted, or comes near its time limit, leaves a checkpoint, queues again and goes on exactly. A run
    on one node is one task, which starts its own processes; a run on several (hardware.num_nodes) has a task for each.

    jobs: at a time, waiting ones included. time: minutes. gpus: of each node. cpus: of each task. memory: GB of each
    node. array: runs that are started together are one job array. signal_seconds: how long before the time limit a run
    is asked for its checkpoint. requeues: how often at most a job queues again. setup: lines of shell before it begins.
    additional: other options of sbatch. What is null is left to the cluster.

    Raises NotInstalled without submitit, and BadRequest on a machine without Slurm's programs.
    """

    poll_seconds = 5.0
    queues, outlived = True, True

    def __init__(
        self,
        *,
        jobs: Annotated[int, Ge(1)] = 8,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        time: Annotated[int, Ge(1)] = 240,
        gpus: Annotated[int, Ge(0)] = 1,
        cpus: Annotated[int, Ge(1)] = 8,
        memory: Annotated[float, Gt(0)] | None = None,
        array: bool = False,
        signal_seconds: Annotated[int, Ge(1)] = 120,
        requeues: Annotated[int, Ge(0)] = 100,
        setup: list[str] | None = None,
        additional: dict[str, Any] | None = None,
    ) -> None:
        _refuse_if_missing()
        self.slots = jobs
        self.gpus, self.cpus = gpus, cpus
        self.array = array
        self.requeues = requeues
        asked = {
            "partition": partition,
            "account": account,
            "qos": qos,
            "constraint": constraint,
            "time": time,
            "gpus_per_node": gpus or None,
            "cpus_per_task": cpus,
            "mem": None if memory is None else f"{round(memory * 1024)}MB",
            "signal_delay_s": signal_seconds,
            "setup": setup or None,
            "array_parallelism": jobs,
            "stderr_to_stdout": True,
            "additional_parameters": {"requeue": True, **(additional or {})},
        }
        given = {name: value for name, value in asked.items() if value is not None}
        self._parameters = {**given, "wckey": None}  # submitit would send its own name

    def share(self) -> dict[str, int]:
        cores = max(1, self.cpus // max(1, self.gpus))
        return {"hardware.num_threads": cores, "hardware.num_workers": cores if self.gpus else cores // 2}

    def start(self, run: Path) -> str:
        return next(handle for _, handle in self.start_together([run]))

    def start_together(self, runs: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        """Begin or go on with several: (run, handle). With `array`, those of the same size are one job array."""
        sizes = {run: _size(run, gpus=self.gpus) for run in runs}
        groups = [[run] for run in runs]
        if self.array:
            groups = [[run for run in runs if sizes[run] == size] for size in dict.fromkeys(sizes.values())]
        for group in groups:
            yield from zip(group, self._submitted(group, sizes[group[0]]))

    def ended(self, handles: Sequence[str]) -> dict[str, str]:
        """In one question to the queue, and one to the accounts where jobs have left it."""
        states = _queue()
        if states is None:  # no answer says nothing about any job
            return {}
        if missing := [handle for handle in handles if handle not in states]:
            states |= _accounts(missing)
        found = {handle: _how(*states.get(handle, ("LOST", 0))) for handle in handles}
        return {handle: how for handle, how in found.items() if how is not None}

    def stop(self, handles: Sequence[str], *, at_once: bool = False) -> None:
        """Slurm gives running jobs its KillWait, 30 seconds unless set otherwise, between SIGTERM and SIGKILL."""
        if at_once and handles:
            _asked("scancel", "--signal=KILL", *(f"{handle}.0" for handle in handles))
        if handles:
            _asked("scancel", *handles)

    def place(self, handle: str) -> str:
        return f"job {handle}"

    def close(self) -> None: ...

    def _submitted(self, runs: Sequence[Path], size: tuple[int, int]) -> list[str]:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        nodes, tasks = size
        home = runs[0] if len(runs) == 1 else runs[0].parent  # of submitit's files and Slurm's own log
        folder = (home / "slurm").absolute()
        is_new = not folder.exists()
        executor = SlurmExecutor(folder)
        executor.update_parameters(
            job_name=f"videxp-{home.name}",
            nodes=nodes,
            ntasks_per_node=tasks,
            srun_args=[f"--wait={HANGING_SECONDS}"],
            **self._parameters,
        )
        try:
            with _own_environment(), redirect_stderr(io.StringIO()), executor.batch():  # the error has it, too
                jobs = [executor.submit(ResumeRun(str(run.absolute()), self.requeues)) for run in runs]
        except (FailedJobError, FailedSubmissionError) as error:
            if is_new:
                shutil.rmtree(folder)
            raise VidexpError(f"sbatch refused the job: {_last_words(error)}") from error
        return [job.job_id for job in jobs]


def _size(run: Path, *, gpus: int) -> tuple[int, int]:
    """(nodes, tasks on each) of a planned run, or of a shard."""
    if not RunFolder(run).config.exists():  # a shard of a batch, which is one process
        return 1, 1
    hardware = config.load_resolved(RunFolder(run).config).hardware
    if hardware.num_nodes == 1:
        return 1, 1
    devices = hardware.devices
    if devices in ("auto", -1):
        devices = gpus
    return hardware.num_nodes, max(1, devices if isinstance(devices, int) else len(devices))


def _refuse_if_missing() -> None:
    require_installed("submitit", extra="slurm")
    if missing := [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]:
        raise BadRequest(f"launcher=slurm: there is no {missing[0]} here; run this on a machine of the cluster")


@contextmanager
def _own_environment() -> Iterator[None]:
    """What a job inherits, without what this process inherited from a job. Where Slurm's configuration is, stays."""
    before = dict(os.environ)
    kept = {name: value for name, value in before.items() if name == "SLURM_CONF"}
    os.environ.clear()
    os.environ.update(clean_environment(before) | kept)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# ---- what became of jobs ---------------------------------------------------------------------------------------------


def _how(state: str, status: int) -> str | None:
    """In words; None: it is not over. status: as of `wait`."""
    if state in ("COMPLETED", "FAILED"):
        code = os.waitstatus_to_exitcode(status)
        return death(code if code <= 128 else 128 - code)  # srun and the shell add 128 to a signal's number
    return LOST if state == "LOST" else ENDED.get(state)


def _queue() -> dict[str, tuple[str, int]] | None:
    """Job -> (state, status), of all that wait, run or ended some minutes ago; None where Slurm does not answer."""
    user = f"--user={os.getuid()}"
    text = _asked("squeue", "--noheader", "--array", "--states=all", user, "--Format=JobArrayID:|,State:|,exit_code:|")
    if text is None:
        return None
    lines = (line.split("|") for line in text.splitlines() if line.count("|") >= 3)
    return {job: (state, int(status)) for job, state, status, *_ in lines}


def _accounts(jobs: Sequence[str]) -> dict[str, tuple[str, int]]:
    """The same of jobs that ended long ago, where the cluster keeps accounts."""
    text = _asked(
        "sacct", "-X", "--noheader", "--parsable2", "--format=JobID,State,ExitCode", f"--jobs={','.join(jobs)}"
    )
    lines = (line.split("|") for line in (text or "").splitlines() if line.count("|") == 2)
    found = {}
    for job, state, code in lines:
        status, _, signum = code.partition(":")
        found[job] = (state.split()[0], int(status) << 8 | int(signum))  # CANCELLED by 1000
    return found


def _asked(*command: str) -> str | None:
    """What one of Slurm's programs answers, or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _last_words(error: Exception) -> str:
    """`invalid partition specified: gpu` of sbatch's lines."""
    lines = [line.removeprefix("sbatch: error: ").strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
