"""What `videxp serve` does under more requests than it can answer: 100 clients on 2 cores.

    python benchmarks/serve.py RUN VIDEO... [--clients 100] [--seconds 300] [-- OPTIONS OF VIDEXP SERVE]

Each client sends one of the videos, on a connection of its own, and the next one when it has its answer; after 429 and
503 it waits as long as Retry-After says, give or take half. Printed are the answers by status, how long those with an
answer took (from the connection to the last byte), and the memory of the server's processes together (Linux's
proportional set size, in which shared pages count once), after the first tenth of the time and at its end.
"""

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

VIDEXP = [sys.executable, "-c", "import sys; from videxp.cli import main; sys.exit(main())"]
BOUNDARY = "videxp-benchmark"
WARM_UP = 0.1
"""Share of the time after which memory is looked at first."""


@dataclass
class Load:
    """What came of it. statuses: 0 stands for a connection that broke off."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Of memory, over what it was after the warm-up."""
        return self.memory[-1] / self.memory[0] - 1

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    def lines(self) -> list[str]:
        counts = ", ".join(f"{status or 'broken off'}: {count:,}" for status, count in sorted(self.statuses.items()))
        before, after = (f"{value / 2**20:,.0f} MiB" for value in (self.memory[0], self.memory[-1]))
        times = f"p50 {self.percentile(50):.2f} s, p95 {self.percentile(95):.2f} s, longest {max(self.seconds):.2f} s"
        return [f"by status  {counts}", f"answers    {times}", f"memory     {before} -> {after} ({self.growth:+.1%})"]


def run_load(address: str, process: int, videos: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """process: the server's number."""
    return asyncio.run(_run_load(address, process, videos, clients=clients, seconds=seconds))


async def _run_load(address: str, process: int, videos: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    load, start = Load(), time.perf_counter()
    end = start + seconds
    working = [asyncio.create_task(_client(address, videos, load, number, end)) for number in range(clients)]
    await asyncio.sleep(WARM_UP * seconds)
    while time.perf_counter() < end:
        load.memory.append(memory_of_tree(process))
        await asyncio.sleep(seconds / 20)
    await asyncio.gather(*working)
    load.memory.append(memory_of_tree(process))
    return load


async def _client(address: str, videos: Sequence[bytes], load: Load, number: int, end: float) -> None:
    rng = random.Random(number)
    await asyncio.sleep(rng.random())
    while time.perf_counter() < end:
        start = time.perf_counter()
        status, wait = await _send(address, rng.choice(videos))
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(time.perf_counter() - start)
        else:
            await asyncio.sleep(wait * rng.uniform(0.5, 1.5))


async def _send(address: str, video: bytes) -> tuple[int, float]:
    """(status, seconds to wait before the next one)"""
    host = urlsplit(address)
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="video"; filename="clip.mp4"\r\n\r\n'.encode()
    body = part + video + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: {host.netloc}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection(host.hostname, host.port)
        writer.write(head.encode() + body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
    except OSError:
        return 0, 1.0
    headers = answer.partition(b"\r\n\r\n")[0].decode("latin-1").lower().splitlines()
    wait = next((float(line.partition(":")[2]) for line in headers if line.startswith("retry-after:")), 1.0)
    return (int(headers[0].split()[1]) if headers else 0), wait


def memory_of_tree(process: int) -> int:
    """Bytes."""
    total = 0
    for number in (process, *descendants(process)):
        try:
            text = Path(f"/proc/{number}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        total += 1024 * int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
    return total


def descendants(process: int) -> list[int]:
    """Processes that this one has started, and those that these have."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found, new = [], parents.get(process, [])
    while new:
        found += new
        new = [child for one in new for child in parents.get(one, [])]
    return found


@contextmanager
def served(run: str, *options: str) -> Iterator[tuple[str, int]]:
    """(address, number of the process) of a server."""
    command = [*VIDEXP, "serve", run, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(word for word in process.stdout.readline().split() if word.startswith("http"))
        try:
            _wait_until_ready(address)
            yield address, process.pid
        finally:
            process.terminate()


def _wait_until_ready(address: str) -> None:
    while True:
        try:
            with urlopen(f"{address}/health"):
                return
        except URLError:
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("videos", metavar="VIDEO", nargs="+", type=Path)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=300)
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    asked = parser.parse_args(words[:at])
    videos = [path.read_bytes() for path in asked.videos]
    with served(asked.run, *words[at + 1 :]) as (address, process):
        load = run_load(address, process, videos, clients=asked.clients, seconds=asked.seconds)
    print(f"{asked.clients} clients, {asked.seconds:g} s", *load.lines(), sep="\n")


if __name__ == "__main__":
    main()
