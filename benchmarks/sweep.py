"""What a trial of `videxp sweep` costs beyond its training: against `videxp train` in a shell loop.

Both do the same runs (the main job, shrunk), one at a time, in rounds that take turns; wall time of a run, start of the
interpreter included. Prints milliseconds a trial beyond the bare command, and the ratio, with their range.

    python benchmarks/sweep.py --rounds 3 --runs 4
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

VIDEXP = [sys.executable, "-m", "videxp.cli"]
RECIPE = "classification/moving_digits"
SMALL = [
    *("dataset.layout.train_videos=40", "dataset.layout.val_videos=20", "dataset.layout.test_videos=31"),
    *("dataset.layout.frames_per_video=10", "dataset.num_frames=4", "dataset.batch_size=8", "logger=csv"),
    *("trainer.max_epochs=2", "trainer.log_every_n_steps=2", "hardware.num_workers=0"),
]


def run(words: list[str], folder: Path) -> None:
    environment = {**os.environ, "VIDEXP_CACHE": str(folder / "cache")}
    subprocess.run([*VIDEXP, *words], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def in_a_loop(folder: Path, name: str, runs: int) -> None:
    for seed in range(runs):
        run(["train", RECIPE, *SMALL, f"seed={seed}", f"hydra.run.dir={name}/{seed}"], folder)


def as_a_sweep(folder: Path, name: str, runs: int) -> None:
    run(["sweep", RECIPE, *SMALL, f"seed=range(0,{runs})", f"hydra.sweep.dir={name}"], folder)


def seconds_a_run(function: Callable[[Path, str, int], None], folder: Path, name: str, runs: int) -> float:
    begun = time.perf_counter()
    function(folder, name, runs)
    return (time.perf_counter() - begun) / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=4, help="in each round, of each kind")
    options = parser.parse_args()
    bare: list[float] = []
    swept: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(["check", RECIPE, *SMALL, "--batch"], folder)  # makes the data set
        for number in range(options.rounds):
            bare.append(seconds_a_run(in_a_loop, folder, f"loop-{number}", options.runs))
            swept.append(seconds_a_run(as_a_sweep, folder, f"sweep-{number}", options.runs))
    beyond = [1000 * (b - a) for a, b in zip(bare, swept)]
    ratios = [b / a for a, b in zip(bare, swept)]
    print(f"{options.rounds} rounds of {options.runs} runs; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print(f"videxp train in a loop   {median(bare):.2f} s a run ({min(bare):.2f}-{max(bare):.2f})")
    print(f"videxp sweep             {median(swept):.2f} s a run ({min(swept):.2f}-{max(swept):.2f})")
    print(f"ratio {median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})")
    print(f"beyond the bare command  {median(beyond):.0f} ms a run ({min(beyond):.0f}-{max(beyond):.0f})")


if __name__ == "__main__":
    main()
