"""From a checked config to objects: the data module, the task and the trainer. Imports torch and Lightning."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, cast

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, Strategy
from torch import nn

from videxp.config import build, load_resolved
from videxp.core.console import Console
from videxp.core.errors import BadRequest
from videxp.data import VideoDataModule
from videxp.metrics import ClassifierFeatures, through_batch
from videxp.runs.folder import RunFolder, open_run
from videxp.tasks import Classification, VideoTask, building
from videxp.tasks.building import load_task
from videxp.tasks.teaching import Taught
from videxp.training.callbacks.checkpoint import AtomicCheckpointIO, Checkpoint
from videxp.training.callbacks.energy import RecordEnergy
from videxp.training.callbacks.left_out import LeftOut
from videxp.training.callbacks.nonfinite import NonFinite
from videxp.training.callbacks.progress import ProgressBar
from videxp.training.callbacks.random_state import RandomState
from videxp.training.callbacks.samples import SaveSamples
from videxp.training.callbacks.step_metrics import StepMetrics
from videxp.training.callbacks.throughput import Throughput
from videxp.training.changed_inputs import config_with_variables, say_changed_inputs
from videxp.training.loggers.metrics_file import MetricsFile
from videxp.training.processes.agreement import SameConfig
from videxp.training.processes.strategy import UnpaddedDDPStrategy


@dataclass
class Experiment:
    """What one run is made of."""

    datamodule: VideoDataModule
    task: VideoTask
    trainer: Trainer


def build_task(cfg: DictConfig, *, classes: list[str], fresh: bool = True) -> VideoTask:
    """As `videxp.tasks.building` does, with a teacher where the recipe names one."""
    return building.build_task(cfg, classes=classes, fresh=fresh, load_teacher=load_teacher)


def load_run(run: str) -> tuple[VideoTask, DictConfig]:
    """A trained task, to be asked by another one, and its config; its data need not be there."""
    folder = open_run(run)
    cfg = load_resolved(folder.config)
    say_changed_inputs(folder, cfg)
    return load_task(cfg, folder.checkpoint()), cfg


def load_classifier(run: str, *, key: str) -> tuple[Classification, DictConfig]:
    """A finished classification and its config. Raises BadRequest for another kind of run, naming the key that asked
    for it."""
    task, cfg = load_run(run)
    if not task.contract.activation:
        raise BadRequest(f"{key}={run} is a run of {type(task).__name__}: give one of a classification")
    return cast(Classification, task), cfg  # what has an activation has classes


def load_teacher(run: str, *, student: Taught, data: VideoDataModule) -> nn.Module:
    """The network of a run that another one learns from, called as the student's is.

    Raises BadRequest where it answers something else, where it is used to clips that are normalized in another way, or
    where it cannot take clips of this length and size.
    """
    task, cfg = load_run(run)
    if reason := student.refusal_of_teacher(task):
        raise BadRequest(f"task.teacher={run}: {reason}: give another run")
    learned_from = build(cfg.dataset)
    theirs, ours = (_normalization(one.train_transform) for one in (learned_from, data))
    if theirs != ours:
        raise BadRequest(
            f"task.teacher={run}: give it clips as it knows them: dataset.train_transform {theirs}, not {ours}"
        )
    try:
        with torch.no_grad():
            task.deployed(*student.network_inputs(student.blank_batch(data)))
    except (RuntimeError, ValueError, IndexError) as error:
        shapes = [f"{one.num_frames} frames, {one.size} x {one.size}" for one in (learned_from, data)]
        raise BadRequest(f"task.teacher={run}: made for {shapes[0]}; it cannot take clips of {shapes[1]}") from error
    return task.deployed


def _normalization(transform: nn.Module) -> str:
    mean, std = (getattr(transform, name, ()) for name in ("mean", "std"))
    return f"mean={list(mean)} std={list(std)}"


class RunFeatures(ClassifierFeatures):
    """The features of a classifier that videxp trained, for figures of generated clips, which are read as that run's.

    run: a run folder of a classification; its data need not be there. output: "logits" for an inception score.
    Raises BadRequest for another kind of run.
    """

    def __init__(self, *, run: str, output: Literal["features", "logits"] = "features") -> None:
        task, cfg = load_classifier(run, key="features.run")
        if output == "logits" and task.contract.activation != "softmax":
            raise BadRequest(
                f"features.run={run}: it learned by {task.contract.activation}; logits are read by a softmax"
            )
        datamodule = build(cfg.dataset)
        super().__init__(
            task.network,
            name=f"{type(task.network).__name__.lower()}_{datamodule.name}",
            transform=through_batch(datamodule.eval_transform),
            input_text=f"{datamodule.size}x{datamodule.size}, read as {datamodule.name}",
            output=output,
        )


def build_trainer(cfg: DictConfig, *, root: Path, loggers: list[Logger], callbacks: list[Callback]) -> Trainer:
    """Lightning's Trainer on the recipe's hardware; `root` is where it may leave files of its own."""
    hardware = cfg.hardware
    if hardware.num_threads is not None:
        torch.set_num_threads(hardware.num_threads)
    trainer: Trainer = build(
        cfg.trainer,
        accelerator=hardware.accelerator,
        devices=1 if hardware.strategy == "single" else hardware.devices,
        num_nodes=hardware.num_nodes,
        precision=hardware.precision,
        strategy=_strategy(hardware),
        logger=loggers,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        use_distributed_sampler=False,  # ours pads nothing and survives a resume
        default_root_dir=str(root),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(callback, LightningCheckpoint) for callback in callbacks),
    )
    if not torch.cuda.is_available():
        # Lightning sets it to "1" (so as not to spoil forks), and torch's Adam then looks in each step for a library
        # that is not there.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    return trainer


def ranks_to_start(cfg: DictConfig, *, root: Path) -> tuple[int, dict[str, str]]:
    """(Processes that this machine needs, what they must find in their environment).

    1 where a launcher (Slurm, torchrun) started them already. A trainer tells, because nobody else knows all launchers
    and kinds of devices.
    """
    strategy = build_trainer(cfg, root=root, loggers=[], callbacks=[]).strategy
    if not isinstance(strategy, DDPStrategy | FSDPStrategy):
        return 1, {}
    cluster = strategy.cluster_environment
    if cluster is None or cluster.creates_processes_externally:
        return 1, {}
    return strategy.num_processes, {
        "MASTER_ADDR": cluster.main_address,
        "MASTER_PORT": str(cluster.main_port),
        "NODE_RANK": str(cluster.node_rank()),
        "WORLD_SIZE": str(strategy.num_processes * strategy.num_nodes),
    }


def build_loggers(cfg: DictConfig, run: RunFolder, *, after_step: int = 0) -> list[Logger]:
    """metrics.csv always; others by config. What was logged after `after_step` (batches) will be logged again."""
    # TensorBoard hides older events from purge_step on.
    loggers = [build(node, save_dir=str(run.path), purge_step=after_step + 1) for node in cfg.logger.values()]
    return [MetricsFile(run.metrics), *loggers]


def build_callbacks(cfg: DictConfig, run: RunFolder, console: Console) -> list[Callback]:
    """The recipe's, and those that every training has."""
    chosen = [build(node) for node in cfg.callbacks.values()]
    for callback in chosen:
        if isinstance(callback, Checkpoint):
            callback.folder = run.best.parent
    watch = [one for one in chosen if isinstance(one, NonFinite)] or [NonFinite()]
    for callback in watch:
        callback.run = run
    rest = [one for one in chosen if one not in watch]
    throughput = Throughput()
    logged = [throughput, StepMetrics(throughput)]
    first = [SameConfig(config_with_variables(cfg)), RandomState(cfg.seed)]
    last = [LeftOut(run), RecordEnergy(run), SaveSamples(run.samples), *rest, ProgressBar(console)]
    return [*first, *watch, *logged, *last]


