"""Private API of Lightning 2.6: everything that videxp reads or replaces of it.

Read: where a training loop stands, which a checkpoint must know to go on exactly. Replaced: what would break a
guarantee, or what a measurement has to be told of.
"""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import Trainer


def validation_follows(trainer: Trainer) -> bool:
    """Whether the loop will validate after the batch that just ended."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def accumulating(trainer: Trainer) -> bool:
    """Whether gradients are held that no optimizer step has used yet; a checkpoint does not hold them."""
    return trainer.fit_loop._should_accumulate()


def stops_early(trainer: Trainer) -> bool:
    """Whether the loop will follow `trainer.should_stop`: not before min_epochs and min_steps."""
    return trainer.should_stop and trainer.fit_loop._can_stop_early


def leave_signals_alone(trainer: Trainer) -> None:
    """Leave signals to `videxp.training.processes.signals`.

    Lightning's handler ends a run with exit status 0 and no checkpoint; under DDP it calls a collective within the
    handler, and each step waits for a broadcast that asks whether it did.
    """
    _replace(trainer._signal_connector, register_signal_handlers=lambda: None)
    _replace(trainer.fit_loop.epoch_loop, _broadcast_sigterm_tensor=lambda: None)


def around_each_fetch(trainer: Trainer, *, before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call these around each wait for a training batch, for a measurement; to be asked for in `on_train_start`."""
    loop = trainer.fit_loop.epoch_loop
    told_before, told_after = loop._on_before_fetch, loop._on_after_fetch  # others may have asked for the same

    def begin() -> None:
        told_before()
        before()

    def end() -> None:
        after()
        told_after()

    _replace(loop, _on_before_fetch=begin, _on_after_fetch=end)


def leave_uncounted(optimizer: Any) -> None:
    """Leave a LightningOptimizer's steps out of the trainer's count of steps: of two optimizers one is counted."""
    _replace(optimizer, _on_before_step=_nothing, _on_after_step=_nothing)


def _nothing() -> None: ...


def _replace(part: object, **methods: Callable[..., Any]) -> None:
    """Replace methods of one object. Raises AttributeError, naming it, for one that Lightning no longer has."""
    for name in methods:
        getattr(part, name)
    vars(part).update(methods)
