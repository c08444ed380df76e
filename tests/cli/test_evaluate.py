"""`videxp evaluate` counts each sample once: one number for any batch size, number of processes and recipe."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from safetensors.torch import load_file
from torchmetrics import MeanMetric

from tests import forked
from tests.conftest import clean_environment, train, videxp
from videxp.runs.weights import read_checkpoint, weights_hash
from videxp.training.loggers.metrics_file import last_values, read_metrics


class Mean(LightningModule):
    """Prints the mean of what it is tested on."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = MeanMetric()

    def test_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.mean.update(batch)

    def on_test_epoch_end(self) -> None:
        value = self.mean.compute()
        if self.trainer.is_global_zero:
            print("mean", float(value), flush=True)


def print_mean_of_five() -> None:
    """Five values on two ranks: 0, 1, 2, 3, 94, whose mean is 20."""
    values = torch.tensor([0.0, 1.0, 2.0, 3.0, 94.0])
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.test(Mean(), torch.utils.data.DataLoader(values, batch_size=1), verbose=False)


def evaluate(run: Path, *arguments: str, cwd: Path) -> dict[str, Any]:
    done = videxp("evaluate", str(run), "--json", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def predictions(run: Path, split: str = "test") -> list[dict[str, str]]:
    with (run / f"predictions{'' if split == 'test' else '_' + split}.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_lightnings_padded_sampler_gives_another_number(tmp_path: Path):
    """The negative control: two of five samples are counted twice on two ranks, or one is."""
    printed = forked.call(print_mean_of_five, cwd=tmp_path, environment=clean_environment(tmp_path))
    (line,) = [line for line in printed.splitlines() if line.startswith("mean")]
    assert abs(float(line.split()[1]) - 20) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "count"), [("classification/moving_digits_2d", 31), ("super_resolution/sample_clips", 11)]
)
def test_one_number_for_one_and_two_processes_and_any_batch_size(recipe: str, count: int, workplace: Path):
    run = train("logger=csv", "trainer=quick", cwd=workplace, run=f"runs/evaluate/{recipe}", recipe=recipe)
    one = evaluate(run, "hardware=cpu", "hardware.num_workers=0", cwd=workplace)
    rows = predictions(run)
    assert [int(row["index"]) for row in rows] == list(range(count))  # all of them, though the run was cut short
    # 9 over two ranks is 5 and 4; the last batch of 31 = 3 * 9 + 4 is 2 and 2, that of 11 is 1 and 1.
    two = evaluate(run, "hardware=ddp_cpu", "hardware.num_workers=0", "dataset.eval_batch_size=9", cwd=workplace)
    assert (one["world_size"], two["world_size"]) == (1, 2)
    assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-5)
    for name in one["metrics"]:
        if "accuracy" in name:
            assert one["metrics"][name] == two["metrics"][name]
    assert one["weights"] == two["weights"]
    for name in ("calibration", "slices", "confusions", "views"):
        assert two[name] == near(one[name]), name
    again = predictions(run)
    assert [row["path"] for row in again] == [row["path"] for row in rows]
    assert len({row["path"] for row in again}) == count
    for before, after in zip(rows, again):
        for name in before.keys() - {"path", "label", "predicted"}:
            assert float(after[name]) == pytest.approx(float(before[name]), rel=1e-4)
        assert before.get("predicted") == after.get("predicted")


@pytest.mark.slow
def test_any_split_can_be_evaluated_and_val_is_what_training_logged(finished, workplace: Path):
    run, _ = finished
    val = evaluate(run, "--split", "val", "dataset.eval_batch_size=7", cwd=workplace)
    best = torch_best(run)
    rows = [row for row in read_metrics(run / "metrics.csv") if "val/loss" in row and row["step"] == best]
    assert val["metrics"]["val/accuracy"] == rows[0]["val/accuracy"]
    assert val["metrics"]["val/loss"] == pytest.approx(rows[0]["val/loss"], rel=1e-5)
    assert len(predictions(run, "val")) == val["data"]["clips"] == 20
    assert all("/val/" in row["path"] for row in predictions(run, "val"))
    on_train = evaluate(run, "--split", "train", cwd=workplace)
    assert on_train["data"]["clips"] == len({row["path"] for row in predictions(run, "train")}) == 40
    on_test = evaluate(run, cwd=workplace)
    logged = last_values(read_metrics(run / "metrics.csv"))
    assert on_test["metrics"]["test/accuracy"] == logged["test/accuracy"]
    assert on_test["data"]["fingerprint"] == val["data"]["fingerprint"]


def near(value: Any) -> Any:
    """The same but for the last digits of its numbers."""
    if isinstance(value, dict):
        return {name: near(part) for name, part in value.items()}
    if isinstance(value, list):
        return [near(part) for part in value]
    return pytest.approx(value, rel=1e-3, abs=1e-4) if isinstance(value, float) else value


def torch_best(run: Path) -> int:
    """After how many batches best.ckpt was written."""
    return int(read_checkpoint(run / "checkpoints/best.ckpt")["seen"]["batches"])


@pytest.mark.slow
def test_exported_weights_are_the_networks_bit_for_bit_and_can_be_loaded_by_name(finished, workplace: Path):
    run, _ = finished
    done = videxp("export", str(run), "--format", "safetensors", "-o", "out/weights.safetensors", cwd=workplace)
    assert done.returncode == 0, done.stderr
    weights = load_file(workplace / "out/weights.safetensors")
    state = read_checkpoint(run / "checkpoints/best.ckpt")["state_dict"]
    network = {name.removeprefix("network."): t for name, t in state.items() if name.startswith("network.")}
    assert weights_hash(weights) == weights_hash(network)
    assert weights_hash(weights) in done.stdout

    from videxp.models.classification.small import SmallCNN3D
    from videxp.models.weights import load_weights

    fresh = SmallCNN3D(num_classes=10)
    load_weights(fresh, str(workplace / "out/weights.safetensors"), head="head")
    assert weights_hash(fresh.state_dict()) == weights_hash(network)
    refused = videxp("export", str(run), "--format", "pickle", cwd=workplace)
    assert refused.returncode == 2 and "safetensors" in refused.stderr
