"""videxp train: compose, check, prepare the data, train, test, and say what to do next."""

import json
import logging
import os
import shlex
import sys
import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import videxp
from videxp import config
from videxp.errors import BadRequest, VidexpError

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.console import Console

    from videxp.data import VideoDataModule
    from videxp.experiment import Experiment
    from videxp.runs.folder import RunFolder
    from videxp.runs.signals import Signals
    from videxp.runs.supervision import RanksFailed, Supervisor

SUMMARY = "RECIPE [overrides]        train and test; the run folder holds everything"
USAGE = """usage: videxp train RECIPE [key=value ...] [--cfg job] [--info] [...]

RECIPE is a name from `videxp list recipes` or the path of a YAML file. Overrides and flags are Hydra's:
  videxp train classification/moving_digits optimizer.lr=1e-3 hardware=ddp_cpu
  videxp train classification/moving_digits --cfg job        print the composed config, run nothing
  videxp train classification/moving_digits hydra.run.dir=runs/mine"""

# Not `-m videxp.cli`, which would put the current folder first on the path: there, a json.py would hide Python's.
START_A_RANK = [
    sys.executable,
    "-c",
    f"""import sys
sys.path[0] or sys.path.pop(0)
sys.path.append({str(Path(videxp.__file__).parents[1])!r})
from videxp.cli import main
sys.exit(main())""",
    "train",
    "--rank",
]


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--rank":  # how the supervisor of a DDP run starts each of them
        return _be_a_rank(Request(**json.loads(arguments[1])))
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
    """What was asked for, as it is told on the terminal and in the records, and where the run begins."""

    run_dir: str
    recipe: str
    command: str
    started: float
    """Seconds since the epoch."""
    resuming: bool = False
    checkpoint: str | None = None
    """Where it goes on; None: from the beginning."""


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
        from videxp.commands.resume import resume

        return resume(run, wanted=composed.cfg)
    return carry_out(composed.cfg, request, overrides=composed.overrides)


def carry_out(cfg: "DictConfig", request: Request, *, overrides: list[str] | None = None) -> int:
    """Take the run folder, prepare the data, train and test here or in ranks, and write down how it ended."""
    from videxp.runs.folder import RunFolder
    from videxp.runs.signals import Signals
    from videxp.runs.supervision import Supervisor

    run = RunFolder(Path(request.run_dir))
    if not request.resuming and is_rank_zero():
        run.create()
    lock = run.claim() if is_rank_zero() else None  # held by this name until the end
    supervisor = Supervisor()
    with Signals(at_once=partial(_end_at_once, run, supervisor)) as signals:
        try:
            with supervisor:
                _carry_out(cfg, run, request, overrides or [], signals=signals, supervisor=supervisor)
        except BaseException as error:
            return _ended(run, error)
        finally:
            del lock
    return 0


def _carry_out(
    cfg: "DictConfig",
    run: "RunFolder",
    request: Request,
    overrides: list[str],
    *,
    signals: "Signals",
    supervisor: "Supervisor",
) -> None:
    from rich.console import Console

    from videxp.experiment import ranks_to_start

    console = Console(highlight=False, quiet=not is_rank_zero())
    console.print(f"[bold]{request.recipe}[/]")
    if is_rank_zero():
        if not request.resuming:
            config.save_resolved(cfg, run.config)
            config.save_overrides(overrides, run.overrides)
        run.set_state("running")
    quiet_libraries()
    datamodule = _prepared_data(cfg, run, new=not request.resuming)
    if request.resuming:
        request = replace(request, checkpoint=_go_on(run, console))
    ranks, environment = ranks_to_start(cfg, root=run.path)
    if ranks < 2:
        _train_and_test(cfg, run, console, datamodule, request=request, signals=signals)
        return
    supervisor.run(
        [*START_A_RANK, json.dumps(vars(request))],
        content=config.with_secrets(cfg),
        environment={**os.environ, **environment},
        ranks=ranks,
        timeout_seconds=cfg.hardware.timeout_seconds,
        signals=signals,
    )


