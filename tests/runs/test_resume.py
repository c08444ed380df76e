"""A run that was killed and resumed is the run that was not: weights, EMA, optimizers, random states, rows, batches."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runs.conftest import checkpoint, command, differences, metrics, watched
from tests.runs.forking import KILLED, Kill, Nursery

pytestmark = pytest.mark.slow

EACH_STEP = "callbacks.checkpoint.every_n_steps=1"

CASES = {
    "plain": [EACH_STEP],
    "workers": [EACH_STEP, "hardware.num_workers=2"],
    "ema": [EACH_STEP, "callbacks=[checkpoint,ema]", "callbacks.ema.decay=0.9", "trainer.accumulate_grad_batches=2"],
    "validation": [EACH_STEP, "+trainer.val_check_interval=2", "trainer.accumulate_grad_batches=2"],
    "two_optimizers": [EACH_STEP, "task=two_optimizers"],
    "limited": [EACH_STEP, "trainer.limit_train_batches=3", "hardware.num_workers=1"],
    "rarely": ["callbacks.checkpoint.every_n_steps=3", "trainer.check_val_every_n_epoch=2"],
}


@dataclass
class Hospital:
    """Runs cases, and keeps how each goes when it is left alone."""

    nursery: Nursery
    ward: Path

    def __post_init__(self) -> None:
        self.whole: dict[str, tuple[Path, dict]] = {}

    def left_alone(self, case: str, overrides: list[str], *, ranks: int = 1) -> tuple[Path, dict]:
        if case not in self.whole:
            run = self.ward / f"runs/{case}"
            statuses, printed = self.nursery.run(*command(*overrides, run=case), cwd=self.ward, ranks=ranks)
            assert statuses == [0] * ranks, printed
            self.whole[case] = run, watched(self.ward)
        return self.whole[case]

    def killed(self, case: str, overrides: list[str], kills: list[Kill], *, ranks: int = 1, name: str) -> list[str]:
        """What differs between the case left alone and one that was killed so often; empty if nothing does."""
        whole, seen = self.left_alone(case, overrides, ranks=ranks)
        run = self.ward / f"runs/{name}"
        arguments = command(*overrides, run=name)
        for kill in [*kills, None]:
            statuses, printed = self.nursery.run(*arguments, cwd=self.ward, kill=kill, ranks=ranks)
            assert set(statuses) <= ({KILLED, 0} if kill else {0}), printed
            assert kill is not None or "Traceback" not in printed
            if (run / "config.yaml").exists():
                arguments = ["resume", str(run)]
        found = differences(checkpoint(whole), checkpoint(run)) + differences(metrics(whole), metrics(run))
        found += differences(checkpoint(whole, "best"), checkpoint(run, "best"))
        return found + [f"step {key}" for key, what in watched(self.ward).items() if what != seen[key]]


@pytest.fixture(scope="module")
def hospital(nursery: Nursery, ward: Path) -> Hospital:
    return Hospital(nursery, ward)


@pytest.mark.parametrize("case", CASES)
def test_a_killed_and_resumed_run_is_the_run_that_was_left_alone(case: str, hospital: Hospital):
    kills = [Kill("batch", nth=3), Kill("validation", nth=2), Kill("save", nth=2)]
    assert hospital.killed(case, CASES[case], kills, name=f"{case}-killed") == []
