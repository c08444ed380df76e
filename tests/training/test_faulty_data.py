"""Whole runs over data that fails under way: the same for any number of workers, after a kill, and on two ranks."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.training import killing
from tests.training.conftest import checkpoint, command, differences, metrics
from tests.training.killing import KILLED, Kill

pytestmark = pytest.mark.slow
SPOIL = "+callbacks.spoil._target_=tests.runs.spoiling.Spoil"
EACH_STEP = "callbacks.checkpoint.every_n_steps=1"


class Faulty:
    """Runs over data that is whole at the start of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.whole = folder / "data", folder / "whole"

    def run(self, *overrides: str, name: str, kill: Kill | None = None, ranks: int = 1) -> tuple[list[int], str]:
        if self.whole.exists():
            shutil.rmtree(self.data)
            shutil.copytree(self.whole, self.data)  # copy2: times stay, nothing is prepared anew
        (self.folder / "spoiled.txt").unlink(missing_ok=True)
        arguments = command(SPOIL, EACH_STEP, *overrides, run=name)
        return killing.run(*arguments, cwd=self.folder, kill=kill, ranks=ranks)

    def resume(self, name: str) -> tuple[list[int], str]:
        return killing.run("resume", f"runs/{name}", cwd=self.folder)

    def path(self, name: str) -> Path:
        return self.folder / "runs" / name

    def spoiled(self) -> set[str]:
        return set((self.folder / "spoiled.txt").read_text().splitlines())

    def status(self, name: str) -> dict[str, Any]:
        return json.loads((self.path(name) / "status.json").read_text())


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    runs = Faulty(tmp_path_factory.mktemp("faulty"))
    statuses, printed = runs.run("+callbacks.spoil.batches={}", name="makes_the_data")
    assert statuses == [0], printed
    shutil.copytree(runs.data, runs.whole)
    return runs


THREE = ["+callbacks.spoil.batches={1:2,-1:0}", "dataset.max_unreadable=3"]


def test_files_that_fail_are_left_out_counted_and_named(faulty: Faulty) -> None:
    statuses, printed = faulty.run(*THREE, name="three")
    assert statuses == [0], printed
    lost, status = faulty.spoiled(), faulty.status("three")
    assert len(lost) == 3 and set(status["quarantined"]) == lost
    assert status["state"] == "finished"
    assert all(status["quarantined"].values())
    record = json.loads((faulty.path("three") / "provenance.json").read_text())
    assert record["data"]["quarantined"] == status["quarantined"]
    end = printed[printed.index("test (") :]
    assert "of 31 test samples; 3 files are left out" in end
    assert all(name in end for name in lost)
    rows = [row["clips_seen"] for row in _rows(faulty.path("three"))]
    assert max(rows) == 2 * 40 - 2 * 2  # two epochs, two files less in each
    done, said = killing.run("evaluate", "runs/three", "dataset.max_unreadable=9", cwd=faulty.folder)
    assert done == [0] and "30 of 31 videos" in said
    assert {line.split(": ")[1] for line in said.splitlines() if line.startswith("left out: ")} < lost


def _rows(run: Path) -> list[dict[str, float]]:
    from videxp.training.loggers.metrics_file import read_metrics

    return read_metrics(run / "metrics.csv")


def test_by_default_the_first_is_an_error_with_the_checkpoint_before_it(faulty: Faulty) -> None:
    statuses, printed = faulty.run(THREE[0], "callbacks.checkpoint.every_n_steps=1", name="none")
    assert statuses == [1]
    assert "the file has changed since it was prepared" in printed and "dataset.max_unreadable=1" in printed
    assert faulty.status("none")["state"] == "failed"
    assert checkpoint(faulty.path("none"))["seen"]["batches"] == 1


@pytest.mark.parametrize("case", ["workers", "killed"])
def test_it_is_the_same_run_with_workers_and_after_a_kill(case: str, faulty: Faulty) -> None:
    if not faulty.path("three").exists():
        test_files_that_fail_are_left_out_counted_and_named(faulty)
    if case == "workers":
        statuses, printed = faulty.run(*THREE, "hardware.num_workers=2", name=case)
    else:
        # After the batch that failed. Preparing again finds the files unreadable; their numbers must stay theirs.
        statuses, _ = faulty.run(*THREE, name=case, kill=Kill("batch", nth=4))
        assert statuses == [KILLED]
        statuses, printed = faulty.resume(case)
    assert statuses == [0], printed
    whole, run = faulty.path("three"), faulty.path(case)
    assert differences(checkpoint(whole), checkpoint(run)) == []
    assert differences(metrics(whole), metrics(run)) == []
    # Not by the same words where they were found when preparing again.
    assert faulty.status(case)["quarantined"].keys() == faulty.status("three")["quarantined"].keys()


DDP = ["hardware=ddp_cpu", "hardware.num_workers=0", "hardware.timeout_seconds=60"]


def test_two_ranks_keep_step_where_one_has_nothing_left(faulty: Faulty) -> None:
    """Two samples a batch, one a rank: the batch of the file that fails is left out on both."""
    few = ["dataset.batch_size=2", "trainer.limit_train_batches=5", "dataset.eval_batch_size=2"]
    some = ["+callbacks.spoil.batches={2:1,-1:0}", "dataset.max_unreadable=2"]
    statuses, printed = faulty.run(*DDP, *few, *some, name="ddp", ranks=2)
    assert statuses == [0, 0], printed
    assert set(faulty.status("ddp")["quarantined"]) == faulty.spoiled()
    rows = [row["clips_seen"] for row in _rows(faulty.path("ddp"))]
    assert 8 in rows  # after the first epoch, 5 batches of 2, less one batch
    assert "cannot be shared" not in printed


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_two_ranks_come_to_one_verdict_on_a_loss_that_is_infinite_on_one(policy: str, faulty: Faulty) -> None:
    bad = "+callbacks.spoil_loss._target_=tests.runs.spoiling.InfiniteLossOnRank1"
    statuses, printed = faulty.run(
        *DDP, "+callbacks.spoil.batches={}", bad, f"callbacks.nonfinite.policy={policy}", name=policy, ranks=2
    )
    assert "Batch 3 (epoch 1): the loss is NaN or infinite on rank 1; samples: " in printed
    if policy == "stop":
        assert statuses == [1, 1]
        assert "last.ckpt (batch 2)" in printed
        assert checkpoint(faulty.path("stop"))["seen"]["batches"] == 2
        return
    assert statuses == [0, 0], printed
    assert faulty.status("skip")["skipped_steps"] == [3]
    state = checkpoint(faulty.path("skip"))
    assert all(bool(value.isfinite().all()) for value in state["state_dict"].values())
    assert {int(one["step"]) for one in state["optimizer_states"][0]["state"].values()} == {9}  # of 10 batches
