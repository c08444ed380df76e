"""NaN and infinite losses and gradients: no weight changes, the samples are named, the run stops or goes on without."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from tests.films import Put, module
from tests.training.small_tasks import Mean, trainer
from videxp.core.errors import VidexpError
from videxp.data import FolderPerClass, VideoDataModule
from videxp.runs.folder import RunFolder
from videxp.training.callbacks.checkpoint import Checkpoint
from videxp.training.callbacks.nonfinite import NonFinite
from videxp.training.callbacks.step_metrics import StepMetrics

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet_lightning")]

KINDS = ["loss", "gradient", "activations"]


@pytest.fixture
def data(put: Put, tmp_path: Path) -> VideoDataModule:
    for i in range(8):
        put(f"train/{('run', 'walk')[i % 2]}/{i}.mp4")
    put("val/run/0.mp4")
    return module(tmp_path, FolderPerClass(), batch_size=2)


def finite(task: Mean) -> bool:
    return all(bool(value.isfinite().all()) for value in task.network.state_dict().values())


@pytest.mark.parametrize("kind", KINDS)
def test_stock_lightning_poisons_the_weights_and_says_nothing(kind: str, data: VideoDataModule, tmp_path: Path) -> None:
    task = Mean(bad={2: kind})
    trainer(tmp_path).fit(task, data)
    assert task.batches_seen == 4
    assert not finite(task)


def test_huge_is_finite(data: VideoDataModule, tmp_path: Path) -> None:
    """The norm of such gradients is not."""
    task = Mean(bad={2: "huge"})
    trainer(tmp_path, NonFinite()).fit(task, data)
    assert task.batches_seen == 4


@pytest.mark.parametrize("kind", KINDS)
def test_stop_is_at_the_batch_with_its_samples_and_the_weights_as_they_were(
    kind: str, data: VideoDataModule, tmp_path: Path
) -> None:
    task = Mean(bad={3: kind})
    with pytest.raises(VidexpError) as caught:
        trainer(tmp_path, NonFinite()).fit(task, data)
    message = str(caught.value)
    named = {str(data.dataset("train").columns["path"][i]) for i in _indices_of_batch(data, 2)}
    assert message.startswith("Batch 3 (epoch 1): " + ("gradients are" if kind == "gradient" else "the loss is"))
    assert all(name in message for name in named)
    assert "There is no checkpoint yet" in message and len(message.splitlines()) <= 3
    state = task.network.state_dict()
    assert all(torch.equal(state[f"1.{name}"], task.states[2][f"1.{name}"]) for name in ("weight", "bias"))


def _indices_of_batch(data: VideoDataModule, number: int) -> list[int]:
    from videxp.data.loading.sampler import epoch_order

    return epoch_order(8, seed=0, epoch=0)[2 * number : 2 * number + 2].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_skip_leaves_the_step_out_with_momentum_decay_and_statistics(
    kind: str, data: VideoDataModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    callback, task = NonFinite(policy="skip", limit=2), Mean(bad={2: kind, 3: kind})
    callback.run = RunFolder(tmp_path)
    trainer(tmp_path, callback).fit(task, data)
    assert callback.skipped == [2, 3]
    assert finite(task)
    before, after = task.states[1], task.states[3]
    assert all(torch.equal(before[name], after[name]) for name in before)
    weight = task.network[1].weight
    assert int(task.trainer.optimizers[0].state[weight]["step"]) == 2
    assert RunFolder(tmp_path).status()["skipped_steps"] == [2, 3]
    assert "left out (2 of at most 2)" in capsys.readouterr().out


def test_one_more_than_the_limit_is_an_error(data: VideoDataModule, tmp_path: Path) -> None:
    task = Mean(bad={1: "loss", 2: "loss", 3: "loss"})
    with pytest.raises(VidexpError, match=r"Batch 3 .*\n.*limit=2, after those of batches 1, 2"):
        trainer(tmp_path, NonFinite(policy="skip", limit=2)).fit(task, data)


def test_one_bad_batch_spoils_its_whole_accumulated_step_and_no_other(data: VideoDataModule, tmp_path: Path) -> None:
    callback, task = NonFinite(policy="skip"), Mean(bad={1: "loss"})
    trainer(tmp_path, callback, accumulate_grad_batches=2).fit(task, data)
    assert callback.skipped == [2]  # the batch that would have ended the step
    assert finite(task)
    assert not torch.equal(task.network.state_dict()["1.weight"], task.states[2]["1.weight"])


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_a_fused_optimizer_is_gated_on_its_device_and_asked_later(
    policy: Any, data: VideoDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU; the CPU's fused kernel looks at the same flag. Read when metrics are due: at the epoch's end."""
    monkeypatch.setattr(NonFinite, "_gates_itself", staticmethod(lambda *_: True))
    callback = NonFinite(policy=policy)
    task = Mean(bad={2: "activations"}, optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.1, fused=True))
    if policy == "skip":
        trainer(tmp_path, callback).fit(task, data)
        assert callback.skipped == [2]
    else:
        with pytest.raises(VidexpError, match=r"Batch 2 .*the loss is NaN"):
            trainer(tmp_path, callback).fit(task, data)
    assert len(task.states) == 4
    assert all(torch.equal(task.states[1][name], task.states[2][name]) for name in ("1.weight", "1.bias"))
    assert bool(task.network.state_dict()["1.weight"].isfinite())


