"""From video files to normalized batches: ours against the pipelines of others, on the same files, in one run.

    python benchmarks/clips.py [--cases 8x112 16x224] [--rounds 3] [--caches medium raw]

Files: benchmarks/footage.py (10 s of H.264, 340x256 and 1280x720). A case `16x224` takes clips of 16 frames, every
fourth one (8 frames: every second) at a random time, a random resized crop of 224 pixels, a flip, mean and std; batches
of 8. The same number of worker processes, one thread each.

per core: CPU time of one process from a file to the uint8 clip (to float, where the pipeline works on floats).
end to end: clips/s with workers, to the float batch in the main process; blocks of batches are measured by turns, and
at the start of a block what was made ahead is thrown away.
limit: the time that `ffmpeg -threads 1 -skip_frame noref` takes to decode from the key frame to the clip's last frame.

cache: copies made by `videxp prepare --cache`, for 112 pixels with a short side of 128; their bytes as a share of the
source's. Making them is not timed.

Needs `pip install opencv-python-headless` for the mmaction2-style pipeline, and the extra `samples`.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from footage import NUM_FRAMES, make_footage, run_ffmpeg
from own import BATCH, CASES, ours
from rivals import Mmaction2, Pytorchvideo, endless, loader, mmaction2_on_device

from videxp.data import VideoDataModule
from videxp.data.preparing.cache import make_cache
from videxp.data.preparing.shards import Making
from videxp.video import probe
from videxp.video.packets import PacketTable

MIN_SECONDS = 3.0
FORMATS = ("small", "medium", "raw")
Block = Callable[[int], float]


def cached(root: Path, case: str, folder: Path, format: Any, *, workers: int) -> tuple[str, VideoDataModule]:
    """(what to call it, the data module that reads the copies)."""
    _, _, stride, size = CASES[case]
    place = folder / f"{root.name}-{format}-{size}-{stride}"
    making = Making(format, 128 if size == 112 else None, stride, 21.0)
    about = make_cache(ours(root, case, folder, workers=0).manifest, place, making=making)
    name = f"ours, {format} cache of {about['bytes'] / about['source_bytes']:.2f} x the bytes"
    return name, ours(root, case, folder, workers=workers, cache=str(place))


def our_batches(data: VideoDataModule) -> Iterator[Any]:
    for batch in endless(data.train_dataloader()):
        yield data.transformed(batch, "train", device=torch.device("cpu"))["video"]


def end_to_end(case: str, folder: Path, *, workers: int, formats: list[str]) -> dict[str, Iterator[Any]]:
    """Endless batches of each pipeline."""
    footage, frames, stride, size = CASES[case]
    root = make_footage(folder, footage)
    files = sorted((root / "train").rglob("*.mp4"))
    shape: Any = {"num_frames": frames, "stride": stride, "size": size, "clips": 1 << 20}
    theirs = {"batch_size": BATCH, "workers": workers}
    caches = dict(cached(root, case, folder, format, workers=workers) for format in formats)
    return {
        "ours": our_batches(ours(root, case, folder, workers=workers)),
        "ours, 4 clips per video": our_batches(ours(root, case, folder, workers=workers, clips_per_video=4)),
        **{name: our_batches(data) for name, data in caches.items()},
        "mmaction2-style": map(mmaction2_on_device, endless(loader(Mmaction2(files, **shape), **theirs))),
        "pytorchvideo-style": endless(loader(Pytorchvideo(files, **shape), **theirs)),
    }


def clips_per_second(batches: Iterator[Any], *, count: int, ahead: int, seconds: float) -> float:
    """Over `count` batches and 3 seconds at least; fewer (at least 2) where they take longer than `seconds`."""
    for _ in range(ahead):
        next(batches)
    start, done = time.perf_counter(), 0
    passed = 0.0
    while done < 2 or ((done < count or passed < MIN_SECONDS) and passed < seconds):
        next(batches)
        done += 1
        passed = time.perf_counter() - start
    return done * BATCH / passed


def per_core(case: str, folder: Path, *, formats: list[str]) -> dict[str, Callable[[int], int]]:
    """Each pipeline's work for one sample, which returns its number of clips."""
    footage, frames, stride, size = CASES[case]
    root = make_footage(folder, footage)
    files = sorted((root / "train").rglob("*.mp4"))
    shape: Any = {"num_frames": frames, "stride": stride, "size": size, "clips": 1 << 20}
    one, four = (ours(root, case, folder, workers=0, clips_per_video=n).dataset("train") for n in (1, 4))
    mmaction2, pytorchvideo = Mmaction2(files, **shape), Pytorchvideo(files, **shape)
    caches = dict(cached(root, case, folder, format, workers=0) for format in formats)
    copies = {name: data.dataset("train") for name, data in caches.items()}
    return {
        **{name: partial(_sample, dataset) for name, dataset in copies.items()},
        "ours": lambda n: len(one[n, n % 8]["clip"]),
        "ours, 4 clips per video": lambda n: len(four[n, n % 8]["clip"]),
        "mmaction2-style": lambda n: len([mmaction2[n]]),
        "pytorchvideo-style": lambda n: len([pytorchvideo[n]]),
    }


