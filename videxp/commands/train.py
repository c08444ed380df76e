"""videxp train: compose, check, prepare the data, train, test, and say what to do next."""

import json
import logging
import os
import shlex
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.errors import BadRequest, VidexpError
from videxp.secret_values import ScrubbingFormatter

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.console import Console

    from videxp.data import VideoDataModule
    from videxp.experiment import Experiment
    from videxp.runs.folder import RunFolder

SUMMARY = "RECIPE [overrides]        train and test; the run folder holds everything"
USAGE = """usage: videxp train RECIPE [key=value ...] [--cfg job] [--info] [...]

RECIPE is a name from `videxp list recipes` or the path of a YAML file. Overrides and flags are Hydra's:
  videxp train classification/moving_digits optimizer.lr=1e-3 hardware=ddp_cpu
  videxp train classification/moving_digits --cfg job        print the composed config, run nothing
  videxp train classification/moving_digits hydra.run.dir=runs/mine"""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--resolved":  # how the other ranks of a DDP run are started
        return _join(Path(arguments[1]), checkpoint=Path(arguments[2]) if len(arguments) > 2 else None)
    recipe, *rest = arguments
    if recipe.startswith("-"):
        raise BadRequest(f"the recipe comes first, got {recipe}: videxp train RECIPE {recipe} ...")
    if "-m" in rest or "--multirun" in rest:
        raise BadRequest("train -m: this version trains one config at a time; loop over the values in the shell")
    if any(argument.startswith("-") for argument in rest):
        return config.run_hydra_flag(recipe, rest)
    composed = config.compose(recipe, rest)
    config.refuse(config.check(composed))
    return _train(composed)


@dataclass(frozen=True)
class Request:
    """What was asked for, as it is told on the terminal and in the records."""

    recipe: str
    command: str
    started: float


def run_again(composed: "config.Composed", *, command: str) -> int:
    """Train a config that is resolved already; `command` is what was typed, for the records."""
    return _train(composed, command=command)


def _train(composed: "config.Composed", *, command: str = "") -> int:
    from videxp.runs.folder import RunFolder

    if not command:
        command = shlex.join(["videxp", "train", composed.recipe, *config.redacted_overrides(composed.overrides)])
    request = Request(composed.recipe, command, started=time.perf_counter())
    run = RunFolder(Path(composed.run_dir))
    if composed.cfg.run.resume == "auto" and run.config.exists():
        from videxp.commands.resume import resume

        return resume(run, wanted=composed.cfg)
    return carry_out(composed.cfg, run, request, overrides=composed.overrides)


def carry_out(
    cfg: "DictConfig", run: "RunFolder", request: Request, *, overrides: list[str] | None = None, resuming: bool = False
) -> int:
    """Prepare the data, train from the beginning or from the run's newest whole checkpoint, test."""
    from rich.console import Console

    rank_zero = _global_rank() == 0
    console = Console(highlight=False, quiet=not rank_zero)
    console.print(f"[bold]{request.recipe}[/]")
    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    if rank_zero and not resuming:
        run.create()
        config.save_resolved(cfg, run.config)
        config.save_overrides(overrides or [], run.overrides)
    lock = run.claim() if rank_zero else None  # held by this name until the end
    checkpoint = _go_on(run, console, rank_zero=rank_zero) if resuming else None
    if rank_zero:
        run.set_state("running")
        # Lightning starts the other ranks of this machine with our own arguments; they must not compose again.
        sys.argv[1:] = ["train", "--resolved", str(run.config.resolve()), *([str(checkpoint)] if checkpoint else [])]
    status = _fit_and_test(cfg, run, console, datamodule, request, checkpoint=checkpoint, resuming=resuming)
    del lock
    return status


def _go_on(run: "RunFolder", console: "Console", *, rank_zero: bool) -> Path | None:
    """Choose the checkpoint, and put the run folder into the state that it had then."""
    from videxp.runs.metrics_file import keep_rows
    from videxp.runs.newest import newest_checkpoint, restore_last

    start = newest_checkpoint(run)
    if rank_zero:
        run.sweep()
        start = start and restore_last(run, start)
        keep_rows(run.metrics, start.rows if start else 0)
        where = f"goes on after batch {start.step:,} ({start.path})" if start else "begins anew: it has no checkpoint"
        console.print(f"  [dim]{'resume':<7}[/]{run.path} {where}", soft_wrap=True)
    return start.path if start else None


