"""What a recipe's time goes into, measured on the real data and the real training loop, in one process.

Three parts, one after another: samples read in this process, as a worker reads them; the loader alone, with the
recipe's workers, while nobody trains; some training steps. Files that were read lately lie in the system's cache.
"""

import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint
from pytorch_lightning.callbacks import EarlyStopping

from videxp.config import build
from videxp.core.console import Console
from videxp.core.energy import find_counters, measure_energy
from videxp.core.errors import BadRequest
from videxp.core.processes import available_cores
from videxp.data import VideoDataModule
from videxp.data.speed import LoadingSpeed, Reading, Spread, measure_loading, measure_reading
from videxp.runs.folder import RunFolder
from videxp.training.assembling import Experiment, build_callbacks, build_experiment, build_loggers, build_trainer
from videxp.training.callbacks.energy import RecordEnergy
from videxp.training.callbacks.left_out import LeftOut
from videxp.training.callbacks.samples import SaveSamples
from videxp.training.callbacks.throughput import CHEAPER_CLIPS, WORTH_SAYING
from videxp.training.phases import PHASES, Phase, StepPhases
from videxp.training.utilization import share_of_clip

WARMUP = 3
NOT_OF_A_STEP = (LightningCheckpoint, EarlyStopping, LeftOut, RecordEnergy, SaveSamples)


@dataclass(frozen=True)
class Training:
    """Milliseconds per step."""

    phases: dict[Phase, Spread]
    shares: dict[Phase, float]
    """Of all the time."""
    step: Spread
    without_wait: float
    """The median of what a step takes when its clips are there."""


@dataclass(frozen=True)
class Effort:
    """What the training took of the machine."""

    watts: float | None
    """In the mean; None where no counter measured energy."""
    energy: list[str]
    """The counters, or why there is none."""
    mfu: float | None
    """Model FLOPs utilization of the median step; None where it is unknown."""
    no_mfu: str
    """Why it is unknown."""


@dataclass(frozen=True)
class Result:
    """All that was measured, and of what."""

    recipe: str
    network: str
    device: str
    clip: str
    is_cached: bool
    workers: int
    steps: int
    reading: Reading
    loading: LoadingSpeed
    training: Training
    effort: Effort

    @property
    def batch_clips(self) -> int:
        return self.reading.clips

    @property
    def data_clips_per_second(self) -> float:
        return self.loading.clips_per_second.median

    @property
    def network_clips_per_second(self) -> float:
        return 1e3 * self.batch_clips / self.training.without_wait

    @property
    def workers_enough(self) -> int:
        """How many workers would keep the network busy, if each gives what one gives now."""
        return max(1, math.ceil(self.network_clips_per_second * max(1, self.workers) / self.data_clips_per_second))

    @property
    def waits(self) -> bool:
        return self.training.shares["wait"] >= WORTH_SAYING


def verdict(result: Result, *, cores: int | None = None) -> str:
    """What limits, and how many workers would be enough."""
    cores = available_cores() if cores is None else cores
    reads = {0: "this process reads", 1: "1 worker reads"}.get(result.workers, f"{result.workers} workers read")
    reads = f"{reads} {result.data_clips_per_second:,.3g} clips/s when left alone"
    takes = f"the network takes {result.network_clips_per_second:,.3g}"
    share = f"{100 * result.training.shares['wait']:.0f} % of a step goes by waiting for clips"
    enough = result.workers_enough
    advice = f"hardware.num_workers={enough} would be enough"
    if enough > cores:
        advice += f", but there are {cores} cores" + ("" if result.is_cached else f": {CHEAPER_CLIPS}")
    if not result.waits:
        return f"the network limits: {reads}, {takes}; {share}"
    if result.workers == 0:
        return f"clips are read between the steps: {share}; {reads}, {takes}: {advice}"
    if enough <= result.workers:  # both are quick enough alone
        return f"the {cores} cores limit, which workers and network share: {reads}, {takes}; {share}"
    return f"the data limits: {reads}, {takes}; {share}: {advice}"


