"""A run that learns to be smaller than another one: with fewer channels, of another model, from its answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from safetensors.torch import save_file

from videxp import config
from videxp.config.composing.overriding import apply_overrides
from videxp.core.errors import BadRequest
from videxp.deploy.compressing.pruning import Pruned, prune_network
from videxp.deploy.exporting.runs import LoadedRun
from videxp.runs.folder import RunFolder
from videxp.tasks.teaching import Taught

WEIGHTS = "pruned.safetensors"
TEACHER_WEIGHT, TEMPERATURE = 0.9, 4.0
"""Of distillation by logits."""


@dataclass(frozen=True)
class Changes:
    """What was asked of a student."""

    prune: float | None
    model: str | None
    distill: bool
    epochs: int | None
    """None: the recipe's."""
    overrides: Sequence[str]


def plan_student(
    parent: LoadedRun, changes: Changes, *, output: Path, command: str
) -> tuple[RunFolder, dict[str, Any]]:
    """The folder of a run that `videxp resume` trains, and what is known of it before.

    Raises BadRequest for what cannot be changed so; nothing is left then.
    """
    cfg = parent.cfg.copy()
    known: dict[str, Any] = {}
    pruned = None
    with open_dict(cfg):
        if changes.prune is not None:
            pruned = prune(parent, share=changes.prune)
            known["channels"] = dict(pruned.channels)
            begin_with(cfg, pruned.widths, output / WEIGHTS, share=changes.prune)
        if changes.model is not None:
            cfg.model, cfg.pruning = model_of(changes.model), None
        if changes.distill:
            add_teacher(cfg, parent)
        if changes.epochs is not None:
            cfg.trainer.max_epochs = changes.epochs
    config.refuse([*apply_overrides(cfg, list(changes.overrides)), *config.check_config(cfg)])
    if hidden := config.redacted_keys(config.plain(cfg)):
        raise BadRequest(f"{parent.run.config}: {hidden[0]} was a secret and is not in it: give it, {hidden[0]}=VALUE")
    run = RunFolder(output).create()
    if pruned is not None:
        state = {name: value.clone() for name, value in pruned.network.state_dict().items()}
        save_file(state, output / WEIGHTS)
    run.plan(command=command, recipe=parent.run.recipe)
    config.save_overrides(list(changes.overrides), run.overrides)
    config.save_resolved(cfg, run.config)  # last: it makes the folder a run
    return run, known


def prune(parent: LoadedRun, *, share: float) -> Pruned:
    task = parent.task
    if not isinstance(task, Taught) or task.deployed is not task.network:
        kinds = "classifications, restorations without a discriminator, and scenes"
        raise BadRequest(f"--prune: {parent.run.path} is a run of {type(task).__name__}: {kinds} are pruned")
    return prune_network(task.network, task.network_inputs(task.blank_batch(parent.datamodule)), share=share)


def begin_with(cfg: DictConfig, widths: Sequence[str], weights: Path, *, share: float) -> None:
    """The parent's weights, cut, are the first ones: files that its own began with are not read."""
    before: Mapping[str, Any] = cfg.get("pruning") or {}
    places = dict(text.rpartition("=")[::2] for text in [*(before.get("widths") or []), *widths])
    cfg.pruning = {
        "share": share,
        "widths": [f"{place}={number}" for place, number in places.items()],
        "weights": str(weights.resolve()),
    }
    for key in cfg.model:
        if str(key).endswith("weights"):
            cfg.model[key] = None


def model_of(name: str) -> DictConfig:
    """A choice of conf/model. Raises BadRequest where there is none."""
    files = {choice.name: choice.path for choice in config.group_options("model")}
    if name not in files:
        raise BadRequest(f"--model {name}: unknown; {config.suggestion(name, files)}")
    node = OmegaConf.load(files[name])
    assert isinstance(node, DictConfig)
    return node


def add_teacher(cfg: DictConfig, parent: LoadedRun) -> None:
    target = str(cfg.task._target_)
    if not config.accepts_parameter(target, "teacher"):
        raise BadRequest(f"--distill: {type(parent.task).__name__} has no teacher: leave --distill out")
    cfg.task.teacher, cfg.task.teacher_weight = str(parent.run.path.resolve()), TEACHER_WEIGHT
    if config.accepts_parameter(target, "temperature"):
        cfg.task.temperature = TEMPERATURE