def _join(resolved: Path, *, checkpoint: Path | None) -> int:
    """Another rank of a run whose config is resolved and whose data is prepared."""
    from rich.console import Console

    from videxp.runs.folder import RunFolder

    cfg = config.load_resolved(resolved)
    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    request = Request(recipe="", command="", started=0.0)  # rank 0 writes the records
    run = RunFolder(resolved.parent)
    return _fit_and_test(cfg, run, Console(quiet=True), datamodule, request, checkpoint=checkpoint)


def _fit_and_test(
    cfg: "DictConfig",
    run: "RunFolder",
    console: "Console",
    datamodule: "VideoDataModule",
    request: Request,
    *,
    checkpoint: Path | None = None,
    resuming: bool = False,
) -> int:
    from videxp.experiment import build_callbacks, build_experiment, build_loggers
    from videxp.runs.left_out import recall_data
    from videxp.runs.provenance import finish_provenance

    rank_zero = _global_rank() == 0
    if rank_zero:
        _log_to(run.log)
    try:
        if checkpoint is not None:
            recall_data(datamodule, run)
        experiment = build_experiment(
            cfg,
            datamodule,
            root=run.path,
            loggers=build_loggers(cfg, run),
            callbacks=build_callbacks(cfg, run, console),
        )
        if rank_zero:
            _announce(cfg, run, experiment, console, request, resuming=resuming)
        test_metrics = fit_and_test(experiment, run, checkpoint=checkpoint)
    except BaseException as error:
        if rank_zero:
            logging.getLogger("videxp").exception("failed")
            _close_loggers(locals().get("experiment"), summary={}, exit_code=1)
        return _failed(run, error, rank_zero=rank_zero)
    if rank_zero:
        _close_loggers(experiment, summary=test_metrics, exit_code=0)
        finish_provenance(run, state="finished")
        run.set_state("finished")
        _report(run, experiment, test_metrics, console, seconds=time.perf_counter() - request.started)
    return 0


