"""What a training will cost, before it: hours, energy and money, from the measured or given time of a step.

Nothing is assumed: what was neither measured nor given is not known, and which option would tell.
"""

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer

from videxp.core.errors import BadRequest
from videxp.core.files import read_json
from videxp.core.memory import MEMINFO, read_bytes
from videxp.core.prices import Prices
from videxp.core.printable import duration
from videxp.data import VideoDataModule
from videxp.training.assembling import build_task, build_trainer
from videxp.training.benchmark import benchmark
from videxp.training.memory import GIB, StepMemory, step_memory

BENCH_STEPS = 10


@dataclass(frozen=True)
class Machine:
    """Where a step takes so long."""

    name: str
    step_ms: float
    watts: float | None = None
    """As a counter measured it in training."""


@dataclass(frozen=True)
class Work:
    """What a recipe has to do."""

    clips: int
    """Of a batch, on one device."""
    devices: int
    batches: int | None
    """Training steps in all; None for a recipe without an end."""
    memory: StepMemory


def find_work(cfg: DictConfig, datamodule: VideoDataModule, folder: Path) -> Work:
    """Of a recipe whose data is prepared. folder: a temporary one."""
    trainer = build_trainer(cfg, root=folder, loggers=[], callbacks=[])
    datamodule.trainer = trainer
    datamodule.setup("fit")
    task = build_task(cfg, classes=datamodule.classes, fresh=False)
    clips = max(1, datamodule.batch_size // trainer.world_size)
    count = len(datamodule.dataset("train"))
    loaded = datamodule.read("train", [index % count for index in range(clips)])
    batch = datamodule.transformed(loaded, "train", device=torch.device("cpu"))
    memory = step_memory(task, batch, precision=str(trainer.precision))
    return Work(clips, trainer.world_size, count_batches(trainer, len(datamodule.train_dataloader())), memory)


def count_batches(trainer: Trainer, in_epoch: int) -> int | None:
    """Training steps in all, of so many batches in an epoch; None where neither epochs nor steps end."""
    limit = trainer.limit_train_batches
    in_epoch = int(in_epoch * limit) if isinstance(limit, float) else min(in_epoch, limit)
    ends = [trainer.max_epochs * in_epoch] if trainer.max_epochs not in (None, -1) else []
    ends += [trainer.max_steps * trainer.accumulate_grad_batches] if trainer.max_steps != -1 else []
    return min(ends, default=None)


def measure_here(cfg: DictConfig, recipe: str) -> Machine:
    """As `videxp bench` does, with few steps."""
    with tempfile.TemporaryDirectory(prefix="videxp-cost-") as folder:
        result = benchmark(copy.deepcopy(cfg), recipe, folder=Path(folder), steps=BENCH_STEPS)
    return Machine(result.device, result.training.step.median, result.effort.watts)


def read_bench(path: str, *, recipe: str, clips: int) -> Machine:
    """What `videxp bench RECIPE --json` printed on another machine. Raises BadRequest for another recipe or batch."""
    try:
        found = read_json(Path(path))
        of, batch = found["recipe"], found["reading"]["clips"]
        machine = Machine(found["device"], float(found["training"]["step"]["median"]), found["effort"]["watts"])
    except (OSError, ValueError, KeyError, TypeError):
        told = f"videxp bench {recipe} --json > {path}"
        raise BadRequest(f"--hardware {path}: not what a benchmark printed; on that machine: {told}") from None
    if (of, batch) != (recipe, clips):
        raise BadRequest(
            f"--hardware {path}: it is of {of} in batches of {batch}, not of {recipe} in batches of {clips}"
        )
    return machine


def device_memory(cfg: DictConfig, *, given_gib: float | None, meminfo: Path = MEMINFO) -> tuple[int | None, str]:
    """(bytes of the device that would train, what it is called)."""
    if given_gib is not None:
        return round(given_gib * GIB), "--memory-gib"
    if torch.cuda.is_available() and cfg.hardware.accelerator != "cpu":
        known = torch.cuda.get_device_properties(0)
        return known.total_memory, known.name
    return read_bytes(meminfo, "MemTotal"), "this machine"


def cost_lines(work: Work, machine: Machine, prices: Prices, *, watts: float | None = None) -> list[str]:
    """Hours, energy and money on one machine. watts: as the user gives them, for one that has no counter."""
    if work.batches is None:
        return [f"{machine.name}: {machine.step_ms:.4g} ms a step; no end: trainer.max_epochs or max_steps gives one"]
    hours = work.batches * machine.step_ms / 3.6e6
    lines = [f"{machine.name}: {duration(3600 * hours)} ({machine.step_ms:.4g} ms a step)"]
    watts = machine.watts if machine.watts is not None else watts
    kwh = None if watts is None else hours * watts / 1000
    if kwh is None:
        lines.append("energy not known: --watts W gives the machine's power")
    else:
        how = "measured" if machine.watts is not None else "given"
        lines.append(f"{kwh:.4g} kWh at {watts:.4g} W ({how})")
    for price, per, what in (
        (prices.price_per_hour, hours, "for the time"),
        (prices.price_per_kwh, kwh, "for the energy"),
        (prices.grams_per_kwh, kwh, "g CO2"),
    ):
        if price is not None:
            lines.append(f"{what}: not known, since the energy is not" if per is None else f"{price * per:.4g} {what}")
    return lines