def _sample(dataset: Any, number: int) -> int:
    return len(dataset[number, number % 8]["clip"])


def cpu_ms_per_clip(work: Callable[[int], int], numbers: range) -> float:
    start = time.process_time()
    clips = sum(work(n) for n in numbers)
    return (time.process_time() - start) * 1e3 / clips


def limit_ms_per_clip(case: str, folder: Path) -> float:
    """CPU time that ffmpeg needs for the frames between key frames and clips' ends, mean over files and times."""
    footage, frames, stride, _ = CASES[case]
    root = make_footage(folder, footage)
    times = []
    for file in sorted((root / "train").rglob("*.mp4")):
        said = run_ffmpeg(
            *["-benchmark", "-threads", "1", "-skip_frame", "noref", "-stream_loop", "3", "-i"],
            str(file),
            *["-an", "-f", "null", "-"],
        )
        fields = dict(word.split("=") for word in said.split() if "time=" in word and word.endswith("s"))
        ms_per_frame = (float(fields["utime"][:-1]) + float(fields["stime"][:-1])) * 1e3 / (4 * NUM_FRAMES)
        table = PacketTable.from_bytes(probe(file, verify="packets").packets)
        keys = np.sort(table.number[table.entries])
        starts = np.arange(NUM_FRAMES - frames * stride)
        ends = starts + (frames - 1) * stride
        times.append(ms_per_frame * float((ends - keys[np.searchsorted(keys, starts, side="right") - 1] + 1).mean()))
    return statistics.mean(times)


def show(title: str, figures: dict[str, list[float]], *, reference: str, unit: str, more_is_better: bool) -> None:
    print(f"\n{title:<44}{unit:>12}{'ratio to ' + reference + ' (range)':>44}")
    for name, values in figures.items():
        ratios = [a / b if more_is_better else b / a for a, b in zip(values, figures[reference])]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"  {name:<42}{statistics.median(values):>12.1f}{spread:>44}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--caches", nargs="*", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=16, help="clips of each round per core")
    parser.add_argument("--batches", type=int, default=20, help="batches of each block end to end; 0: only per core")
    parser.add_argument("--seconds", type=float, default=12, help="of a block, at most")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "videxp-benchmark")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for case in options.cases:
        works = per_core(case, options.folder, formats=options.caches)
        cpu: dict[str, list[float]] = {name: [] for name in works}
        for number in range(-1, options.rounds):  # the first one warms up
            for name, work in works.items():
                first = (number + 1) * options.clips
                value = cpu_ms_per_clip(work, range(first, first + options.clips))
                if number >= 0:
                    cpu[name].append(value)
        cpu["limit"] = [limit_ms_per_clip(case, options.folder)] * options.rounds
        show(f"{case}: per core", cpu, reference="mmaction2-style", unit="ms/clip", more_is_better=False)
        if not options.batches:
            continue
        pipelines = end_to_end(case, options.folder, workers=options.workers, formats=options.caches)
        speed: dict[str, list[float]] = {name: [] for name in pipelines}
        for _ in range(options.rounds):
            for name, batches in pipelines.items():
                ahead = 2 * options.workers + 1
                rate = clips_per_second(batches, count=options.batches, ahead=ahead, seconds=options.seconds)
                speed[name].append(rate)
        show(
            f"{case}: {options.workers} worker(s)",
            speed,
            reference="mmaction2-style",
            unit="clips/s",
            more_is_better=True,
        )


if __name__ == "__main__":
    main()
