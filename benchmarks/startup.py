"""How long one waits for videxp: commands that only answer, and the first training step from a cold process.

    python benchmarks/startup.py

Every side is a process of its own; they take turns. A command's ratio is to `python -c 'import hydra'` in the same
round. The first step's is to a bare script that imports torch and decord, makes the same network, AdamW and a plain
DataLoader with one worker over the same prepared files, and takes one step. Both end right after that step. videxp's
process, beyond the script's work, composes and checks the config, looks whether the files have changed, makes the run
folder with its provenance, and builds task, callbacks and Trainer; its logger is metrics.csv alone.

Wall-clock seconds and CPU seconds of the process (without the worker's); ratios are medians over the rounds with their
range. The rounds before the first that counts bring the files into memory.
"""

import argparse
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

RECIPE = "classification/moving_digits"
VIDEXP = [sys.executable, "-c", "import sys; from videxp.cli import main; sys.exit(main())"]
HYDRA = "python -c 'import hydra'"
COMMANDS = {
    HYDRA: [sys.executable, "-c", "import hydra"],
    "videxp --help": [*VIDEXP, "--help"],
    "videxp list": [*VIDEXP, "list"],
    "completion of a recipe": [*VIDEXP, "-sc", "query=bash"],
    "completion of a key": [*VIDEXP, "-sc", "query=bash"],
    f"videxp train {RECIPE} --cfg job": [*VIDEXP, "train", RECIPE, "--cfg", "job"],
    f"videxp check {RECIPE}": [*VIDEXP, "check", RECIPE],
}
LINES = {"completion of a recipe": "videxp train cl", "completion of a key": f"videxp train {RECIPE} optimizer.l"}
BATCH_SIZE, NUM_FRAMES, SIZE = 8, 16, 40
OVERRIDES = [
    "dataset.layout.train_videos=40",
    "dataset.layout.val_videos=10",
    "dataset.layout.test_videos=10",
    f"dataset.batch_size={BATCH_SIZE}",
    "hardware.num_workers=1",
    "logger=csv",
]

END_AT_FIRST_STEP = '''
import os
from pytorch_lightning import Callback

class End(Callback):
    """Ends the process, workers included, when the first step is done."""

    def on_train_batch_end(self, trainer, *_):
        print(float(trainer.callback_metrics.get("train/loss", 0)), flush=True)
        os.killpg(0, 9)  # the worker too
'''

BARE = f"""
import os, sys
from pathlib import Path
import decord, numpy, torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from videxp.models.classification.small import SmallCNN3D

class Clips(Dataset):
    def __init__(self, root):
        self.paths = sorted(Path(root).rglob("*.mp4"))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        reader = decord.VideoReader(str(self.paths[index]), num_threads=1)
        first = numpy.random.randint(len(reader) - {NUM_FRAMES} + 1)
        clip = reader.get_batch(range(first, first + {NUM_FRAMES})).asnumpy()
        return torch.from_numpy(clip), index % 10

torch.manual_seed(0)
network = SmallCNN3D(num_classes=10)
optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
loader = DataLoader(Clips(sys.argv[1]), batch_size={BATCH_SIZE}, shuffle=True, num_workers=1, drop_last=True)
for clips, labels in loader:
    video = clips.permute(0, 1, 4, 2, 3).float().div(255).sub(0.45).div(0.225)
    loss = F.cross_entropy(network(video), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    os.killpg(0, 9)  # the worker too
"""


def seconds(command: list[str], *, cwd: Path, environment: Mapping[str, str], status: int = 0) -> tuple[float, float]:
    """(wall, CPU) of a process. Raises RuntimeError where it ends otherwise than with this exit status."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env={**environment}, capture_output=True, text=True, check=False, start_new_session=True
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != status:
        raise RuntimeError(f"{command}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return wall, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def table(title: str, sides: dict[str, list[tuple[float, float]]], *, base: str) -> None:
    print(f"\n{title:<52}{'wall s':>8}{'CPU s':>8}{'ratio of wall':>24}{'ratio of CPU':>24}")
    for name, times in sides.items():
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        ratios = [[a[i] / b[i] for a, b in zip(times, sides[base], strict=True)] for i in (0, 1)]
        print(
            f"{name:<52}{medians[0]:>8.2f}{medians[1]:>8.2f}{spread(ratios[0]):>24}{spread(ratios[1]):>24}", flush=True
        )


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def measure_commands(cwd: Path, environment: Mapping[str, str], *, rounds: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            took = seconds(command, cwd=cwd, environment={**environment, "COMP_LINE": LINES.get(name, "")})
            found[name] += [took] * (number > 0)  # the first reads the files from the disk
    table("command", found, base=HYDRA)


def measure_first_step(cwd: Path, environment: Mapping[str, str], *, rounds: int) -> None:
    (cwd / "first_step.py").write_text(END_AT_FIRST_STEP)
    (cwd / "bare.py").write_text(BARE)
    seconds([*VIDEXP, "check", RECIPE, "--batch", *OVERRIDES], cwd=cwd, environment=environment)  # makes the data
    train = [*VIDEXP, "train", RECIPE, *OVERRIDES, "+callbacks.end._target_=first_step.End"]
    sides = {"bare script": [sys.executable, "bare.py", "data/moving_digits"], "videxp train": train}
    steps: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, command in sides.items():
            took = seconds(command, cwd=cwd, environment=environment, status=-signal.SIGKILL)
            steps[name] += [took] * (number > 0)
    table("first step from a cold process", steps, base="bare script")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["commands", "first_step"])
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        source = str(Path(__file__).resolve().parents[1])
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPATH": source,
            "VIDEXP_CACHE": f"{folder}/cache",
            "VIDEXP_ALLOW": "first_step",
        }
        if options.only != "first_step":
            measure_commands(cwd, environment, rounds=options.rounds)
        if options.only != "commands":
            measure_first_step(cwd, environment, rounds=options.rounds)


if __name__ == "__main__":
    main()
