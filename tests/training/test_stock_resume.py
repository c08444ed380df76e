"""What the tests of `test_resume.py` ask for, asked of Lightning as it comes: it fails them."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.training.conftest import differences


class Stock(LightningModule):
    """A network with dropout on shuffled data: nothing unusual."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.seen: list[list[float]] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.seen.append(batch[0][:, 0].tolist())
        return self.net(batch[0]).square().mean()

    def train_dataloader(self) -> DataLoader:
        data = TensorDataset(torch.arange(40.0).unsqueeze(1).expand(40, 4))
        return DataLoader(data, batch_size=4, shuffle=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fitted(folder: Path, *, checkpoint: Path | None = None) -> Stock:
    seed_everything(0, verbose=False)
    keep_all = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        callbacks=[keep_all],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Stock()
    trainer.fit(model, ckpt_path=checkpoint, weights_only=True)
    return model


def test_stock_lightning_resumes_to_other_weights_from_every_checkpoint_within_an_epoch(tmp_path: Path):
    whole = fitted(tmp_path / "whole")
    again = fitted(tmp_path / "again")
    assert differences(dict(whole.state_dict()), dict(again.state_dict())) == []  # the runs can be compared
    for step in (3, 8, 14):
        resumed = fitted(tmp_path / "resumed", checkpoint=tmp_path / f"whole/step={step}.ckpt")
        assert differences(dict(whole.state_dict()), dict(resumed.state_dict()))
        assert resumed.seen != whole.seen[step:]
