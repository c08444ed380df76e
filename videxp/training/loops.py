"""Where Lightning's training loop stands, and how it starts again.

A checkpoint can be taken at three moments, each with the whole of its batch done:

- after a batch that no validation follows: Lightning goes on with the next batch;
- after a validation within an epoch: Lightning skips that validation and goes on with the next batch;
- after all hooks of an epoch's end: Lightning would call them again, or train a batch of an epoch that is over
  (lightning 2.6); `begin_next_epoch` makes it a beginning instead.
"""

from typing import Any, TypeVar, cast

from pytorch_lightning import Trainer

from videxp.core.private_lightning import accumulating, stops_early, validation_follows
from videxp.data import VideoDataModule
from videxp.data.prepared import datamodule_of

T = TypeVar("T")

# Lightning sets a trainer's `callbacks` and `log_every_n_steps` from outside its class, unseen by type checkers.


def callbacks_of(trainer: Trainer, kind: type[T]) -> list[T]:
    """The trainer's callbacks of one kind, in their order."""
    return [callback for callback in cast(Any, trainer).callbacks if isinstance(callback, kind)]


def logs_after(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the step metrics of this batch and those before it are written now."""
    return (batch_idx + 1) % cast(Any, trainer).log_every_n_steps == 0 or trainer.is_last_batch


def validate_no_more_before_training(trainer: Trainer) -> None:
    """Leave out the sanity check of a run that goes on: it was done, and its row written, when the run began.

    Lightning repeats it where the checkpoint is of an epoch's end.
    """
    trainer.num_sanity_val_steps = 0


def exact_moment(trainer: Trainer) -> bool:
    """Whether training can go on exactly from a checkpoint of this batch; for `on_train_batch_end`."""
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
    """Whether no epoch follows; for `on_train_epoch_end`."""
    epochs = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= _epochs(trainer)[1].processed
    steps = 0 <= trainer.max_steps <= trainer.global_step
    return epochs or steps or stops_early(trainer)


def begin_next_epoch(trainer: Trainer) -> None:
    """If the state is that of an epoch's end, make it the beginning of the next; for `on_train_start`."""
    total, current = _epochs(trainer)
    if total.processed == total.completed:
        return
    total.completed, current.completed = total.processed, current.processed
    trainer.fit_loop.reset_restart_stage()
    trainer.fit_loop.epoch_loop.restarting = False


def finish_last_epoch(trainer: Trainer) -> None:
    """Count the last epoch as done, for what is logged after the training.

    A run that goes on from its last checkpoint has nothing left to train; where it was to end after so many steps,
    Lightning leaves it in the epoch that the checkpoint was taken in.
    """
    total, current = _epochs(trainer)
    total.completed, current.completed = total.processed, current.processed


def _epochs(trainer: Trainer) -> tuple[Any, Any]:
    """Lightning's counts of epochs: (since the run began, the same in a way that some hooks reset)."""
    progress = trainer.fit_loop.epoch_progress
    return progress.total, progress.current
