"""A run that was killed and resumed is the run that was not: weights, EMA, optimizers, random states, rows, batches."""

import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.shrink import EXPERIMENTS, RECIPES, contract
from tests.training import killing
from tests.training.conftest import checkpoint, command, differences, metrics, watched
from tests.training.killing import KILLED, Kill
from videxp.core.contract import Contract

pytestmark = pytest.mark.slow
RECIPE = "classification/moving_digits"
EACH_STEP = "callbacks.checkpoint.every_n_steps=1"

CASES = {
    "plain": [EACH_STEP],
    "workers": [EACH_STEP, "hardware.num_workers=2"],
    "ema": [EACH_STEP, "callbacks=[checkpoint,ema]", "callbacks.ema.decay=0.9", "trainer.accumulate_grad_batches=2"],
    "validation": [EACH_STEP, "+trainer.val_check_interval=2", "trainer.accumulate_grad_batches=2"],
    "validation_while_accumulating": [EACH_STEP, "+trainer.val_check_interval=3", "trainer.accumulate_grad_batches=2"],
    "two_optimizers": [EACH_STEP, "task=two_optimizers"],
    "limited": [EACH_STEP, "trainer.limit_train_batches=3", "hardware.num_workers=1"],
    "methods": [
        EACH_STEP,
        "task.trained=[head,features.conv2]",
        "task.layer_decay=0.5",
        "dataset.loading.shuffle=class_balanced",
        "dataset.clips.clips_per_video=2",
        "dataset.train_transform.rand_augment={num_ops: 2, magnitude: 9}",
        "dataset.train_transform.random_erasing=0.5",
    ],
    "rarely": ["callbacks.checkpoint.every_n_steps=3", "trainer.check_val_every_n_epoch=2"],
}


@dataclass
class KilledRuns:
    """Runs cases, and keeps how each goes when it is left alone."""

    workspace: Path

    def __post_init__(self) -> None:
        self.whole: dict[str, tuple[Path, dict]] = {}

    def left_alone(self, case: str, overrides: list[str], *, ranks: int = 1, recipe: str = RECIPE) -> tuple[Path, dict]:
        if case not in self.whole:
            run = self.workspace / f"runs/{case}"
            arguments = command(*overrides, run=case, recipe=recipe, cwd=self.workspace)
            statuses, printed = killing.run(*arguments, cwd=self.workspace, ranks=ranks)
            assert statuses == [0] * ranks, printed
            self.whole[case] = run, watched(self.workspace)
        return self.whole[case]

    def killed(
        self,
        case: str,
        overrides: list[str],
        kills: list[Kill],
        *,
        name: str,
        ranks: int = 1,
        recipe: str = RECIPE,
    ) -> list[str]:
        """What differs between the case left alone and one that was killed so often; empty if nothing does."""
        (self.workspace / "watch.txt").unlink(missing_ok=True)  # other tests leave theirs
        whole, seen = self.left_alone(case, overrides, ranks=ranks, recipe=recipe)
        run = self.workspace / f"runs/{name}"
        arguments = command(*overrides, run=name, recipe=recipe, cwd=self.workspace)
        for kill in [*kills, None]:
            statuses, printed = killing.run(*arguments, cwd=self.workspace, kill=kill, ranks=ranks)
            assert set(statuses) <= ({KILLED, 0} if kill else {0}), printed
            assert kill is not None or "Traceback" not in printed
            if (run / "config.yaml").exists():
                arguments = ["resume", str(run)]
        found = differences(checkpoint(whole), checkpoint(run)) + differences(metrics(whole), metrics(run))
        found += differences(checkpoint(whole, "best"), checkpoint(run, "best"))
        return found + [f"step {key}" for key, what in watched(self.workspace).items() if what != seen[key]]


@pytest.fixture(scope="session")
def killed_runs(workspace: Path) -> KilledRuns:
    return KilledRuns(workspace)


DDP_EMA = [
    "hardware=ddp_cpu",
    "hardware.num_workers=0",
    "callbacks=[checkpoint,ema]",
    "callbacks.checkpoint.every_n_steps=2",
    "callbacks.ema.decay=0.9",
    "trainer.log_every_n_steps=3",  # a checkpoint between two log points
]


