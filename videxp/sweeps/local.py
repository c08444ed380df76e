"""Runs on this machine: several at a time, each with GPUs of its own or a share of the cores."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from videxp.config.checking.machine import count_cores, count_gpus
from videxp.core.limits import Ge
from videxp.sweeps.launching import OUTPUT, clean_environment, resume_command
from videxp.training.processes.supervision import death


class Local:
    """A process for each run. It ends with this one, by SIGTERM, so it leaves a checkpoint even if this one is killed.

    jobs: runs at a time; "auto": as many as the GPUs allow, one where there is none. gpus: of each run; where more runs
    are wanted than that makes, the GPUs with the fewest runs are shared.
    """

    poll_seconds = 0.1
    queues, outlived = False, False

    def __init__(self, *, jobs: Annotated[int, Ge(1)] | Literal["auto"] = "auto", gpus: Annotated[int, Ge(1)] = 1):
        self.devices = _visible_gpus()
        self.gpus = min(gpus, len(self.devices))
        self.slots = jobs if jobs != "auto" else max(1, len(self.devices) // gpus)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._taken: dict[str, list[str]] = {}

    def share(self) -> dict[str, int]:
        """Cores are split evenly; on the CPU a run's network and its data workers have half of its share each."""
        if self.slots == 1:
            return {}
        cores = max(1, count_cores() // self.slots)
        return {"hardware.num_threads": cores, "hardware.num_workers": cores if self.devices else cores // 2}

    def start(self, run: Path) -> str:
        devices = self._least_busy()
        environment = clean_environment()
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
        with (run / OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                resume_command(run, "--ends-with", str(os.getpid())),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for this process, which passes it on
            )
        handle = f"{process.pid}:{_born(process.pid)}"
        self._processes[handle], self._taken[handle] = process, devices
        return handle

    def ended(self, handles: Sequence[str]) -> dict[str, str]:
        found = {handle: how for handle in handles if (how := self._end(handle)) is not None}
        for handle in found:
            self._taken.pop(handle, None)
        return found

    def stop(self, handles: Sequence[str], *, at_once: bool = False) -> None:
        for handle in handles:
            number = int(handle.partition(":")[0])
            if self._end(handle) is None:
                try:
                    os.killpg(number, signal.SIGKILL) if at_once else os.kill(number, signal.SIGTERM)
                except ProcessLookupError:
                    pass

    def place(self, handle: str) -> str:
        return f"pid {handle.partition(':')[0]}"

    def close(self) -> None:
        for process in self._processes.values():
            process.poll()

    def _end(self, handle: str) -> str | None:
        if (process := self._processes.get(handle)) is not None:
            status = process.poll()
            return None if status is None else death(status)
        number, _, born = handle.partition(":")
        return None if _born(int(number)) == born else "was ended with the sweep that started it"

    def _least_busy(self) -> list[str]:
        busy = Counter(device for devices in self._taken.values() for device in devices)
        return sorted(self.devices, key=lambda device: busy[device])[: self.gpus]


def _visible_gpus() -> list[str]:
    """The names by which CUDA_VISIBLE_DEVICES hands out GPUs."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(i) for i in range(count_gpus())] if named is None else [name.strip() for name in named.split(",")]
    return names[: count_gpus()]


def _born(pid: int) -> str:
    """When a process began, in the kernel's ticks: a process of that number that began later is another one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "gone"
    state, *fields = stat.rpartition(")")[2].split()
    return "gone" if state in "ZX" else fields[18]
