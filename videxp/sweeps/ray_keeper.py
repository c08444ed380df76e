"""What stands on a Ray node for a run: it starts `videxp resume RUN`, waits for its end, and passes requests on."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from videxp.sweeps.launching import OUTPUT
from videxp.training.processes.supervision import death

POLL_SECONDS = 0.1
LINGER_SECONDS = 60
"""How long the end of a run may be asked for, when nobody is there to hear of it."""
GPUS = "CUDA_VISIBLE_DEVICES"


class Keeper:
    """A Ray actor, which holds what the run needs of the cluster. All of its methods run in one thread.

    run: absolute path of a planned run. command: with `{pid}` where this process's id belongs. folder: the current one
    of the sweep. environment: of the run's process, but for the GPUs, which Ray hands out.
    """

    def __init__(self, run: str, *, command: Sequence[str], folder: str, environment: dict[str, str]) -> None:
        self.run, self.folder = Path(run), folder
        self.command = [word.format(pid=os.getpid()) if word == "{pid}" else word for word in command]
        self.environment = {name: value for name, value in environment.items() if name != GPUS}
        if GPUS in os.environ:
            self.environment[GPUS] = os.environ[GPUS]
        self.process: subprocess.Popen[bytes] | None = None
        self.leaving: asyncio.Task[None] | None = None

    async def wait(self) -> str:
        """Start the run where that has not been done, and wait for its end; returns how it ended, in words."""
        if self.process is None:
            node = os.uname().nodename
            for path in (str(self.run), self.folder, self.command[0]):
                if not Path(path).exists():
                    return f"ended ({node} has no {path}; all nodes of the cluster must share it)"
            self.process = self._started()
            self.leaving = asyncio.get_running_loop().create_task(self._leave())
        while (status := self.process.poll()) is None:
            await asyncio.sleep(POLL_SECONDS)
        return death(status)

    async def stop(self, *, at_once: bool) -> None:
        """Ask the run for a checkpoint and the end, or end it with its children."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM) if not at_once else os.killpg(self.process.pid, signal.SIGKILL)

    def _started(self) -> "subprocess.Popen[bytes]":
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # by Ray, and children inherit it
        try:
            with (self.run / OUTPUT).open("ab") as output:
                return subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    cwd=self.folder,
                    start_new_session=True,
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    async def _leave(self) -> None:
        """A sweep that hears of the end lets go of this actor at once; without one, the resources are not kept."""
        assert self.process is not None
        while self.process.poll() is None:
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(LINGER_SECONDS)
        os._exit(0)
