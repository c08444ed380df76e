"""From data workers to the main process: our ring of reused shared memory against a DataLoader's own transport.

    python benchmarks/transport.py --workers 2 --rounds 5

Both loaders are ours and read the same clips, which lie ready in memory, so that nothing but collating and sending is
measured; without a ring they send as every DataLoader does, in fresh shared memory. The main process reads a byte of
each page, as any consumer would at least. In each round both run one iteration, one after the other, of at least ten
times workers x prefetch_factor batches, its start and end among them; the workers of the other wait meanwhile.

`main`: milliseconds of CPU per clip in the main process, its threads included. `workers`: of all workers together.
`clips/s`: by the clock, on however many cores there are. A ratio above 1 says that ours is better; the range is over
the rounds.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch

from videxp.core.processes import START_METHOD
from videxp.data.loading.dataset import Samples, collate
from videxp.data.loading.loader import ClipLoader

SHAPES = {"8x112": (8, 112), "16x112": (16, 112), "16x224": (16, 224), "32x224": (32, 224)}
PAGE_BYTES = 4096


class ReadyClips:
    """Samples that cost nothing: all are one clip."""

    def __init__(self, *, frames: int, size: int) -> None:
        self.clip = torch.randint(0, 256, (1, frames, size, size, 3), dtype=torch.uint8)

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> Samples:
        read = [{"clip": self.clip, "index": index, "epoch": epoch} for epoch, index in keys]
        return Samples(read, failures=[], epoch=keys[0][0], slot=getattr(keys, "slot", None))


@dataclass(frozen=True)
class Batches:
    count: int
    size: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return ([(0, batch * self.size + i) for i in range(self.size)] for batch in range(self.count))


@dataclass(frozen=True)
class Cost:
    """Of a clip."""

    main_ms: float
    workers_ms: float
    wall_ms: float


def loader(clips: ReadyClips, batches: Batches, *, workers: int, prefetch: int, slot_bytes: int) -> ClipLoader:
    return ClipLoader(
        clips,
        batch_sampler=batches,
        collate_fn=collate,
        slot_bytes=slot_bytes,
        num_workers=workers,
        prefetch_factor=prefetch,
        persistent_workers=True,
        multiprocessing_context=START_METHOD,
    )


def children_cpu_seconds(loader: ClipLoader) -> float:
    """What the loader's workers have used so far, in whole hundredths of a second."""
    ticks = 0
    for worker in loader._iterator._workers:
        with open(f"/proc/{worker.pid}/stat") as file:
            user, system = file.read().rsplit(")")[1].split()[11:13]
        ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def consume(loader: ClipLoader) -> int:
    """How many clips came."""
    clips = 0
    for batch in loader:
        batch["clip"].view(-1)[::PAGE_BYTES].sum()
        clips += len(batch["clip"])
    return clips


def cost(loader: ClipLoader) -> Cost:
    before = time.process_time(), children_cpu_seconds(loader), time.perf_counter()
    clips = consume(loader)
    after = time.process_time(), children_cpu_seconds(loader), time.perf_counter()
    return Cost(*((b - a) * 1e3 / clips for a, b in zip(before, after, strict=True)))


def ratio(ours: list[float], other: list[float]) -> str:
    ratios = [b / max(a, 1e-6) for a, b in zip(ours, other, strict=True)]
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"


def compared(name: str, pairs: list[tuple[Cost, Cost]]) -> list[str]:
    """A row for each of main, workers and clips/s: ours, the DataLoader's, how many times better."""
    ours, stock = ([astuple(cost) for cost in costs] for costs in zip(*pairs, strict=True))
    rows = []
    for column, label in enumerate(("main, CPU ms", "workers, CPU ms", "clips/s")):
        a, b = ([cost[column] for cost in costs] for costs in (ours, stock))
        middle = [statistics.median(1e3 / x for x in v) if label == "clips/s" else statistics.median(v) for v in (a, b)]
        rows.append(f"{f'{name}, {label}':<28}{middle[0]:>9.2f}{middle[1]:>12.2f}{ratio(a, b):>20}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--prefetch-factor", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1500, help="of an iteration, at least")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sent: dict[str, Any] = {"workers": options.workers, "prefetch": options.prefetch_factor}

    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    print(f"batches of {options.batch_size}, {options.workers} workers, prefetch_factor {options.prefetch_factor}")
    print(f"{'per clip (median)':<28}{'ring':>9}{'DataLoader':>12}{'ratio (range)':>20}")
    for name in options.shapes:
        frames, size = SHAPES[name]
        clips = ReadyClips(frames=frames, size=size)
        batch_bytes = options.batch_size * clips.clip.nbytes
        count = max(10 * options.workers * options.prefetch_factor, options.megabytes * 10**6 // batch_bytes)
        batches = Batches(count, options.batch_size)
        ours, stock = (loader(clips, batches, slot_bytes=slot_bytes, **sent) for slot_bytes in (batch_bytes, 0))
        consume(ours), consume(stock)  # workers start
        pairs = [(cost(ours), cost(stock)) for _ in range(options.rounds)]
        print("\n".join(compared(name, pairs)), flush=True)


if __name__ == "__main__":
    main()
