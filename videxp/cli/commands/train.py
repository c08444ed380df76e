"""videxp train: compose, check, prepare the data, train, test, and say what to do next."""

import json
import logging
import shlex
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest
from videxp.training.course import Request, be_a_rank, carry_out

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.core.console import Console
    from videxp.runs.folder import RunFolder
    from videxp.training.assembling import Experiment

SUMMARY = "RECIPE [overrides]        train and test; the run folder holds everything"
USAGE = """usage: videxp train RECIPE [key=value ...] [--cfg job] [--info] [...]

RECIPE is a name from `videxp list recipes` or the path of a YAML file. Overrides and flags are Hydra's:
  videxp train classification/moving_digits optimizer.lr=1e-3 hardware=ddp_cpu
  videxp train classification/moving_digits --cfg job        print the composed config, run nothing
  videxp train classification/moving_digits hydra.run.dir=runs/mine
  videxp train classification/moving_digits launcher=slurm launcher.partition=gpu        as a job of its own
  videxp train -m classification/moving_digits optimizer.lr=1e-2,1e-3                   many runs: videxp sweep"""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--rank":  # how the supervisor of a DDP run starts each of them
        return be_a_rank(Request(**json.loads(arguments[1])))
    if arguments[0] in ("-m", "--multirun"):
        arguments = [*arguments[1:], arguments[0]]
    recipe, *rest = arguments
    if recipe.startswith("-"):
        raise BadRequest(f"the recipe comes first, got {recipe}: videxp train RECIPE {recipe} ...")
    if "-m" in rest or "--multirun" in rest:
        from videxp.cli.commands.sweep import begin

        return begin(recipe, [text for text in rest if text not in ("-m", "--multirun")])
    _refuse_sweep(rest)
    if any(argument.startswith("-") for argument in rest):
        return config.run_hydra_flag(recipe, rest)
    composed = config.compose(recipe, rest)
    config.refuse(config.check(composed))
    config.remember_addresses(composed.cfg)
    return _train(composed) if composed.choices["launcher"] == "local" else _hand_over(composed)


def _hand_over(composed: "config.Composed") -> int:
    """Write the run down, give it to a launcher, and say where it will be."""
    from videxp.sweeps.launching import OUTPUT, Launcher
    from videxp.sweeps.planning import plan

    launcher: Launcher = config.build(composed.around.launcher)
    if not launcher.outlived:
        name = composed.choices["launcher"]
        raise BadRequest(f"launcher={name}: what it starts would end with this command; launcher.address=HOST:PORT")
    hardware = composed.cfg.hardware
    share = {key: value for key, value in launcher.share().items() if hardware[key.split(".")[1]] in (None, "auto")}
    words = [*composed.overrides, *(f"{key}={value}" for key, value in share.items())]
    run = plan(config.compose(composed.recipe, words), Path(composed.run_dir))
    try:
        handle = launcher.start(run.path)
    except BaseException:
        run.discard()
        raise
    print(f"run    {run.path}  ({launcher.place(handle)})")
    print(f"output {run.path / OUTPUT}")
    print(f"next   videxp resume {run.path}   goes on here, should the job be lost")
    return 0


def _refuse_sweep(overrides: list[str]) -> None:
    """What says how many runs are made is nothing to one run."""
    if asked := [text for text in overrides if text.lstrip("+").startswith("sweep.")]:
        raise BadRequest(f"{asked[0]}: is about many runs; videxp sweep RECIPE {asked[0]} ...")


def run_again(composed: "config.Composed", *, command: str) -> int:
    """Train a config that is resolved already; `command` is what was typed, for the records."""
    return _train(composed, command=command)


def _train(composed: "config.Composed", *, command: str = "") -> int:
    from videxp.runs.folder import RunFolder

    if not command:
        command = shlex.join(["videxp", "train", composed.recipe, *config.redacted_overrides(composed.overrides)])
    request = Request(composed.run_dir, composed.recipe, command, started=time.time())
    run = RunFolder(Path(composed.run_dir))
    if composed.cfg.run.resume == "auto" and run.config.exists():
        from videxp.cli.commands.resume import resume

        return resume(run, wanted=composed.cfg)
    return carry_out(composed.cfg, request, overrides=composed.overrides)


# ---- what the terminal shows -------------------------------------------------------------------------------------

NAME_COLUMNS = 8  # for "data", "weights", "ignored"


