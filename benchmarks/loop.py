"""The training loop's own cost: `videxp train`'s loop against one written by hand, in blocks of steps that take turns.

    python benchmarks/loop.py

All sides get the same batches, held in memory, and have the same transform, network, initial weights, AdamW and cosine
schedule; the loss and the accuracy are logged every 10 steps.

by hand     a plain PyTorch loop; sums stay on the device and are read when they are written to a CSV file
videxp      what `videxp train` makes of the recipe: its task, Trainer, callbacks, progress bar and metrics.csv
lightning   Lightning's Trainer with all that can be turned off turned off, and nothing logged
template    Lightning's defaults, `self.log(on_step=True, on_epoch=True, prog_bar=True)` and torchmetrics' forward

Each side's ratio (steps per second over those of the loop by hand) and cost (ms per step beyond it) are medians over
the rounds, with their range. In the end videxp's weights are compared with those of the loop by hand, bit by bit.
"""

import argparse
import contextlib
import copy
import csv
import io
import logging
import os
import platform
import statistics
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset
from torchmetrics.classification import MulticlassAccuracy

from videxp import config
from videxp.core.private_lightning import leave_signals_alone
from videxp.data import VideoDataModule
from videxp.data.loading.loader import ClipLoader
from videxp.models.classification.small import SmallCNN3D
from videxp.runs.folder import RunFolder
from videxp.training.assembling import build_callbacks, build_experiment, build_loggers
from videxp.training.callbacks.stopping import StopOnSignal
from videxp.training.log_file import quiet_libraries
from videxp.training.processes.signals import Signals

LOG_EVERY = 10
LEARNING_RATE = 1e-3
CLASSES = 10
BATCH_SIZE = 4
Batch = dict[str, Any]


