"""What the copies of `videxp prepare --cache` cost and give: bytes, time to make, likeness, time per clip.

    python benchmarks/cache.py [--rounds 5]

Files: benchmarks/footage.py, 340x256. `8x112`: copies with a short side of 128, clips of 8 frames, every second one;
`16x224`: copies of the source's size, 16 frames, every fourth. bytes: of all that is in the cache, as a share of the
source's. PSNR: of a copy's frames to the source's, brought to the copy's size, in dB, RGB. make: CPU s for 10 s of
video. clip: CPU ms in one process, from opening to the uint8 clip; in turns, median (range) over rounds.
"""

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from footage import make_footage
from own import CASES, ours

from videxp.data import ClipDataset, VideoDataModule
from videxp.data.preparing.cache import make_cache
from videxp.data.preparing.shards import Making
from videxp.transforms.geometry import fit_pictures

SETTINGS = ["small-21", "small-27", "medium-18", "medium-21", "medium-24", "raw"]
"""Format and crf."""
FRAMES = np.arange(0, 250, 10)


def psnr_db(copies: ClipDataset, sources: ClipDataset) -> float:
    """Over all videos, of every tenth frame."""
    errors = []
    for row in range(sources.num_samples):
        with copies.open(row, FRAMES) as reader:
            copy = reader.frames(FRAMES)
        with sources.open(row, FRAMES) as reader:
            source = torch.cat(
                [fit_pictures(f[None], size=tuple(copy.shape[1:3]), fit="stretch") for f in reader.frames(FRAMES)]
            )
        errors.append(float(((copy.float() - source.float()) ** 2).mean()))
    return 10 * float(np.log10(255**2 / max(statistics.mean(errors), 1e-9)))


def cpu_ms(data: VideoDataModule, numbers: range) -> float:
    dataset = data.dataset("train")
    start = time.process_time()
    for number in numbers:
        dataset[number, number % dataset.num_samples]
    return (time.process_time() - start) * 1e3 / len(numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["8x112", "16x224"], choices=list(CASES))
    parser.add_argument("--settings", nargs="+", default=SETTINGS, choices=SETTINGS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=24, help="clips of each round")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "videxp-benchmark")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for case in options.cases:
        footage, _, stride, size = CASES[case]
        root = make_footage(options.folder, footage)
        plain = ours(root, case, options.folder, workers=0)
        rows: dict[str, tuple[str, VideoDataModule]] = {"plain files": ("1.00 x", plain)}
        for setting in options.settings:
            format, _, text = setting.partition("-")
            crf = float(text or 21)
            place = options.folder / "cache-measured"
            shutil.rmtree(place, ignore_errors=True)
            making = Making(format, 128 if size == 112 else None, stride, crf)
            start = time.process_time()
            about = make_cache(plain.manifest, place, making=making, processes=1)
            seconds = (time.process_time() - start) / sum(plain.counts.values())
            kept = place.rename(options.folder / f"cache-{case}-{setting}-{os.getpid()}")
            data = ours(root, case, options.folder, workers=0, cache=str(kept))
            likeness = psnr_db(data.dataset("train"), plain.dataset("train"))
            share = about["bytes"] / about["source_bytes"]
            name = format if format == "raw" else f"{format}, crf {crf:g}"
            rows[name] = f"{share:.2f} x, {likeness:.1f} dB, made in {seconds:.2f} s", data
        figures: dict[str, list[float]] = {name: [] for name in rows}
        for number in range(-1, options.rounds):
            for name, (_, data) in rows.items():
                first = (number + 1) * options.clips
                value = cpu_ms(data, range(first, first + options.clips))
                if number >= 0:
                    figures[name].append(value)
        print(f"\n{case:<20}{'bytes, PSNR, make':<36}{'ms/clip':>10}{'ratio to plain files (range)':>32}")
        for name, (about_it, data) in rows.items():
            ratios = [a / b for a, b in zip(figures["plain files"], figures[name])]
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{name:<20}{about_it:<36}{statistics.median(figures[name]):>10.2f}{spread:>32}")
            if data.cache:
                shutil.rmtree(data.cache)


if __name__ == "__main__":
    main()
