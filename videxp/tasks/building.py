"""A task from its config, and a trained one from the files of a run alone."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from omegaconf import DictConfig
from torch import nn

from videxp.config import build
from videxp.models.pruning import cut_to
from videxp.models.weights import load_weights, weights_unread
from videxp.runs.weights import read_checkpoint
from videxp.tasks.base import VideoTask
from videxp.tasks.weights import set_weights


def build_task(
    cfg: DictConfig,
    *,
    classes: list[str],
    fresh: bool = True,
    load_teacher: Callable[..., nn.Module] | None = None,
) -> VideoTask:
    """Network, optimizer and schedule go into the task; what the data decides is filled in.

    fresh: False where a checkpoint's weights follow: the files of `model.weights` and `pruning.weights` are then not
        read, and may be gone.
    load_teacher: gives the network of `task.teacher` when training begins; a task that is not trained needs none.
    """
    decided = {"num_classes": len(classes), "num_frames": cfg.dataset.num_frames, "size": cfg.dataset.size}
    with nullcontext() if fresh else weights_unread():
        network = build(cfg.model, **decided)
        if pruning := cfg.get("pruning"):
            cut_to(network, pruning.get("widths") or [])
            load_weights(network, pruning.get("weights"))
    task: VideoTask = build(
        cfg.task,
        network=network,
        optimizer=build(cfg.optimizer),
        scheduler=build(cfg.scheduler),
        classes=classes,
        num_frames=cfg.dataset.num_frames,
        size=cfg.dataset.size,
        load_teacher=load_teacher,
    )
    return task


def load_task(cfg: DictConfig, checkpoint: Path) -> VideoTask:
    """A trained task from a run's files alone: its data need not be there. In evaluation mode, on the CPU."""
    content = read_checkpoint(checkpoint)
    task = build_task(cfg, classes=content.get("classes", []), fresh=False)  # none: a task without labels
    set_weights(task, content["state_dict"], path=checkpoint)
    return task.eval()
