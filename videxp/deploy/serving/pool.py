"""Requests wait in one queue of bounded length, and workers take from it what is there, several at a time.

Nobody waits for a batch to fill: while workers are busy, the next batch gathers by itself. Where a batch ends its
worker, its requests are tried one by one, so that one bad video costs no other its answer.
"""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from videxp.core.errors import VidexpError
from videxp.core.memory import read_bytes
from videxp.deploy.serving.forking import READY, Forker
from videxp.deploy.serving.meters import Meters
from videxp.deploy.serving.refusal import Refused, RequestLimits
from videxp.deploy.serving.served import Outcome

WATCH_SECONDS = 0.05
RETRY_SECONDS = 1.0


@dataclass(eq=False)
class Job:
    """An uploaded video in its folder."""

    folder: Path
    outcome: asyncio.Future[Outcome]


class Pool:
    """workers: processes. batch: requests that a worker answers together. queue: requests that may wait beside those
    under way."""

    def __init__(
        self, forker: Forker, *, workers: int, batch: int, queue: int, limits: RequestLimits, meters: Meters
    ) -> None:
        self.forker, self.limits, self.meters, self.batch = forker, limits, meters, batch
        self.slots = workers * batch + queue
        self.waiting: asyncio.Queue[Job] = asyncio.Queue()
        self.taken_in: set[Job] = set()
        self.workers = [Worker(forker, limits=limits) for _ in range(workers)]

    @property
    def ready(self) -> int:
        """Workers that can answer."""
        return sum(worker.is_ready for worker in self.workers)

    async def run(self) -> None:
        """Until it is cancelled. Raises VidexpError where no worker can be started any more; whatever it raises, who
        waits is told so."""
        try:
            await asyncio.gather(*map(self._tend, self.workers))
        except Exception:
            for job in self.taken_in:
                if not job.outcome.done():
                    job.outcome.set_result((503, "the service has ended: send the video again later"))
            raise

    @contextmanager
    def admission(self) -> Iterator[None]:
        """A place among the requests that are taken in, wait or are answered. Raises Refused: 429, 503."""
        if not self.ready:
            raise Refused(503, "no worker is ready", retry_after=RETRY_SECONDS)
        if self.meters.in_flight >= self.slots:
            expected = self.slots * self.meters.seconds_per_answer / len(self.workers)
            raise Refused(429, f"{self.slots} requests are under way already", retry_after=min(max(expected, 1), 60))
        self.meters.in_flight += 1
        try:
            yield
        finally:
            self.meters.in_flight -= 1

    async def answer(self, folder: Path) -> None:
        """Returns when the answer is in the folder. Raises Refused."""
        job = Job(folder, asyncio.get_running_loop().create_future())
        self.taken_in.add(job)
        self.waiting.put_nowait(job)
        try:
            status, message = await job.outcome
        finally:
            self.taken_in.discard(job)
        if status != 200:
            raise Refused(status, message, retry_after=RETRY_SECONDS if status == 503 else None)

    async def _tend(self, worker: "Worker") -> None:
        await worker.start()
        while True:
            jobs = [await self._next(worker)]
            while len(jobs) < self.batch and not self.waiting.empty():
                jobs.append(self.waiting.get_nowait())
            if jobs := [job for job in jobs if not job.outcome.done()]:  # cancelled: the client has gone
                await self._answer(worker, jobs)

    async def _next(self, worker: "Worker") -> Job:
        """The next job; a worker that ends while it has none is replaced."""
        job = asyncio.create_task(self.waiting.get())
        while not job.done():
            await asyncio.wait({job, worker.said}, return_when=asyncio.FIRST_COMPLETED)
            if worker.said.done():
                await self._restart(worker)
        return job.result()

    async def _answer(self, worker: "Worker", jobs: list[Job]) -> None:
        try:
            with self.meters.timed_batch(len(jobs)):
                outcomes = await worker.ask(jobs)
        except Refused as ended:
            await self._restart(worker)
            if len(jobs) > 1:
                for job in jobs:
                    await self._answer(worker, [job])
                return
            outcomes = [(ended.status, ended.message)]
        for job, outcome in zip(jobs, outcomes):
            if not job.outcome.done():
                job.outcome.set_result(outcome)

    async def _restart(self, worker: "Worker") -> None:
        self.meters.restarts += 1
        worker.is_ready = False
        await worker.start()


class Worker:
    """One process, and a new one when it has ended."""

    def __init__(self, forker: Forker, *, limits: RequestLimits) -> None:
        self.forker, self.limits = forker, limits
        self.is_ready = False
        self.writer: asyncio.StreamWriter | None = None
        self.most_bytes: int | None = None
        self.said: asyncio.Task[bytes]
        """Its next line; while it has nothing to answer, only its end fulfills this."""

    async def start(self) -> None:
        """Returns when it is ready; once one was, however often it takes. Raises VidexpError where the first cannot."""
        while True:
            if self.writer is not None:
                self.writer.close()
            self.pid, connection = self.forker.fork()
            self.reader, self.writer = await asyncio.open_connection(sock=connection)
            if await _read_line(self.reader) == READY:
                break
            if self.most_bytes is None:
                raise VidexpError("no worker could be started")
            await asyncio.sleep(RETRY_SECONDS)
        self.said = asyncio.create_task(_read_line(self.reader))
        self.most_bytes = (self._resident() or 0) + self.limits.memory_bytes
        self.is_ready = True

    async def ask(self, jobs: list[Job]) -> list[Outcome]:
        """Raises Refused where the process has ended, or had to be ended."""
        assert self.writer is not None
        self.writer.write(json.dumps([str(job.folder) for job in jobs]).encode() + b"\n")
        try:
            line = await self._next_line(seconds=self.limits.seconds * len(jobs))
        except Refused:
            self._end()
            raise
        self.said = asyncio.create_task(_read_line(self.reader))
        return [(int(status), str(message)) for status, message in json.loads(line)]

    async def _next_line(self, *, seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            done, _ = await asyncio.wait({self.said}, timeout=WATCH_SECONDS)
            if done:
                if not (line := self.said.result()):
                    raise Refused(503, "the worker has ended: send the video again")
                return line
            if loop.time() > deadline:
                raise Refused(504, f"no answer within {self.limits.seconds:g} s: send a shorter or smaller video")
            if (self._resident() or 0) > (self.most_bytes or 0):
                most = self.limits.memory_bytes >> 20
                raise Refused(413, f"the video takes more than {most:,} MiB of memory: send a shorter or smaller one")

    def _resident(self) -> int | None:
        return read_bytes(Path(f"/proc/{self.pid}/status"), "VmRSS")

    def _end(self) -> None:
        """SIGKILL, unless it has ended: its number may be another's then."""
        self.is_ready = False
        if not self.said.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """b"" where the other side has ended."""
    try:
        line = await reader.readline()
    except (OSError, ValueError):  # ValueError: a line without an end
        return b""
    return line if line.endswith(b"\n") else b""
