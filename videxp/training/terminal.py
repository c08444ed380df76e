"""What the terminal shows of a run: what is run and where, what came out, and what comes next."""

from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.energy import JOULES_PER_KWH

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.core.console import Console
    from videxp.runs.folder import RunFolder
    from videxp.training.assembling import Experiment

NAME_COLUMNS = 8  # for "data", "weights", "ignored"


def announce(
    cfg: "DictConfig",
    run: "RunFolder",
    experiment: "Experiment",
    console: "Console",
    *,
    resuming: bool,
    notes: list[tuple[str, str]],
) -> None:
    """What is run, and where."""
    from rich.markup import escape

    from videxp.data.left_out import lost_classes
    from videxp.data.notes import wrapped
    from videxp.models.summary import count_parameters

    task, data, trainer = experiment.task, experiment.datamodule, experiment.trainer
    parameters = count_parameters(task.network)
    work = task.work_of_one_clip(num_frames=data.num_frames, size=data.size)
    sizes = ", ".join(f"{name} {count_parameters(part) / 1e6:,.2f} M".strip() for name, part in task.parts.items())
    counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
    trained = sum(parameter.numel() for parameter in task.network.parameters() if parameter.requires_grad)
    partly = f"; {trained:,} of {parameters:,} parameters are trained" if trained < parameters else ""
    device = f"{trainer.num_devices * trainer.num_nodes} x {_device_name(trainer)}, {trainer.precision}"
    rows = [
        ("data", f"{data.name}: {counts}; {data.description}"),
        *(("lost", text) for text in lost_classes(data.manifest, data.missing)),
        *(("part", text) for split in ("val", "test") if (text := data.part_text(split, trainer))),
        *data.videos.rows(columns=80 - 10),
        *((about, wrapped(text, indent=2 + NAME_COLUMNS)) for about, text in data.manifest.notes),
        ("model", f"{type(task.network).__name__}: {sizes} parameters, {work:,.2f} GMACs per clip{partly}"),
        *(("weights", text) for text in _weights(cfg, task, resuming=resuming)),
        ("device", f"{device}, {data.workers} workers"),
        *(("note", text) for text in config.remarks(cfg)),
        ("run", str(run.path)),
        *notes,
    ]
    for name, text in rows:
        console.print(f"  [dim]{name:<{NAME_COLUMNS}}[/]{escape(text)}", soft_wrap=True)


def _weights(cfg: "DictConfig", task: Any, *, resuming: bool) -> list[str]:
    """What the network begins with, where its model takes public weights."""
    from videxp.models.weights import loaded_weights

    loaded = [str(loaded) for loaded in loaded_weights(task.network)]
    begins_afresh = not loaded and not resuming and "weights" in cfg.model
    return ["none (model.weights=null): the network begins afresh"] if begins_afresh else loaded


def report_result(
    run: "RunFolder",
    experiment: "Experiment",
    test_metrics: dict[str, float],
    console: "Console",
    *,
    seconds: float,
) -> None:
    from rich.markup import escape
    from rich.table import Table

    from videxp.runs.figures import figure_lines, split_figures
    from videxp.training.callbacks.left_out import left_out_lines

    table = Table(show_edge=False, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    baselines, degradations, others = split_figures(test_metrics, experiment.task.contract)
    for name, value in others.items():
        table.add_row(name, f"{value:.4f}")
    console.print()
    data = experiment.datamodule
    videos, of = data.seen.get("test", (0, data.coverage("test")[1]))
    on = escape(f"{data.name}, {videos:,} of {of:,} videos")
    console.print(f"[italic]test ({seconds:.0f} s in all): {on}[/]", soft_wrap=True)  # as a table's title it would wrap
    console.print(table)
    for rows, heading in ((baselines, "test"), (degradations, "other degradations")):
        for line in ["", *figure_lines(rows, heading=heading)] if rows else ():
            console.print(escape(line), soft_wrap=True)
    if experiment.task.evaluation_protocol:
        console.print(f"[dim]{experiment.task.evaluation_protocol}[/]", soft_wrap=True)
    console.print()
    left_out = left_out_lines(experiment.trainer, experiment.datamodule)
    for name, text in [*pace(experiment), *energy(run), *left_out, *next_steps(run, experiment)]:
        console.print(f"[dim]{name:<5}[/]{escape(text)}", soft_wrap=True)


def pace(experiment: "Experiment") -> list[tuple[str, str]]:
    """How fast it trained, and what set the pace."""
    from videxp.training.callbacks.throughput import Throughput, summary
    from videxp.training.loops import callbacks_of

    trainer = experiment.trainer
    data, ranks = experiment.datamodule, trainer.world_size // trainer.num_nodes
    texts = [
        summary(callback.total, workers=data.workers, ranks=ranks, is_cached=data.cache is not None)
        for callback in callbacks_of(trainer, Throughput)
    ]
    return [("pace", text) for text in texts if text]


def energy(run: "RunFolder") -> list[tuple[str, str]]:
    """What the training took, where a counter measured it."""
    found = run.status().get("energy", {})
    if "joules" not in found:
        return []
    of = f"{found['attempts']} attempts, " if found["attempts"] > 1 else ""
    return [("took", f"{sum(found['joules'].values()) / JOULES_PER_KWH:.4g} kWh ({of}{', '.join(found['joules'])})")]


def next_steps(run: "RunFolder", experiment: "Experiment") -> list[tuple[str, str]]:
    """The best checkpoint, where to look, and the commands that come next."""
    from videxp.training.callbacks.checkpoint import Checkpoint
    from videxp.training.loggers.wandb_logger import WandbRun
    from videxp.training.loops import callbacks_of

    lines = []
    for callback in callbacks_of(experiment.trainer, Checkpoint):
        if callback.best_epoch is not None:
            score = f"{callback.monitor} {callback.best_score:.4f} after epoch {callback.best_epoch + 1}"
            lines.append(("best", f"{run.best}  ({score})"))
    if run.samples.exists():
        lines.append(("look", str(run.samples)))
    lines += [
        ("next", f"videxp evaluate {run.path}"),
        ("", f"videxp predict {run.path} {experiment.task.contract.predict_example}"),
        ("", f"videxp compare {run.path.parent}"),
    ]
    commands = [logger.sync_command for logger in experiment.trainer.loggers if isinstance(logger, WandbRun)]
    return [*lines, *(("", command) for command in commands if command)]


def _device_name(trainer: Any) -> str:
    import torch

    if trainer.strategy.root_device.type == "cuda":
        return torch.cuda.get_device_name(trainer.strategy.root_device)
    return trainer.strategy.root_device.type.upper()
