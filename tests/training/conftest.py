"""Runs in forked children, and what it takes for two runs to be the same."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.shrink import tiny

WATCH = "+callbacks.watch._target_=tests.training.watching.Watch"

TASK = """# Two optimizers, manual optimization
defaults:
  - classification
_target_: tests.training.two_optimizers.TwoOptimizers
"""


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the tiny data set, made by the first run, and a task of its own."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "conf/task").mkdir(parents=True)
    (folder / "conf/task/two_optimizers.yaml").write_text(TASK)
    return folder


def command(
    *overrides: str, run: str, recipe: str = "classification/moving_digits", cwd: Path | None = None
) -> list[str]:
    common = ("logger=csv", "trainer.limit_test_batches=1", "callbacks.checkpoint.every_n_minutes=null", WATCH)
    return ["train", recipe, *tiny(*common, *overrides, f"hydra.run.dir=runs/{run}", recipe=recipe, cwd=cwd)]


def differences(a: Any, b: Any, *, place: str = "") -> list[str]:
    """Where two checkpoints differ, to the bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
        return [] if same else [place]
    if isinstance(a, dict) and isinstance(b, dict):
        missing = [f"{place}.{key} is missing" for key in a.keys() ^ b.keys()]
        return missing + [
            text for key in a.keys() & b.keys() for text in differences(a[key], b[key], place=f"{place}.{key}")
        ]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [text for i, (x, y) in enumerate(zip(a, b)) for text in differences(x, y, place=f"{place}[{i}]")]
    return [] if a == b else [f"{place}: {a} against {b}"]


def metrics(run: Path) -> list[list[str]]:
    """The lines of metrics.csv, less what a clock wrote."""
    lines = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    kept = [i for i, name in enumerate(lines[0]) if not name.startswith("throughput/")]
    assert len(kept) < len(lines[0])
    return [[line[i] for i in kept] for line in lines]


def checkpoint(run: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)


def watched(folder: Path) -> dict[tuple[str, str], set[str]]:
    """(rank, step) -> what was seen there: batches and random numbers; more than one thing means that they differed."""
    seen: dict[tuple[str, str], set[str]] = {}
    for line in (folder / "watch.txt").read_text().splitlines():
        rank, step, rest = line.split(" ", 2)
        seen.setdefault((rank, step), set()).add(rest)
    (folder / "watch.txt").unlink()
    return seen