def announce(
    cfg: "DictConfig",
    run: "RunFolder",
    experiment: "Experiment",
    console: "Console",
    request: Request,
) -> None:
    """What is run, and where; and the same facts into provenance.json and the loggers."""
    from rich.markup import escape

    from videxp.data.left_out import lost_classes
    from videxp.data.notes import wrapped
    from videxp.models.summary import count_parameters
    from videxp.runs.folder import write_json
    from videxp.runs.provenance import is_whole, provenance, save_samples
    from videxp.training.callbacks.left_out import save_manifest
    from videxp.training.changed_inputs import present_inputs
    from videxp.training.loggers.metrics_file import read_metrics
    from videxp.training.loggers.wandb_logger import WandbRun

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
        *(("weights", text) for text in _weights(cfg, task, resuming=request.resuming)),
        ("device", f"{device}, {data.workers} workers"),
        *(("note", text) for text in config.remarks(cfg)),
        ("run", str(run.path)),
    ]
    before = run.record() if request.resuming else {}
    begins_record = bool(request.checkpoint) and not is_whole(before)
    if begins_record:
        rows.append(("record", _put_record_aside(run, step=request.step)))
    for name, text in rows:
        console.print(f"  [dim]{name:<{NAME_COLUMNS}}[/]{escape(text)}", soft_wrap=True)
    record = provenance(
        command=request.command,
        recipe=request.recipe,
        config_hash=config.config_hash(cfg),
        inputs=present_inputs(cfg),
        seed=cfg.seed,
        world_size=trainer.world_size,
        decoder=data.decoder,
        manifest=data.manifest,
    )
    if begins_record:
        record["unrecorded_batches"] = request.step
    save_samples(data.manifest, run.data)
    save_manifest(data.manifest, run.manifest)
    for logger in trainer.loggers:
        if isinstance(logger, WandbRun):
            if "wandb_id" in before or begins_record:
                logger.go_on(before.get("wandb_id"), rows=read_metrics(run.metrics) if run.metrics.exists() else [])
            plain = config.plain(cfg)
            wandb_config = {**plain, "recipe": request.recipe, "parameters": parameters, "gmacs": work}
            wandb_config["code"] = (record["code"] or {}).get("commit")
            wandb_config["data_fingerprint"] = data.fingerprint
            named = plain["run"]  # not from cfg, which would read the environment
            logger.start(config=wandb_config, group=named["group"], tags=named["tags"], notes=named["notes"])
            record["wandb_id"] = logger.version
    if is_whole(before):  # the record of the beginning stays; each time that it was gone on with is added
        changed = {key: value for key, value in record.items() if before.get(key) != value}
        record = {**before, "resumed": [*before.get("resumed", []), changed]}
        record |= {"wandb_id": changed["wandb_id"]} if "wandb_id" in changed else {}
    write_json(run.provenance, record)


def _put_record_aside(run: "RunFolder", *, step: int) -> str:
    """Of a run that goes on after batch `step`, and whose record of its beginning is missing or damaged."""
    how = "missing"
    if run.provenance.exists():
        aside = run.provenance.with_name("provenance.damaged.json")
        run.provenance.replace(aside)
        how = f"damaged, now {aside.name}"
    return f"provenance.json is {how}: a new one begins after batch {step:,}; what it began with is not known"


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

    from videxp.training.callbacks.left_out import left_out_lines

    table = Table(show_edge=False, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in test_metrics.items():
        table.add_row(name, f"{value:.4f}")
    console.print()
    data = experiment.datamodule
    videos, of = data.seen.get("test", (0, data.coverage("test")[1]))
    on = escape(f"{data.name}, {videos:,} of {of:,} videos")
    console.print(f"[italic]test ({seconds:.0f} s in all): {on}[/]", soft_wrap=True)  # as a table's title it would wrap
    console.print(table)
    if experiment.task.evaluation_protocol:
        console.print(f"[dim]{experiment.task.evaluation_protocol}[/]", soft_wrap=True)
    console.print()
    left_out = left_out_lines(experiment.trainer, experiment.datamodule)
    for name, text in [*pace(experiment), *left_out, *next_steps(run, experiment)]:
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
    lines += [
        ("look", str(run.samples)),
        ("next", f"videxp evaluate {run.path}"),
        ("", f"videxp predict {run.path} {experiment.task.predict_example}"),
        ("", f"videxp compare {run.path.parent}"),
    ]
    commands = [logger.sync_command for logger in experiment.trainer.loggers if isinstance(logger, WandbRun)]
    return [*lines, *(("", command) for command in commands if command)]


def _device_name(trainer: Any) -> str:
    import torch

    if trainer.strategy.root_device.type == "cuda":
        return torch.cuda.get_device_name(trainer.strategy.root_device)
    return trainer.strategy.root_device.type.upper()


# ---- around it ---------------------------------------------------------------------------------------------------


def quiet_libraries() -> None:
    """Lightning's tips and hardware lines say less than our own; its warnings go to log.txt."""
    import_module("pytorch_lightning")  # which sets the levels itself
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|torchmetrics)\b.*")
