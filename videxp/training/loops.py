"""Where Lightning's training loop stands, and how it starts again. All that videxp knows of the loop's inside is here.

A checkpoint can be taken at three moments, each with the whole of its batch done:

- after a batch that no validation follows: Lightning goes on with the next batch;
- after a validation within an epoch: Lightning skips that validation and goes on with the next batch;
- after all hooks of an epoch's end: Lightning would call them again, or train a batch of an epoch that is over
  (lightning 2.6); `begin_next_epoch` makes it a beginning instead.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar, cast

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loops.progress import _ProcessedTracker
from pytorch_lightning.profilers import PassThroughProfiler

from videxp.data import VideoDataModule
from videxp.data.prepared import datamodule_of

T = TypeVar("T")
STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
"""What is called for each callback in each step."""


# Lightning sets a trainer's `callbacks`, `datamodule`, `profiler` and `log_every_n_steps` from outside its class, where
# no type checker sees them.


def callbacks_of(trainer: Trainer, kind: type[T]) -> list[T]:
    """The trainer's callbacks of one kind, in their order."""
    return [callback for callback in cast(Any, trainer).callbacks if isinstance(callback, kind)]


def logs_after(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the step metrics of this batch and those before it are written now."""
    return (batch_idx + 1) % cast(Any, trainer).log_every_n_steps == 0 or trainer.is_last_batch


def validation_follows(trainer: Trainer) -> bool:
    """Whether the loop will validate after the batch that just ended."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def validate_no_more_before_training(trainer: Trainer) -> None:
    """Of a run that goes on: it was done, and its row written, when the run began.

    Lightning's sanity check is repeated where the checkpoint is of an epoch's end.
    """
    trainer.num_sanity_val_steps = 0


def accumulating(trainer: Trainer) -> bool:
    """Whether gradients are held that no optimizer step has used yet; a checkpoint does not hold them."""
    return trainer.fit_loop._should_accumulate()


def exact_moment(trainer: Trainer) -> bool:
    """Asked in `on_train_batch_end`: whether training can go on exactly from a checkpoint of this batch."""
    return not trainer.is_last_batch and not accumulating(trainer) and not validation_follows(trainer)


def any_rank(trainer: Trainer, answer: bool) -> bool:
    """Whether any rank says yes: the same on all. Ranks tell each other on the CPU, so that no GPU is waited for."""
    if trainer.world_size == 1:
        return answer
    data = datamodule_of(trainer)
    if isinstance(data, VideoDataModule):
        return data.quarantine.ranks.summed([int(answer)]) != [0]
    return trainer.strategy.reduce_boolean_decision(answer, all=False)


def training_is_over(trainer: Trainer) -> bool:
    """Asked in `on_train_epoch_end`: whether no epoch follows."""
    loop = trainer.fit_loop
    epochs = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= _epochs(trainer)[1].processed
    steps = 0 <= trainer.max_steps <= trainer.global_step
    return epochs or steps or (trainer.should_stop and loop._can_stop_early)


def begin_next_epoch(trainer: Trainer) -> None:
    """Asked in `on_train_start`: if the state is that of an epoch's end, make it the beginning of the next."""
    total, current = _epochs(trainer)
    if total.processed == total.completed:
        return
    total.completed, current.completed = total.processed, current.processed
    trainer.fit_loop.reset_restart_stage()
    trainer.fit_loop.epoch_loop.restarting = False


def _epochs(trainer: Trainer) -> tuple[_ProcessedTracker, _ProcessedTracker]:
    """Lightning's counts of epochs: (since the run began, the same in a way that some hooks reset)."""
    progress = trainer.fit_loop.epoch_progress
    return cast(_ProcessedTracker, progress.total), cast(_ProcessedTracker, progress.current)


def take_short_ways(trainer: Trainer) -> None:
    """What Lightning does in each step to no effect is not done: about half of what a step costs beyond its work.

    Hooks are called as before and in the same order, but for those of callbacks that have none.
    """
    if type(cast(Any, trainer).profiler) is PassThroughProfiler:
        cast(Any, trainer).profiler = _NoProfiler()
    if not torch.cuda.is_available():
        # Lightning sets it to "1" (so as not to spoil forks), and torch's Adam then looks in each step for a library
        # that is not there.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    for callback in callbacks_of(trainer, Callback):
        for name in STEP_HOOKS:
            if getattr(type(callback), name) is getattr(Callback, name):
                setattr(callback, name, None)  # what is not callable is passed over
    # It would read the signature of `training_step` to see whether it takes `batch_idx`: those of all tasks do.
    _instead(trainer.fit_loop.epoch_loop, _build_kwargs=_step_arguments)


def _step_arguments(kwargs: "OrderedDict[str, Any]", batch: Any, batch_idx: int) -> "OrderedDict[str, Any]":
    return OrderedDict(kwargs, batch=batch, batch_idx=batch_idx)


class _NoProfiler(PassThroughProfiler):
    """Lightning opens some seventy contexts in a step to tell a profiler; where nobody profiles, one does for all."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> Any:
        return self._nothing


def leave_signals_alone(trainer: Trainer) -> None:
    """Signals are `videxp.training.processes.signals`' to answer.

    Lightning's handler ends a run with exit status 0 and no checkpoint; under DDP it calls a collective within the
    handler, and each step waits for a broadcast that asks whether it did.
    """
    _instead(trainer._signal_connector, register_signal_handlers=lambda: None)
    _instead(trainer.fit_loop.epoch_loop, _broadcast_sigterm_tensor=lambda: None)


def around_each_fetch(trainer: Trainer, *, before: Callable[[], None], after: Callable[[], None]) -> None:
    """Asked in `on_train_start`: call these around each wait for a training batch, where the profiler is told of it."""
    loop = trainer.fit_loop.epoch_loop
    told_before, told_after = loop._on_before_fetch, loop._on_after_fetch  # others may have asked for the same

    def begin() -> None:
        told_before()
        before()

    def end() -> None:
        after()
        told_after()

    _instead(loop, _on_before_fetch=begin, _on_after_fetch=end)


def _instead(part: object, **methods: Callable[..., Any]) -> None:
    """From now on this part of the loop does these things instead. Lightning has no door for them."""
    vars(part).update(methods)
