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

from videxp.core.memory import read_bytes
from videxp.deploy.serving.forking import READY, Forker
from videxp.deploy.serving.meters import Meters
from videxp.deploy.serving.refusal import Limits, Refused
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

    def __init__(self, forker: Forker, *, workers: int, batch: int, queue: int, limits: Limits, meters: Meters) -> None:
        self.forker, self.limits, self.meters, self.batch = forker, limits, meters, batch
        self.slots = workers * batch + queue
        self.waiting: asyncio.Queue[Job] = asyncio.Queue()
        self.workers = [Worker(forker, limits=limits) for _ in range(workers)]

    @property
    def ready(self) -> int:
        """Workers that can answer."""
        return sum(worker.is_ready for worker in self.workers)

    async def run(self) -> None:
        """Until it is cancelled. Raises VidexpError where no worker can be started any more."""
        await asyncio.gather(*map(self._tend, self.workers))

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
        self.waiting.put_nowait(job)
        status, message = await job.outcome
        if status != 200:
            raise Refused(status, message, retry_after=RETRY_SECONDS if status == 503 else None)

    async def _tend(self, worker: "Worker") -> None:
        await worker.start()
        while True:
            jobs = [await self.waiting.get()]
            while len(jobs) < self.batch and not self.waiting.empty():
                jobs.append(self.waiting.get_nowait())
            if jobs := [job for job in jobs if not job.outcome.done()]:  # cancelled: the client has gone
                await self._answer(worker, jobs)

    async def _answer(self, worker: "Worker", jobs: list[Job]) -> None:
        if worker.has_ended:  # while it was idle: no request's fault
            await self._restart(worker)
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
        await worker.start()


class Worker:
    """One process, and a new one when it has ended."""

    def __init__(self, forker: Forker, *, limits: Limits) -> None:
        self.forker, self.limits = forker, limits
        self.is_ready = False

    @property
    def has_ended(self) -> bool:
        return self.reader.at_eof()

    async def start(self) -> None:
        """Returns when it is ready, however often it takes."""
        while True:
            self.pid, connection = self.forker.fork()
            self.reader, self.writer = await asyncio.open_connection(sock=connection)
            if await self.reader.readline() == READY:
                break
            self.writer.close()
            await asyncio.sleep(RETRY_SECONDS)
        self.most_bytes = (self._resident() or 0) + self.limits.memory_bytes
        self.is_ready = True

    async def ask(self, jobs: list[Job]) -> list[Outcome]:
        """Raises Refused where the process has ended, or had to be ended."""
        self.writer.write(json.dumps([str(job.folder) for job in jobs]).encode() + b"\n")
        reading = asyncio.ensure_future(self.reader.readline())
        try:
            line = await self._watched(reading, seconds=self.limits.seconds * len(jobs))
        except Refused:
            self._end()
            raise
        finally:
            reading.cancel()
        return [(int(status), str(message)) for status, message in json.loads(line)]

    async def _watched(self, reading: "asyncio.Future[bytes]", *, seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            done, _ = await asyncio.wait({reading}, timeout=WATCH_SECONDS)
            if done:
                line = b"" if reading.exception() else reading.result()
                if not line.endswith(b"\n"):
                    raise Refused(503, "the worker has ended: send the video again")
                return line
            if loop.time() > deadline:
                raise Refused(504, f"no answer within {self.limits.seconds:g} s: send a shorter or smaller video")
            if (self._resident() or 0) > self.most_bytes:
                most = self.limits.memory_bytes >> 20
                raise Refused(413, f"the video takes more than {most:,} MiB of memory: send a shorter or smaller one")

    def _resident(self) -> int | None:
        return read_bytes(Path(f"/proc/{self.pid}/status"), "VmRSS")

    def _end(self) -> None:
        """SIGKILL, unless it has ended: its number may be another's then."""
        self.is_ready = False
        if not self.has_ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.writer.close()