def _prepared_data(cfg: "DictConfig", run: "RunFolder", *, new: bool) -> "VideoDataModule":
    """A request that is refused here leaves no run folder behind."""
    try:
        datamodule = config.build(cfg.dataset)
        datamodule.prepare()
    except BadRequest:
        if new and is_rank_zero():
            run.discard()
        raise
    return datamodule


def _go_on(run: "RunFolder", console: "Console") -> str | None:
    """Choose the checkpoint, and put the run folder into the state that it had then."""
    from videxp.runs.metrics_file import keep_rows
    from videxp.runs.newest import newest_checkpoint, restore_last

    start = newest_checkpoint(run)
    if is_rank_zero():
        run.sweep()
        start = start and restore_last(run, start)
        keep_rows(run.metrics, start.rows if start else 0)
        where = f"goes on after batch {start.step:,} ({start.path})" if start else "begins anew: it has no checkpoint"
        console.print(f"  [dim]{'resume':<7}[/]{run.path} {where}", soft_wrap=True)
    return str(start.path) if start else None


def _be_a_rank(request: Request) -> int:
    """One of a DDP run's processes: its config comes through standard input, its data is prepared."""
    from rich.console import Console

    from videxp.runs.folder import RunFolder
    from videxp.runs.signals import Interrupted, Signals
    from videxp.runs.supervision import be_supervised, report

    be_supervised()
    run = RunFolder(Path(request.run_dir))
    try:
        with Signals(at_once=lambda: None, say=False) as signals:
            cfg = config.load_resolved("/dev/stdin")
            quiet_libraries()
            datamodule = _prepared_data(cfg, run, new=False)
            console = Console(highlight=False, quiet=not is_rank_zero())
            _train_and_test(cfg, run, console, datamodule, request=request, signals=signals)
    except Interrupted as interruption:
        return interruption.exit_status
    except BaseException as error:
        report(error)
        sys.stdout.flush()
        os._exit(1)  # at once: taking a process group apart would wait for the others
    return 0


def _train_and_test(
    cfg: "DictConfig",
    run: "RunFolder",
    console: "Console",
    datamodule: "VideoDataModule",
    *,
    request: Request,
    signals: "Signals",
) -> None:
    from videxp.experiment import build_callbacks, build_experiment, build_loggers
    from videxp.runs.log_file import LogFile
    from videxp.runs.loops import leave_signals_alone
    from videxp.runs.provenance import finish_provenance
    from videxp.runs.signals import Interrupted
    from videxp.runs.stopping import StopOnSignal
    from videxp.runs.supervision import report, under_supervision

    experiment = None
    with LogFile(run.log) if is_rank_zero() else nullcontext() as log_file:
        try:
            callbacks = [*build_callbacks(cfg, run, console), StopOnSignal(signals)]
            loggers = build_loggers(cfg, run)
            experiment = build_experiment(cfg, datamodule, root=run.path, loggers=loggers, callbacks=callbacks)
            leave_signals_alone(experiment.trainer)
            if is_rank_zero():
                _announce(cfg, run, experiment, console, request)
            with signals.held():
                test_metrics = fit_and_test(experiment, run, checkpoint=request.checkpoint)
        except BaseException as error:
            if under_supervision() and not isinstance(error, Interrupted):
                report(error)  # before all that could take its time
            if is_rank_zero():
                _note(error)
                _close_loggers(experiment, summary={}, exit_code=getattr(error, "exit_status", 1))
            raise
        if is_rank_zero():
            _close_loggers(experiment, summary=test_metrics, exit_code=0)
            finish_provenance(run, state="finished")
            if log_file is not None:
                log_file.refuse_if_incomplete()
            run.set_state("finished")
            _report(run, experiment, test_metrics, console, seconds=time.time() - request.started)