def test_two_processes_of_which_one_is_killed_go_on_as_if_nothing_had_been(killed_runs: KilledRuns):
    assert killed_runs.killed("ddp", DDP_EMA, [Kill("batch", nth=8, rank=1)], ranks=2, name="ddp-killed") == []
    assert {rank for rank, _ in killed_runs.whole["ddp"][1]} == {"0", "1"}
    assert len(checkpoint(killed_runs.workspace / "runs/ddp")["ranks"]) == 2


def schedule(seed: int) -> tuple[str, list[Kill]]:
    """Which case, and one to three random moments; many of them within a validation or the write of a checkpoint."""
    rng = random.Random(seed)
    kills = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.choice(["time", "batch", "validation", "save", "save", "row"])
        amount = rng.uniform(0.2, 1.5) if at == "time" else rng.random()
        kills.append(Kill(at, nth=rng.randint(1, 6), amount=amount))
    return rng.choice(list(CASES)), kills


def kill_run(killed_runs: KilledRuns, seed: int) -> None:
    case, kills = schedule(seed)
    found = killed_runs.killed(case, CASES[case], kills, name=f"seed{seed}")
    assert found == [], f"kill schedule seed={seed}: {case}, {kills}"
    shutil.rmtree(killed_runs.workspace / f"runs/seed{seed}")


@pytest.mark.parametrize("seed", [0, 4])
def test_killed_at_random_moments(seed: int, killed_runs: KilledRuns):
    kill_run(killed_runs, seed)


@pytest.mark.kill
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_killed_at_random_moments_a_hundred_times(seed: int, killed_runs: KilledRuns):
    kill_run(killed_runs, seed)


def test_a_run_of_so_many_steps_that_is_killed_before_its_test_logs_the_test_in_the_same_epoch(killed_runs: KilledRuns):
    steps = ["trainer.max_epochs=null", "trainer.max_steps=4", "trainer.limit_train_batches=2"]
    assert killed_runs.killed("steps", steps, [Kill("test")], name="steps-killed") == []
    names, *rows = metrics(killed_runs.whole["steps"][0])
    rates = [float(row[names.index("learning_rate")] or 0) for row in rows]
    assert max(rates) > 0  # its schedule knows how long such a run is


# Each is killed while it trains and while it writes a checkpoint, those that are about validation within one.
@pytest.mark.parametrize("case", [case for case in CASES if case != "plain"])  # as the recipes below are
def test_a_killed_and_resumed_run_is_the_run_that_was_left_alone(case: str, killed_runs: KilledRuns):
    first = Kill("validation", nth=2) if "validation" in case else Kill("batch", nth=3)
    assert killed_runs.killed(case, CASES[case], [first, Kill("save", nth=2)], name=f"{case}-killed") == []


# One of each way of training, killed in the middle and, where True, at the end of its epoch, too.
RESUMED = {
    RECIPE: True,
    "action_detection/moving_digits": False,
    "detection/moving_digits": False,
    "generation/moving_digits": True,
    "inpainting/sample_clips": False,
    "inpainting/sttn_youtube_vos": False,
    "scenes/scene_films": False,
    "super_resolution/basicvsr_vimeo90k": False,
    "super_resolution/realbasicvsr_gan_reds": False,
    "super_resolution/sample_clips": True,
}


def way_of_training(recipe: str) -> tuple[Contract, list[str]]:
    """What it chooses that keeps a state beside those of network and optimizer: its task and its callbacks."""
    text = (EXPERIMENTS / f"{recipe}.yaml").read_text()
    return contract(recipe), re.findall(r"override /callbacks: ([^#\n]*[^#\s])", text)


def test_there_is_one_of_each_way_of_training():
    ways = [way_of_training(recipe) for recipe in RESUMED]
    assert [recipe for recipe in RECIPES if way_of_training(recipe) not in ways] == []


@pytest.mark.parametrize("recipe", RESUMED)
def test_every_way_of_training_killed_and_resumed_is_as_left_alone(recipe: str, killed_runs: KilledRuns):
    overrides = ["callbacks.checkpoint.every_n_steps=2", "trainer.max_epochs=1"]
    kills = [Kill("batch", nth=3), *([Kill("test")] if RESUMED[recipe] else [])]
    assert killed_runs.killed(recipe, overrides, kills, recipe=recipe, name=f"{recipe}-killed") == []