def benchmark(cfg: DictConfig, recipe: str, *, folder: Path, steps: int) -> Result:
    """Prepare the data as training would, and measure. What training leaves lies in `folder`, a temporary one.

    Of several devices one is measured, with its share of the batch. Raises BadRequest where nothing is trained.
    """
    on_one_device(cfg, folder)
    datamodule: VideoDataModule = build(cfg.dataset)
    datamodule.prepare()
    datamodule.setup("fit")
    run = RunFolder(folder)
    phases = StepPhases(steps=steps, warmup=WARMUP)
    train_for(cfg, batches=WARMUP + steps + 1, of=len(datamodule.dataset("train")) // datamodule.batch_size)
    others = [one for one in build_callbacks(cfg, run, Console(quiet=True)) if not isinstance(one, NOT_OF_A_STEP)]
    callbacks: list[Callback] = [phases, *others]
    cfg.logger = {}  # metrics.csv alone: no run of a benchmark in W&B
    experiment = build_experiment(cfg, datamodule, root=folder, loggers=build_loggers(cfg, run), callbacks=callbacks)
    if not any(parameter.requires_grad for parameter in experiment.task.network.parameters()):
        raise BadRequest(f"{recipe}: {type(experiment.task.network).__name__} has no weights to train")
    datamodule.trainer = experiment.trainer  # for what the loader depends on: workers, pinned memory
    reading = measure_reading(datamodule, batches=steps)
    loading = measure_loading(datamodule, batches=steps)
    training, effort = measure_training(experiment, phases, clips=reading.clips)
    return Result(
        recipe=recipe,
        network=type(experiment.task.network).__name__,
        device=device_name(experiment),
        clip=datamodule.description,
        is_cached=datamodule.cache is not None,
        workers=datamodule.workers,
        steps=len(phases.seconds),
        reading=reading,
        loading=loading,
        training=training,
        effort=effort,
    )


# ---- the recipe, for a benchmark -------------------------------------------------------------------------------------


def on_one_device(cfg: DictConfig, folder: Path) -> None:
    """Of hardware of several devices the first, with its share of batch and workers."""
    trainer = build_trainer(cfg, root=folder, loggers=[], callbacks=[])
    if trainer.world_size > 1:
        datamodule = build(cfg.dataset)
        datamodule.trainer = trainer
        cfg.dataset.loading.num_workers = datamodule.workers
        cfg.dataset.batch_size = max(1, cfg.dataset.batch_size // trainer.world_size)
    cfg.hardware.strategy, cfg.hardware.num_nodes = "single", 1


def train_for(cfg: DictConfig, *, batches: int, of: int) -> None:
    """As long a training as is needed, where the recipe's own is shorter (an epoch has `of` batches)."""
    needed = -(-batches // max(1, of))
    cfg.trainer.max_epochs = max(cfg.trainer.max_epochs or 0, needed)
    cfg.trainer.max_steps, cfg.trainer.limit_train_batches, cfg.trainer.limit_val_batches = -1, None, 0


def device_name(experiment: Experiment) -> str:
    device = experiment.trainer.strategy.root_device
    threads = torch.get_num_threads()
    on_cpu = f"CPU, {threads} thread{'' if threads == 1 else 's'}"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else on_cpu
    return f"{name}, {experiment.trainer.precision}"


# ---- the training ----------------------------------------------------------------------------------------------------


def measure_training(experiment: Experiment, phases: StepPhases, *, clips: int) -> tuple[Training, Effort]:
    """Lightning's loop with all that happens in each step: metrics.csv, averages of weights, checks."""
    device = experiment.trainer.strategy.root_device
    counters = find_counters([device.index or 0] if device.type == "cuda" else [])
    fit = partial(experiment.trainer.fit, experiment.task, datamodule=experiment.datamodule)
    begun = time.perf_counter()
    _, energy = measure_energy(fit, counters)
    watts = None if energy.total is None else energy.total / (time.perf_counter() - begun)
    training = summed_up(phases.seconds)
    mfu, no_mfu = utilization(experiment, clips_per_second=1e3 * clips / training.step.median)
    return training, Effort(watts, [*energy.joules] or energy.why_not, mfu, no_mfu)


def summed_up(seconds: list[dict[Phase, float]]) -> Training:
    steps = [1e3 * sum(step.values()) for step in seconds]
    phases = {phase: Spread.of([1e3 * step[phase] for step in seconds]) for phase in PHASES}
    shares = {phase: 1e3 * sum(step[phase] for step in seconds) / sum(steps) for phase in PHASES}
    without = median(whole - 1e3 * step["wait"] for whole, step in zip(steps, seconds))
    return Training(phases, shares, Spread.of(steps), without)


def utilization(experiment: Experiment, *, clips_per_second: float) -> tuple[float | None, str]:
    """(MFU of one device, why it is unknown)."""
    data, trainer = experiment.datamodule, experiment.trainer
    share, unknown = share_of_clip(
        experiment.task,
        trainer.strategy.root_device,
        str(trainer.precision),
        num_frames=data.num_frames,
        size=data.size,
    )
    return None if share is None else clips_per_second * share, unknown