def fit_and_test(
    experiment: "Experiment", run: "RunFolder", *, checkpoint: Path | str | None = None
) -> dict[str, float]:
    """Train, on from `checkpoint` if given, then test the best weights; returns the test metrics."""
    from videxp.experiment import load_weights

    trainer, task, datamodule = experiment.trainer, experiment.task, experiment.datamodule
    trainer.fit(task, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    trainer.strategy.barrier()
    load_weights(task, run.checkpoint())
    trainer.test(task, datamodule=datamodule, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}


# ---- how it ended ------------------------------------------------------------------------------------------------


def _ended(run: "RunFolder", error: BaseException) -> int:
    """Write the state; an interruption has the shell's exit status, errors go on to the command line's door."""
    from videxp.runs.signals import Interrupted
    from videxp.runs.supervision import RanksFailed

    if not isinstance(error, Interrupted | KeyboardInterrupt):
        if is_rank_zero() and run.config.exists():
            if isinstance(error, RanksFailed):
                _note_ranks(run, error)
            name = "" if isinstance(error, RanksFailed) else f"{type(error).__name__}: "
            _write_state(run, "failed", cause=" ".join(f"{name}{error}".split())[:1000])
        raise error
    if is_rank_zero():
        _write_state(run, "interrupted")
        print(f"videxp: interrupted; videxp resume {run.path} goes on", file=sys.stderr)
    return error.exit_status if isinstance(error, Interrupted) else 130


def _write_state(run: "RunFolder", state: Literal["failed", "interrupted"], *, cause: str | None = None) -> None:
    from videxp.runs.provenance import finish_provenance

    try:
        run.set_state(state, cause=cause)
        finish_provenance(run, state=state)
    except OSError as error:  # a full disk
        print(f"videxp: {run.state} could not be written ({error.strerror}): the run {state}", file=sys.stderr)


def _note(error: BaseException) -> None:
    logging.getLogger("videxp").error(f"ended by {type(error).__name__}", exc_info=error)


def _note_ranks(run: "RunFolder", error: "RanksFailed") -> None:
    from videxp.runs.log_file import LogFile

    try:
        with LogFile(run.log):
            logging.getLogger("videxp").error(f"{error}\n{error.details}")
    except OSError:
        pass  # the terminal says the same


def _end_at_once(run: "RunFolder", supervisor: "Supervisor") -> None:
    """A second signal: no checkpoint, nothing is waited for."""
    supervisor.end()
    if is_rank_zero():
        _write_state(run, "interrupted")
        print(f"videxp: ended at once; videxp resume {run.path} goes on", file=sys.stderr, flush=True)


# ---- what the terminal shows -------------------------------------------------------------------------------------


def _announce(
    cfg: "DictConfig",
    run: "RunFolder",
    experiment: "Experiment",
    console: "Console",
    request: Request,
) -> None:
    """What is run, and where; and the same facts into provenance.json and the loggers."""
    from videxp.models.summary import count_parameters, gmacs
    from videxp.runs.folder import write_json
    from videxp.runs.metrics_file import read_metrics
    from videxp.runs.provenance import provenance, save_samples
    from videxp.runs.wandb_logger import WandbRun

    task, data, trainer = experiment.task, experiment.datamodule, experiment.trainer
    parameters = count_parameters(task.network)
    work = gmacs(task.network, num_frames=data.num_frames, size=data.size)
    counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
    device = f"{trainer.num_devices * trainer.num_nodes} x {_device_name(trainer)}, {trainer.precision}"
    rows = {
        "data": f"{data.name}: {counts}; {data.num_classes} classes; {data.num_frames} x {data.size} x {data.size}",
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
    before = json.loads(run.provenance.read_text()) if request.resuming and run.provenance.exists() else None
    save_samples(data.manifest, run.data)
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

    table = Table(title=f"test ({seconds:.0f} s in all)", title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in test_metrics.items():
        table.add_row(name, f"{value:.4f}")
    console.print()
    console.print(table)
    console.print()
    for name, text in next_steps(run, experiment):
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


def is_rank_zero() -> bool:
    """Whether this process, as its launcher counts, is the first of the run; so is the one that a person started."""
    for name in ("RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name]) == 0
    return all(int(os.environ.get(name, "0")) == 0 for name in ("NODE_RANK", "LOCAL_RANK"))


__all__ = ["SUMMARY", "VidexpError", "fit_and_test", "main"]
