"""Private API of Lightning is there and in use: each name fails by itself where a new version has changed it."""

import inspect
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.core.optimizer import LightningOptimizer

from videxp.core import private_lightning
from videxp.core.private_lightning import accumulating, leave_signals_alone, leave_uncounted, stops_early


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, barebones=False
    )


@pytest.mark.usefixtures("quiet_lightning")
@pytest.mark.parametrize(
    ("part", "name", "arguments"),
    [
        ("fit_loop", "_data_fetcher", None),
        ("fit_loop", "_should_accumulate", []),
        ("fit_loop", "_can_stop_early", None),
        ("fit_loop.epoch_loop", "_should_check_val_fx", ["data_fetcher"]),
        ("fit_loop.epoch_loop", "_broadcast_sigterm_tensor", []),
        ("fit_loop.epoch_loop", "_on_before_fetch", []),
        ("fit_loop.epoch_loop", "_on_after_fetch", []),
        ("_signal_connector", "register_signal_handlers", []),
    ],
)
def test_lightning_still_has(part: str, name: str, arguments: list[str] | None, trainer: Trainer):
    owner: Any = trainer
    for inner in part.split("."):
        owner = getattr(owner, inner)
    found = getattr(owner, name)
    if arguments is not None:
        assert list(inspect.signature(found).parameters) == arguments
    callers = (type(owner), type(trainer), type(trainer.fit_loop))
    texts = [inspect.getsource(inspect.getmodule(one)) for one in callers]  # type: ignore[arg-type]  # all have a module
    uses = sum(text.count(f".{name}") for text in texts)
    assert uses


@pytest.mark.usefixtures("quiet_lightning")
def test_what_is_replaced_is_called_no_more_and_what_is_gone_is_named(trainer: Trainer):
    leave_signals_alone(trainer)
    assert trainer._signal_connector.register_signal_handlers() is None
    assert "register_signal_handlers" in vars(trainer._signal_connector)
    with pytest.raises(AttributeError, match="_no_longer_there"):
        private_lightning._replace(trainer, _no_longer_there=lambda: None)


@pytest.mark.usefixtures("quiet_lightning")
def test_a_loop_that_has_not_begun_holds_no_gradients_and_stops_only_when_told(trainer: Trainer):
    trainer.fit_loop.epoch_loop.batch_progress.current.ready = 1
    assert not accumulating(trainer)
    trainer.fit_loop.min_epochs = 1
    trainer.should_stop = True
    assert not stops_early(trainer)
    trainer.fit_loop.epoch_progress.current.processed = 1
    assert stops_early(trainer)


def test_an_optimizers_steps_are_left_out_of_the_count():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = LightningOptimizer(torch.optim.SGD([weight], lr=1.0))
    counted: list[int] = []
    optimizer._on_after_step = lambda: counted.append(1)
    optimizer._on_before_step()
    optimizer._on_after_step()
    leave_uncounted(optimizer)
    optimizer._on_before_step()
    optimizer._on_after_step()
    assert counted == [1]
    source = inspect.getsource(LightningOptimizer.step)
    assert "self._on_before_step()" in source and "self._on_after_step()" in source
