"""The course of a training run: its folder, its data, its ranks, and how it ended."""

import atexit
import json
import logging
import os
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from videxp import config
from videxp.core.deferred import uncollected
from videxp.core.errors import BadRequest, VidexpError, system_words
from videxp.core.lines import warn
from videxp.training.log_file import quiet_libraries
from videxp.training.processes.rank import is_rank_zero, rank
from videxp.training.request import RunRequest

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.core.console import Console
    from videxp.data import VideoDataModule
    from videxp.runs.folder import RunFolder
    from videxp.training.assembling import Experiment
    from videxp.training.processes.signals import Signals
    from videxp.training.processes.supervision import RanksFailed, Supervisor


INSTEAD_OF_OVERRIDES = {
    "dataset.max_unreadable": "change it in {config}",
    "dataset.preparing.allow_copies": "put the data back as the run began with them, or train anew with it",
}
"""What to do in the place of an override that the data set's message names, for a run that goes on."""


def carry_out(cfg: "DictConfig", request: RunRequest, *, overrides: list[str] | None = None) -> int:
    """Take the run folder, prepare the data, train and test here or in ranks, and write down how it ended."""
    from videxp.runs.folder import RunFolder
    from videxp.training.processes.signals import Signals
    from videxp.training.processes.supervision import Supervisor

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
    request: RunRequest,
    overrides: list[str],
    *,
    signals: "Signals",
    supervisor: "Supervisor",
) -> None:
    from videxp.core.console import Console
    from videxp.training.processes.supervision import PROGRAM

    with uncollected():
        from videxp.training.assembling import ranks_to_start

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
        request = _go_on(run, request, console, datamodule)
    ranks, environment = ranks_to_start(cfg, root=run.path)
    if ranks < 2:
        _train_and_test(cfg, run, console, datamodule, request=request, signals=signals)
        return
    supervisor.run(
        [sys.executable, "-c", PROGRAM, "train", "--rank", json.dumps(vars(request))],
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
        config.require_labels(cfg, labels=datamodule.manifest.labels)
    except BadRequest as error:
        if new and is_rank_zero():
            run.discard()
        asked = next((key for key in INSTEAD_OF_OVERRIDES if f"{key}=" in str(error)), None)
        if new or asked is None:
            raise
        remedy = INSTEAD_OF_OVERRIDES[asked].format(config=run.config)
        raise BadRequest(f"{error}\nresume takes no overrides: {remedy}") from None
    return datamodule


def _go_on(run: "RunFolder", request: RunRequest, console: "Console", datamodule: "VideoDataModule") -> RunRequest:
    """Choose the checkpoint, and put the run folder into the state that it had then.

    Raises BadRequest where the data are not what they were; files may have gone, where so many may be missing.
    """
    from videxp.runs.newest import newest_checkpoint, restore_last
    from videxp.training.callbacks.left_out import recall_data
    from videxp.training.changed_inputs import refuse_other_data
    from videxp.training.loggers.metrics_file import keep_rows

    start = newest_checkpoint(run)
    if start is not None:
        recall_data(datamodule, run)
        refuse_other_data(run, datamodule.manifest)
    if is_rank_zero():
        run.sweep()
        start = start and restore_last(run, start)
        keep_rows(run.metrics, start.rows if start else 0)
        if not run.is_planned:  # else it begins
            how = f"goes on after batch {start.step:,} ({start.path})" if start else "begins anew: it has no checkpoint"
            console.print(f"  [dim]{'resume':<7}[/]{run.path} {how}", soft_wrap=True)
    return replace(request, checkpoint=str(start.path), step=start.step) if start else request


def be_a_rank(request: RunRequest) -> NoReturn:
    """Train as one of a DDP run's processes: its config comes through standard input, its data is prepared."""
    from videxp.core.console import Console
    from videxp.runs.folder import RunFolder
    from videxp.training.processes.signals import Interrupted, Signals
    from videxp.training.processes.supervision import be_supervised, report

    be_supervised()
    with uncollected():
        import_module("videxp.training.assembling")
    run = RunFolder(Path(request.run_dir))
    try:
        with Signals(at_once=lambda: None, say=False) as signals:
            cfg = config.load_resolved("/dev/stdin")
            quiet_libraries()
            datamodule = _prepared_data(cfg, run, new=False)
            console = Console(highlight=False, quiet=not is_rank_zero())
            _train_and_test(cfg, run, console, datamodule, request=request, signals=signals)
    except Interrupted as interruption:
        _leave(interruption.exit_status)
    except BaseException as error:
        report(error)
        sys.stdout.flush()
        os._exit(1)  # at once: taking a process group apart would wait for the others
    _leave(0)


def _leave(status: int) -> NoReturn:
    """End this process. Threads of a process group may outlive the interpreter, whose own end would then abort it."""
    atexit._run_exitfuncs()  # W&B's and multiprocessing's
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _train_and_test(
    cfg: "DictConfig",
    run: "RunFolder",
    console: "Console",
    datamodule: "VideoDataModule",
    *,
    request: RunRequest,
    signals: "Signals",
) -> None:
    from videxp.core.private_lightning import leave_signals_alone
    from videxp.runs.provenance import finish_provenance, is_whole
    from videxp.training.assembling import build_callbacks, build_experiment, build_loggers
    from videxp.training.callbacks.left_out import recall_data
    from videxp.training.callbacks.stopping import StopOnSignal
    from videxp.training.log_file import LogFile
    from videxp.training.processes.signals import Interrupted
    from videxp.training.processes.supervision import report, under_supervision
    from videxp.training.recording import put_record_aside, record_start
    from videxp.training.terminal import announce, report_result

    experiment = None
    with LogFile(run.log) if is_rank_zero() else nullcontext() as log_file:
        try:
            if request.checkpoint is not None:
                recall_data(datamodule, run)
            callbacks = [*build_callbacks(cfg, run, console), StopOnSignal(signals)]
            loggers = build_loggers(cfg, run, after_step=request.step)
            fresh = request.checkpoint is None
            experiment = build_experiment(
                cfg, datamodule, root=run.path, loggers=loggers, callbacks=callbacks, fresh=fresh
            )
            leave_signals_alone(experiment.trainer)
            if is_rank_zero():
                before = run.known_provenance() if request.resuming else {}
                lost = request.checkpoint is not None and not is_whole(before)
                notes = [("record", put_record_aside(run, step=request.step))] if lost else []
                announce(cfg, run, experiment, console, resuming=request.resuming, notes=notes)
                record_start(cfg, run, experiment, request, before=before)
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
            report_result(run, experiment, test_metrics, console, seconds=time.time() - request.started)


def fit_and_test(
    experiment: "Experiment", run: "RunFolder", *, checkpoint: Path | str | None = None
) -> dict[str, float]:
    """Train, on from `checkpoint` if given, then test the best weights; returns the test metrics."""
    from videxp.tasks.weights import load_weights
    from videxp.training.loops import finish_last_epoch, validate_no_more_before_training

    trainer, task, datamodule = experiment.trainer, experiment.task, experiment.datamodule
    if trains := any(parameter.requires_grad for parameter in task.network.parameters()):
        if checkpoint is not None:
            validate_no_more_before_training(trainer)
        trainer.fit(task, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
        finish_last_epoch(trainer)
        trainer.strategy.barrier()
        load_weights(task, run.checkpoint())
    trainer.test(task, datamodule=datamodule, verbose=False)
    if (
        not trains
    ):  # a baseline, such as bicubic interpolation: a run all the same, to be compared with and predicted by
        trainer.save_checkpoint(run.best)
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}


# ---- how it ended ------------------------------------------------------------------------------------------------


def _ended(run: "RunFolder", error: BaseException) -> int:
    """Write the state; an interruption has the shell's exit status, errors go on to the command line's door."""
    from videxp.training.processes.signals import Interrupted
    from videxp.training.processes.supervision import RanksFailed

    if not isinstance(error, Interrupted | KeyboardInterrupt):
        if run.config.exists() and _knows_the_cause(run, error):
            if isinstance(error, RanksFailed):
                _note_ranks(run, error)
            of_rank = f"rank {rank()}: " if rank() else ""
            name = "" if isinstance(error, VidexpError) else f"{type(error).__name__}: "  # ours say what is wrong
            words = system_words(error) or f"{name}{error}"
            _write_state(run, "failed", cause=" ".join(f"{of_rank}{words}".split())[:1000])
        raise error
    if is_rank_zero() and _write_state(run, "interrupted"):
        warn(f"interrupted; videxp resume {run.path} goes on")
    return error.exit_status if isinstance(error, Interrupted) else 130


def _knows_the_cause(run: "RunFolder", error: BaseException) -> bool:
    """Whether this process is the one to say why the run failed.

    Of several processes that a launcher started, and nobody watches, the one that failed first says it. Rank 0 alone
    says what is wrong with the request: all find that out.
    """
    from videxp.training.processes.supervision import is_echo

    if is_rank_zero():
        return run.standing().state != "failed" or not is_echo(error)
    return not isinstance(error, BadRequest) and not is_echo(error)


def _write_state(run: "RunFolder", state: Literal["failed", "interrupted"], *, cause: str | None = None) -> bool:
    """Whether it is so: a run that has finished stays so, whatever comes while its result is told."""
    from videxp.runs.provenance import finish_provenance

    if run.standing().state == "finished":
        return False
    try:
        run.set_state(state, cause=cause)
        finish_provenance(run, state=state)
    except OSError as error:  # a full disk
        warn(f"{run.state} could not be written ({error.strerror}): the run {state}")
    return True


def _note(error: BaseException) -> None:
    logging.getLogger("videxp").error(f"ended by {type(error).__name__}", exc_info=error)


def _note_ranks(run: "RunFolder", error: "RanksFailed") -> None:
    from videxp.training.log_file import LogFile

    try:
        with LogFile(run.log):
            logging.getLogger("videxp").error(f"{error}\n{error.details}")
    except OSError:
        pass  # the terminal says the same


def _end_at_once(run: "RunFolder", supervisor: "Supervisor") -> None:
    """A second signal: no checkpoint, nothing is waited for."""
    supervisor.end()
    if is_rank_zero() and _write_state(run, "interrupted"):
        warn(f"ended at once; videxp resume {run.path} goes on")


def _close_loggers(experiment: Any, *, summary: dict[str, float], exit_code: int) -> None:
    from videxp.training.loggers.wandb_logger import WandbRun

    for logger in experiment.trainer.loggers if experiment is not None else []:
        if isinstance(logger, WandbRun):
            logger.finish(summary=summary, exit_code=exit_code)