class Trivial(nn.Module):
    """A linear layer on a clip's mean color: what a step costs is the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, CLASSES)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(video.mean(dim=(1, 3, 4)))


CASES: dict[str, tuple[Callable[[], nn.Module], list[str], int]] = {
    "3D CNN, 0.9 M parameters": (partial(SmallCNN3D, width=27, num_classes=CLASSES), [], 8),
    "trivial network": (Trivial, ["dataset.num_frames=2", "dataset.size=16"], 100),
}
"""Name -> (network, overrides of the recipe, steps in a block)."""


# ---- taking turns --------------------------------------------------------------------------------------------------


class Turns:
    """Loops in threads of their own, of which one runs at a time, for a block of steps."""

    def __init__(self, sides: int) -> None:
        self.doors = [threading.Semaphore(0) for _ in range(sides)]
        self.doors[0].release()

    def take(self, side: int) -> None:
        self.doors[side].acquire()

    def pass_on(self, side: int) -> None:
        self.doors[(side + 1) % len(self.doors)].release()


class Blocks(IterableDataset[Batch]):
    """The batches of one side. It lets the others go on after each block, and measures how long the block took."""

    def __init__(
        self, held: list[Batch], *, turns: Turns, side: int, rounds: int, block: int, clock: Callable[[], float]
    ) -> None:
        self.held, self.turns, self.side = held, turns, side
        self.rounds, self.block, self.clock = rounds, block, clock
        self.milliseconds: list[float] = []
        """Per step; the first block warms up and does not count."""

    def __len__(self) -> int:
        return (self.rounds + 1) * self.block + 1  # asked for the last, a side has ended its last block

    def __iter__(self) -> Iterator[Batch]:
        start = 0.0
        for step in range(len(self)):
            if step % self.block == 0:
                if step > 0:
                    synchronize()
                    self.milliseconds.append((self.clock() - start) * 1e3 / self.block)
                    self.turns.pass_on(self.side)
                self.turns.take(self.side)
                start = self.clock()
            yield dict(self.held[step % len(self.held)])


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def same(batch: Batch) -> Batch:
    return batch


def by_turns(sides: dict[str, Callable[[Blocks], None]], blocks: dict[str, Blocks], turns: Turns) -> None:
    """Run all to their end. One that fails ends the program: the others would wait for it for ever."""

    def run(number: int, name: str) -> None:
        try:
            sides[name](blocks[name])
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        turns.pass_on(number)

    threads = [threading.Thread(target=run, args=(number, name)) for number, name in enumerate(sides)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- the sides -----------------------------------------------------------------------------------------------------


class Bench:
    """One case: the recipe, its data in memory, and a network from which all sides begin."""

    def __init__(self, make_network: Callable[[], nn.Module], overrides: list[str], *, folder: Path) -> None:
        self.folder = folder
        self.run = RunFolder(folder / "run")
        small = ["dataset.layout.train_videos=80", "dataset.layout.val_videos=10", "dataset.layout.test_videos=10"]
        shape = [
            f"dataset.batch_size={BATCH_SIZE}",
            f"hardware.cache_dir={folder / 'cache'}",
            f"dataset.root={folder / 'data'}",
        ]
        loop = ["trainer.max_epochs=1", "+trainer.limit_val_batches=0", f"trainer.log_every_n_steps={LOG_EVERY}"]
        settings = [*small, *shape, *loop, "logger=csv", f"optimizer.lr={LEARNING_RATE}", *overrides]
        self.cfg = config.compose("classification/moving_digits", fitting(settings)).cfg
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.data: VideoDataModule = config.build(self.cfg.dataset)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.data.prepare()
        self.held = [self.data.read("train", range(first, first + BATCH_SIZE)) for first in range(0, 80, BATCH_SIZE)]
        torch.manual_seed(0)
        self.network = make_network()
        self.trained: dict[str, nn.Module] = {}

    def start(self, name: str) -> nn.Module:
        self.trained[name] = copy.deepcopy(self.network)
        return self.trained[name]

    def transform(self, batch: Batch) -> Batch:
        """What the data module does with a batch on the device."""
        return self.data.transformed(batch, "train", device=self.device)

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        plain = [p for p in network.parameters() if p.ndim <= 1]
        decayed = [p for p in network.parameters() if p.ndim > 1]
        groups = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=self.cfg.optimizer.weight_decay)

    def schedule(self, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
        chosen = config.build(self.cfg.scheduler)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: chosen.factor(step / steps, total_epochs=1.0))

    def by_hand(self, blocks: Blocks) -> None:
        network = self.start("by hand").to(self.device).train()
        optimizer = self.optimizer(network)
        scheduler = self.schedule(optimizer, len(blocks))
        sums, since = torch.zeros(2, device=self.device), time.perf_counter()
        with (self.folder / "by_hand.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            for step, loaded in enumerate(DataLoader(blocks, batch_size=None, collate_fn=same), start=1):
                batch = self.transform(loaded)
                optimizer.zero_grad()
                logits = network(batch["video"])
                loss = F.cross_entropy(logits, batch["label"])
                loss.backward()
                optimizer.step()
                scheduler.step()
                right = (logits.detach().argmax(-1) == batch["label"]).float().mean()
                sums += torch.stack([loss.detach(), right])
                if step % LOG_EVERY == 0:
                    now = time.perf_counter()
                    rows.writerow([step, *(sums / LOG_EVERY).tolist(), scheduler.get_last_lr()[0], now - since])
                    file.flush()
                    sums.zero_()
                    since = now

    def videxp(self, blocks: Blocks) -> None:
        admit = partial(self.data._admit, split="train")
        loader = ClipLoader(blocks, batch_size=None, collate_fn=same, admit=admit)
        self.data.train_dataloader = lambda: loader
        self.run.create()
        screen = Console(file=(self.folder / "screen").open("w"), force_terminal=True, width=120, highlight=False)
        callbacks = [*build_callbacks(self.cfg, self.run, screen), StopOnSignal(Signals(at_once=lambda: None))]
        loggers = build_loggers(self.cfg, self.run)
        experiment = build_experiment(self.cfg, self.data, root=self.run.path, loggers=loggers, callbacks=callbacks)
        experiment.task.network = self.start("videxp")
        leave_signals_alone(experiment.trainer)
        experiment.trainer.fit(experiment.task, datamodule=self.data)

    def lightning(self, blocks: Blocks) -> None:
        module = Module(self, self.start("lightning"), steps=len(blocks))
        trainer = pl.Trainer(max_epochs=1, barebones=True, accelerator=self.device.type, devices=1)
        trainer.fit(module, DataLoader(blocks, batch_size=None, collate_fn=same))

    def template(self, blocks: Blocks) -> None:
        module = LoggingModule(self, self.start("template"), steps=len(blocks))
        trainer = pl.Trainer(
            max_epochs=1,
            logger=CSVLogger(self.folder),
            callbacks=[LearningRateMonitor(), ModelCheckpoint(monitor="train/loss_epoch"), TQDMProgressBar()],
            log_every_n_steps=LOG_EVERY,
            enable_model_summary=False,
            accelerator=self.device.type,
        )
        trainer.fit(module, DataLoader(blocks, batch_size=None, collate_fn=same))


class Module(pl.LightningModule):
    """The same step as a LightningModule that logs nothing."""

    def __init__(self, bench: Bench, network: nn.Module, *, steps: int) -> None:
        super().__init__()
        self.network, self.bench, self.steps = network, bench, steps

    def on_after_batch_transfer(self, batch: Batch, _: int) -> Batch:
        return self.bench.transform(batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return F.cross_entropy(self.network(batch["video"]), batch["label"])

    def configure_optimizers(self) -> Any:
        optimizer = self.bench.optimizer(self.network)
        scheduler = self.bench.schedule(optimizer, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class LoggingModule(Module):
    """And as templates have it: everything logged at each step and as the epoch's mean."""

    def __init__(self, bench: Bench, network: nn.Module, *, steps: int) -> None:
        super().__init__(bench, network, steps=steps)
        self.accuracy = MulticlassAccuracy(CLASSES, average="micro")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = self.network(batch["video"])
        loss = F.cross_entropy(logits, batch["label"])
        self.accuracy(logits, batch["label"])
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True, batch_size=len(logits))
        self.log("train/accuracy", self.accuracy, on_step=True, on_epoch=True, prog_bar=True, batch_size=len(logits))
        return loss