def build_experiment(
    cfg: DictConfig,
    datamodule: VideoDataModule,
    *,
    root: Path,
    loggers: list[Logger],
    callbacks: list[Callback],
    fresh: bool = True,
) -> Experiment:
    """Seed first: the same seed gives the same initial weights. fresh: as of `build_task`."""
    seed_everything(cfg.seed, verbose=False)
    task = build_task(cfg, classes=datamodule.classes, fresh=fresh)
    if cfg.hardware.compile:
        task.network.compile()  # in place: state-dict keys stay as they are
    return Experiment(datamodule, task, build_trainer(cfg, root=root, loggers=loggers, callbacks=callbacks))


def _strategy(hardware: Any) -> Strategy | str:
    several_gpus = hardware.accelerator in ("auto", "gpu") and _gpus(hardware.devices) * hardware.num_nodes > 1
    name = ("ddp" if several_gpus else "single") if hardware.strategy == "auto" else hardware.strategy
    timeout = timedelta(seconds=hardware.timeout_seconds)
    if name == "single":
        return "auto"
    if name == "fsdp":
        return FSDPStrategy(timeout=timeout)
    return UnpaddedDDPStrategy(
        find_unused_parameters=name == "ddp_find_unused_parameters", gradient_as_bucket_view=True, timeout=timeout
    )


def _gpus(devices: Any) -> int:
    """How many of this machine's GPUs `devices` asks for."""
    there = torch.cuda.device_count()
    if devices in ("auto", -1):
        return there
    return min(there, devices if isinstance(devices, int) else len(devices))
