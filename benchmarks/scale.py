"""Does a clip cost the same from 100 to 100,000 videos? Start-up, time per clip, and memory of a worker alone.

    python benchmarks/scale.py [--rows 100 1000 10000 100000] [--workers 2]

The manifests list the same eight videos again and again, under other labels and times, so that the data set grows while
files and decoding stay the same. start: a process reads the manifest and makes the training loader's data set. memory:
what a worker holds that it shares with no other process (USS), after its first clips and after all of them.
"""

import argparse
import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from footage import make_footage
from own import BATCH, ours

from videxp.data.manifest import COLUMNS, Manifest, Strings


def grown(manifest: Manifest, rows: int) -> Manifest:
    """The manifest's training samples, repeated to `rows` samples, each with a label of a hundred."""
    chosen = manifest.samples("train")[np.arange(rows) % len(manifest.samples("train"))]
    columns = {name: manifest[name][chosen] for name in COLUMNS}
    labels = [f"class {i % 100:02d}" for i in range(rows)]
    return replace(manifest, columns={**columns, "label": Strings.pack(labels)}, classes=sorted(set(labels)))


def own_mib(process_id: int) -> float:
    """Memory that no other process shares, MiB."""
    text = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")) / 1024


def measure(manifest: Manifest, rows: int, folder: Path, *, workers: int, batches: int) -> dict[str, float]:
    path = folder / f"scale-{rows}.tsv"
    large = replace(grown(manifest, rows), packets_file=folder / "scale.packets")
    large.write(path)
    assert manifest.packets_file is not None
    (folder / "scale.packets").write_bytes(manifest.packets_file.read_bytes())
    start = time.perf_counter()
    read = Manifest.read(path)
    seconds_read = time.perf_counter() - start
    data = ours(Path(manifest.root), "8x112", folder, workers=workers)
    start = time.perf_counter()
    data.use(read)
    data.clips = replace(data.clips, train_repeats=max(1, 2000 // rows) * 4)
    data.dataset("train")
    seconds_made = time.perf_counter() - start
    loader: Any = data.train_dataloader()
    iterator = iter(loader)
    for _ in range(2 * workers + 1):
        next(iterator)
    processes = [worker.pid for worker in iterator.batches._workers]
    first = max(own_mib(process) for process in processes)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    ms = (time.perf_counter() - start) * 1e3 / (batches * BATCH)
    last = max(own_mib(process) for process in processes)
    return {"manifest s": seconds_read, "data set s": seconds_made, "ms/clip": ms, "MiB first": first, "MiB last": last}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", type=int, default=[100, 1000, 10000, 100000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "videxp-benchmark")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    manifest = ours(make_footage(options.folder, "340x256"), "8x112", options.folder, workers=0).manifest
    for number, rows in enumerate(options.rows):
        figures = measure(manifest, rows, options.folder, workers=options.workers, batches=options.batches)
        if not number:
            print(f"{'videos':>10}" + "".join(f"{name:>13}" for name in figures))
        print(f"{rows:>10,}" + "".join(f"{value:>13.2f}" for value in figures.values()), flush=True)


if __name__ == "__main__":
    main()
