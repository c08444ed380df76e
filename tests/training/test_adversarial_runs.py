"""A GAN under two processes: the same weights on both, and those of one process with the whole batch."""

from pathlib import Path

import pytest
import torch

from tests.training import killing
from tests.training.conftest import checkpoint, command, metrics

pytestmark = pytest.mark.slow
RECIPE = "generation/moving_digits"
# No clip depends on the others of its batch, and all penalties take part.
STEADY = [
    *("++model.norm=group", "model.noise=0.0", "trainer.max_epochs=1", "trainer.limit_val_batches=0"),
    *("++task.objective.r1_weight=1", "++task.objective.r1_interval=2", "task.objective.path_length_weight=2"),
    *("task.objective.path_length_interval=2", "trainer.log_every_n_steps=1", "trainer.num_sanity_val_steps=0"),
    "+callbacks.hashes._target_=tests.training.watching.Hashes",
    *("optimizer=sgd", "optimizer.lr=0.01", "~optimizer.betas", "callbacks.checkpoint.monitor=val/recall"),
]


def run(workspace: Path, name: str, *overrides: str, ranks: int = 1) -> tuple[list[int], str]:
    arguments = command(*STEADY, *overrides, run=name, recipe=RECIPE, cwd=workspace)
    return killing.run(*arguments, cwd=workspace, ranks=ranks)


@pytest.fixture(scope="module")
def two(workspace: Path) -> Path:
    (workspace / "hashes.txt").unlink(missing_ok=True)
    statuses, printed = run(workspace, "gan-two", "hardware=ddp_cpu", "hardware.num_workers=0", ranks=2)
    assert statuses == [0, 0], printed
    return workspace / "runs/gan-two"


def test_two_processes_learn_what_one_learns_from_the_whole_batch(two: Path, workspace: Path):
    statuses, printed = run(workspace, "gan-one")
    assert statuses == [0], printed
    one = workspace / "runs/gan-one"
    a, b = (checkpoint(path)["state_dict"] for path in (one, two))
    assert any(name.startswith("average.") for name in a)
    for name, value in a.items():
        torch.testing.assert_close(b[name], value, rtol=1e-3, atol=1e-5, msg=name)
    rows = [[line for line in metrics(path) if "val/" not in line] for path in (one, two)]
    names = rows[0][0]
    for name in ("train/loss", "train/loss_discriminator", "train/r1", "train/path_length"):
        of_one, of_two = ([float(row[names.index(name)] or 0) for row in table[1:6]] for table in rows)
        assert of_two == pytest.approx(of_one, rel=1e-3), name
        assert any(of_one)


def test_both_have_the_same_weights(two: Path, workspace: Path):
    """A checkpoint alone would tell of rank 0."""
    found = dict(line.split() for line in (workspace / "hashes.txt").read_text().splitlines()[:2])
    assert set(found) == {"0", "1"} and len(set(found.values())) == 1


def test_the_stock_backward_fails_under_two_processes(workspace: Path):
    overrides = [
        "hardware=ddp_cpu",
        "hardware.num_workers=0",
        "task._target_=tests.training.two_optimizers.StockBackward",
    ]
    statuses, printed = run(workspace, "gan-stock", *overrides, ranks=2)
    assert statuses != [0, 0]
    assert "reduction" in printed
