"""Random states go through a checkpoint unchanged, and validation does not move them."""

import random
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from videxp.training.callbacks.random_state import RandomState, random_state, set_random_state

NOBODY = cast(Any, None)  # the callback asks neither the trainer nor the task


def draws() -> list[float]:
    """From each of the three generators, the normal ones too: numpy keeps every second of those in its state."""
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.randn(()))]


def test_states_that_went_through_a_file_give_the_same_numbers(tmp_path: Path):
    draws()
    torch.save(random_state(), tmp_path / "state")
    first = draws(), draws()
    set_random_state(torch.load(tmp_path / "state", weights_only=True))
    assert (draws(), draws()) == first


def test_numbers_drawn_in_a_validation_are_not_missed_in_training():
    def numbers_after_a_validation(callback: RandomState | None) -> list[float]:
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        if callback:
            callback.on_validation_start(NOBODY, NOBODY)
        draws()
        if callback:
            callback.on_validation_end(NOBODY, NOBODY)
        return draws()

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    undisturbed = draws()
    assert numbers_after_a_validation(None) != undisturbed
    assert numbers_after_a_validation(RandomState(0)) == undisturbed