# ---- the measurement -----------------------------------------------------------------------------------------------


def fitting(overrides: list[str]) -> list[str]:
    """The last word on each key: videxp refuses to be told the same twice."""
    return list({text.partition("=")[0].lstrip("+"): text for text in overrides}.values())


def measure(case: str, *, rounds: int, block: int, clock: Callable[[], float]) -> None:
    make_network, overrides, _ = CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(make_network, overrides, folder=Path(folder))
        sides = {
            "by hand": bench.by_hand,
            "videxp": bench.videxp,
            "lightning": bench.lightning,
            "template": bench.template,
        }
        turns = Turns(len(sides))
        blocks = {
            name: Blocks(bench.held, turns=turns, side=number, rounds=rounds, block=block, clock=clock)
            for number, name in enumerate(sides)
        }
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # progress bars
            by_turns(sides, blocks, turns)
    times = {name: of.milliseconds[1:] for name, of in blocks.items()}
    print(f"\n{case}: {rounds} rounds of {block} steps")
    print(f"{'':<12}{'ms per step':>12}{'steps/s over by hand':>26}{'ms beyond by hand':>26}")
    for name, values in times.items():
        ratios = [a / b for a, b in zip(times["by hand"], values)]
        beyond = [b - a for a, b in zip(times["by hand"], values)]
        print(f"{name:<12}{statistics.median(values):>12.2f}{spread(ratios):>26}{spread(beyond):>26}")
    ours, theirs = (bench.trained[name].state_dict() for name in ("videxp", "by hand"))
    equal = all(torch.equal(ours[key], theirs[key]) for key in theirs)
    print(f"weights of videxp and by hand: {'the same, bit by bit' if equal else 'NOT the same'}", flush=True)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--block", type=int, help="steps of a block (default: 8 of the CNN, 100 of the trivial network)"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="only cases with this in their name")
    parser.add_argument("--clock", choices=["cpu", "wall"], help="default: cpu, on a GPU wall")
    options = parser.parse_args()
    options.clock = options.clock or ("wall" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(options.threads)
    quiet_libraries()
    logging.disable(logging.INFO)
    warnings.filterwarnings("ignore")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {options.threads} threads"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, Lightning {pl.__version__}"
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{device}; {load}; {versions}")
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    for case, (_, _, block) in CASES.items():
        if options.only in case:
            measure(case, rounds=options.rounds, block=options.block or block, clock=clock)


if __name__ == "__main__":
    main()