def test_a_resumed_run_has_skipped_what_it_had(data: VideoDataModule, tmp_path: Path) -> None:
    def fitted(folder: Path, bad: dict[int, str], *, epochs: int, checkpoint: Path | None = None) -> tuple[Any, Mean]:
        callback, saves, task = NonFinite(policy="skip"), Checkpoint(monitor="val/error"), Mean(bad=bad)
        saves.folder = folder
        one = trainer(tmp_path, callback, saves, epochs=epochs)
        one.fit(task, data, ckpt_path=checkpoint, weights_only=True)
        return callback, task

    bad = {2: "loss", 6: "gradient"}
    whole, task = fitted(tmp_path / "a", bad, epochs=2)
    fitted(tmp_path / "b", bad, epochs=1)
    resumed, other = fitted(tmp_path / "b", bad, epochs=2, checkpoint=tmp_path / "b/last.ckpt")
    assert whole.skipped == resumed.skipped == [2, 6]
    ours, theirs = task.network.state_dict(), other.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_metrics_show_where_it_was(data: VideoDataModule, tmp_path: Path) -> None:
    """A mean over steps of which one was NaN is NaN: the curve breaks there, and goes on."""
    task, metrics = Mean(bad={2: "loss"}), StepMetrics()
    trainer(tmp_path, NonFinite(policy="skip"), metrics, epochs=2).fit(task, data)
    assert torch.tensor(metrics.latest["train/loss"]).isfinite()


# ---- a metric that is NaN ----------------------------------------------------------------------------------------


def test_stock_lightning_keeps_a_nan_metric_as_the_best(data: VideoDataModule, tmp_path: Path) -> None:
    task = Mean()
    task.errors = [float("nan")]
    saves = ModelCheckpoint(dirpath=tmp_path / "stock", monitor="val/error", mode="min")
    trainer(tmp_path, saves).fit(task, data)
    assert saves.best_model_path


def test_ours_never_does_and_says_so(data: VideoDataModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, nan = Mean(), float("nan")
    task.errors = [nan, 0.5, nan, 0.7]
    saves = Checkpoint(monitor="val/error")
    saves.folder = tmp_path
    trainer(tmp_path, saves, epochs=4).fit(task, data)
    assert (saves.best_score, saves.best_epoch) == (0.5, 1)
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == 1
    printed = capsys.readouterr().out
    assert "val/error is NaN after epoch 1: there is no best checkpoint yet" in printed
    assert "val/error is NaN after epoch 3: epoch 2 stays best" in printed