def fit_and_test(experiment: "Experiment", run: "RunFolder", *, checkpoint: Path | None = None) -> dict[str, float]:
    """Train, on from `checkpoint` if given, then test the best weights; returns the test metrics."""
    from videxp.experiment import load_weights

    trainer, task, datamodule = experiment.trainer, experiment.task, experiment.datamodule
    trainer.fit(task, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    trainer.strategy.barrier()
    load_weights(task, run.checkpoint())
    trainer.test(task, datamodule=datamodule, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}


def _failed(run: "RunFolder", error: BaseException, *, rank_zero: bool) -> int:
    """Write the state; interruptions have the shell's exit status, errors go on to the command line's door."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    from videxp.runs.provenance import finish_provenance

    interrupted = isinstance(error, KeyboardInterrupt | SIGTERMException | SystemExit)
    if rank_zero:
        cause = None if interrupted else " ".join(f"{type(error).__name__}: {error}".split())[:1000]
        run.set_state("interrupted" if interrupted else "failed", cause=cause)
        finish_provenance(run, state="interrupted" if interrupted else "failed")
    if not interrupted:
        raise error
    print(f"videxp: interrupted; videxp resume {run.path} goes on", file=sys.stderr)
    return 143 if isinstance(error, SIGTERMException) else 130


# ---- what the terminal shows -------------------------------------------------------------------------------------


def _announce(
    cfg: "DictConfig",
    run: "RunFolder",
    experiment: "Experiment",
    console: "Console",
    request: Request,
    *,
    resuming: bool,
) -> None:
    """What is run, and where; and the same facts into provenance.json and the loggers."""
    from videxp.models.summary import count_parameters, gmacs
    from videxp.runs.folder import write_json
    from videxp.runs.left_out import save_manifest
    from videxp.runs.metrics_file import read_metrics
    from videxp.runs.provenance import provenance, save_samples
    from videxp.runs.wandb_logger import WandbRun

    task, data, trainer = experiment.task, experiment.datamodule, experiment.trainer
    parameters = count_parameters(task.network)
    work = gmacs(task.network, num_frames=data.num_frames, size=data.size)
    counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
    device = f"{trainer.num_devices * trainer.num_nodes} x {_device_name(trainer)}, {trainer.precision}"
    rows = {
        "data": f"{data.name}: {counts}; {data.description}",
        "model": f"{type(task.network).__name__}: {parameters / 1e6:,.2f} M parameters, {work:,.2f} GMACs per clip",
        "device": f"{device}, {data.workers} workers",
        "run": str(run.path),
    }
    for name, text in rows.items():
        console.print(f"  [dim]{name:<7}[/]{text}", soft_wrap=True)
    record = provenance(
        command=request.command,
        recipe=request.recipe,
        config_hash=config.config_hash(cfg),
        seed=cfg.seed,
        world_size=trainer.world_size,
        decoder=data.decoder,
        manifest=data.manifest,
    )
    before = json.loads(run.provenance.read_text()) if resuming and run.provenance.exists() else None
    save_samples(data.manifest, run.data)
    save_manifest(data.manifest, run.manifest)
    for logger in trainer.loggers:
        if isinstance(logger, WandbRun):
            if before is not None and "wandb_id" in before:
                logger.go_on(before["wandb_id"], rows=read_metrics(run.metrics) if run.metrics.exists() else [])
            plain = config.plain(cfg)
            wandb_config = {**plain, "recipe": request.recipe, "parameters": parameters, "gmacs": work}
            wandb_config["code"] = (record["code"] or {}).get("commit")
            wandb_config["data_fingerprint"] = data.fingerprint
            named = plain["run"]  # not from cfg, which would read the environment
            logger.start(config=wandb_config, group=named["group"], tags=named["tags"], notes=named["notes"])
            record["wandb_id"] = logger.version
    if before is not None:  # the record of the beginning stays; each time that it was gone on with is added
        changed = {key: value for key, value in record.items() if before.get(key) != value}
        record = {**before, "resumed": [*before.get("resumed", []), changed]}
        record |= {"wandb_id": changed["wandb_id"]} if "wandb_id" in changed else {}
    write_json(run.provenance, record)


def _report(
    run: "RunFolder",
    experiment: "Experiment",
    test_metrics: dict[str, float],
    console: "Console",
    *,
    seconds: float,
) -> None:
    from rich.table import Table

    from videxp.runs.left_out import left_out_lines

    table = Table(title=f"test ({seconds:.0f} s in all)", title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in test_metrics.items():
        table.add_row(name, f"{value:.4f}")
    console.print()
    console.print(table)
    console.print()
    left_out = left_out_lines(experiment.trainer, experiment.datamodule)
    for name, text in [*left_out, *next_steps(run, experiment)]:
        console.print(f"[dim]{name:<5}[/]{text}", soft_wrap=True)


def next_steps(run: "RunFolder", experiment: "Experiment") -> list[tuple[str, str]]:
    """The best checkpoint, where to look, and the commands that come next."""
    from videxp.runs import Checkpoint, WandbRun

    lines = []
    for callback in experiment.trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Checkpoint) and callback.best_epoch is not None:
            score = f"{callback.monitor} {callback.best_score:.4f} after epoch {callback.best_epoch + 1}"
            lines.append(("best", f"{run.best}  ({score})"))
    lines += [
        ("look", str(run.samples)),
        ("next", f"videxp evaluate {run.path}"),
        ("", f"videxp predict {run.path} VIDEO.mp4"),
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


def _close_loggers(experiment: Any, *, summary: dict[str, float], exit_code: int) -> None:
    from videxp.runs import WandbRun

    for logger in experiment.trainer.loggers if experiment is not None else []:
        if isinstance(logger, WandbRun):
            logger.finish(summary=summary, exit_code=exit_code)


def quiet_libraries() -> None:
    """Lightning's tips and hardware lines say less than our own; its warnings go to log.txt."""
    import pytorch_lightning  # noqa: F401  (its import sets the levels)

    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|torchmetrics)\b.*")


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path)
    handler.setFormatter(ScrubbingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("videxp").setLevel(logging.INFO)
    logging.captureWarnings(True)


def _global_rank() -> int:
    """This process's rank as its launcher says; 0 for the process that a person started."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ:
            return int(os.environ[name])
    return 0


__all__ = ["SUMMARY", "VidexpError", "fit_and_test", "main"]
