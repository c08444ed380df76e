"""The data module: the same clips whatever the number of workers, and resuming under Lightning's real trainer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader, Dataset

from tests.films import Put, module
from videxp import config
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, VideoDataModule
from videxp.transforms import TrainTransform

pytestmark = pytest.mark.usefixtures("quiet_lightning")


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for i in range(14):
        put(f"train/{('run', 'walk')[i % 2]}/{i:02d}.mp4")
    for i in range(5):
        put(f"val/run/{i}.mp4")
    return tmp_path / "root"


def seen(batch: dict[str, torch.Tensor]) -> tuple:
    pixels = batch["video"] if "video" in batch else batch["clip"].float()
    return tuple(batch["epoch"].tolist()), tuple(batch["index"].tolist()), float(pixels.mean())


class DrawsFromNumpy(Dataset):
    """What most pipelines do: the clip is drawn from the process's generator."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> float:
        return float(np.random.rand())


def test_the_stock_way_gives_other_clips_with_other_numbers_of_workers() -> None:
    def draws(workers: int) -> list[float]:
        np.random.seed(0)
        torch.manual_seed(0)
        return [float(x) for batch in DataLoader(DrawsFromNumpy(), batch_size=2, num_workers=workers) for x in batch]

    assert draws(0) == draws(0)
    assert draws(0) != draws(2)


@pytest.mark.slow
def test_clips_are_the_same_for_any_number_of_workers_and_leave_the_global_generators_alone(
    root: Path, tmp_path: Path
) -> None:
    runs = []
    for workers in (0, 1, 2):
        data = module(tmp_path, FolderPerClass(), num_workers=workers)
        data.prepare()
        torch.manual_seed(workers)
        before = torch.get_rng_state()
        loader = data.train_dataloader()
        runs.append([seen(batch) for _ in range(2) for batch in loader])
        assert torch.equal(torch.get_rng_state(), before)
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) == 6
    assert [epoch[0] for epoch, _, _ in runs[0]] == [0, 0, 0, 1, 1, 1]


def test_a_loader_has_no_more_workers_than_batches(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass(), num_workers=16, batch_size=7, eval_batch_size=5)
    data.prepare()
    assert (data.train_dataloader().num_workers, data.val_dataloader().num_workers) == (2, 1)


def test_a_video_is_never_mixed_with_itself(root: Path, tmp_path: Path) -> None:
    """Where a device had one of a batch's videos, the stock roll by one would do nothing, and say nothing."""
    transform = TrainTransform(size=16, mixup_alpha=0.8, seed=0)
    one, two = (
        module(tmp_path, FolderPerClass(), size=16, train_transform=transform, batch_size=size) for size in (1, 2)
    )
    for data in (one, two):
        data.prepare()
    two.train_dataloader()
    with pytest.raises(BadRequest, match="batch_size=1: a device gets one video"):
        one.train_dataloader()


def test_what_the_data_decides_is_known_after_prepare_and_to_ranks_that_only_set_up(root: Path, tmp_path: Path) -> None:
    rank = module(tmp_path, FolderPerClass())
    with pytest.raises(BadRequest, match="not prepared yet"):
        _ = rank.classes
    with pytest.raises(BadRequest, match=r"is not prepared .*run `videxp prepare` first"):
        rank.setup("fit")
    first = module(tmp_path, FolderPerClass())
    first.prepare()
    rank.setup("fit")
    assert rank.classes == ["run", "walk"]
    assert rank.num_classes == 2
    assert rank.counts == {"train": 14, "val": 5, "test": 5}
    assert rank.fingerprint == first.fingerprint


def test_requests_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="test_clips=3: sampling=segments makes one clip"):
        module(tmp_path, FolderPerClass(), sampling="segments", test_clips=3)
    with pytest.raises(BadRequest, match=r"frame_size=\[112\]: must be \[height, width\]"):
        module(tmp_path, FolderPerClass(), frame_size=[112])


def test_python_and_a_recipe_have_the_same_defaults(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEXP_CACHE", raising=False)
    words = [f"dataset.root={root}", "dataset.name=root"]
    of_recipe: VideoDataModule = config.build(config.compose_dataset("folder_per_class", words).dataset)
    here = VideoDataModule(root=str(root), num_frames=16, size=112, batch_size=32)
    for name in ("name", "clips", "decoding", "loading", "preparing", "batch_size", "eval_batch_size"):
        assert getattr(here, name) == getattr(of_recipe, name), name
    for name in ("train_transform", "eval_transform", "test_transform", "layout"):
        one, other = getattr(here, name), getattr(of_recipe, name)
        assert type(one) is type(other)
        mine, its = ({k: v for k, v in vars(of).items() if k[0] != "_"} for of in (one, other))
        assert mine.pop("ratio", ()) == pytest.approx(its.pop("ratio", ()))  # of ten decimals in YAML
        assert mine == its, name


# ---- under Lightning --------------------------------------------------------------------------------------------


class Watch(LightningModule):
    """One weight, and a record of every batch that a step was taken on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.trained: list[Any] = []
        self.validated: list[int] = []
        self.tested: list[int] = []

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.trained.append(seen(batch))
        return (batch["video"].mean() * self.weight).sum()

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.validated += batch["index"].tolist()

    def test_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.tested += batch["index"].tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveEachBatch(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        trainer.save_checkpoint(self.folder / f"{len(trainer.lightning_module.trained)}.ckpt", weights_only=False)


def trainer(folder: Path, *callbacks: Callback) -> Trainer:
    return Trainer(
        max_epochs=3,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
        default_root_dir=folder,
    )


def fitted(data: VideoDataModule, folder: Path, *callbacks: Callback, checkpoint: Path | None = None) -> Watch:
    model = Watch()
    trainer(folder, *callbacks).fit(model, data, ckpt_path=checkpoint, weights_only=False)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_resumed_training_sees_the_batches_that_uninterrupted_training_saw(
    num_workers: int, root: Path, tmp_path: Path
) -> None:
    """From within an epoch and from its last batch (3 batches an epoch). Stock Lightning starts the epoch over."""

    def data() -> VideoDataModule:
        return module(tmp_path, FolderPerClass(), num_workers=num_workers)

    whole = fitted(data(), tmp_path, SaveEachBatch(tmp_path)).trained
    assert len(whole) == 9
    for batches in (2, 3, 7) if num_workers == 0 else (1, 6, 8):
        resumed = fitted(data(), tmp_path, checkpoint=tmp_path / f"{batches}.ckpt")
        assert resumed.trained == whole[batches:], f"after {batches} batches"


@pytest.mark.slow
def test_a_second_fit_starts_at_the_first_epoch(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass())
    assert fitted(data, tmp_path).trained == fitted(data, tmp_path).trained


@pytest.mark.slow
def test_resuming_with_other_data_or_another_order_is_refused(root: Path, put: Put, tmp_path: Path) -> None:
    fitted(module(tmp_path, FolderPerClass()), tmp_path, SaveEachBatch(tmp_path))
    checkpoint = tmp_path / "2.ckpt"
    with pytest.raises(BadRequest, match="Cannot resume: batch_size of the data was 4, now it is 2"):
        fitted(module(tmp_path, FolderPerClass(), batch_size=2), tmp_path, checkpoint=checkpoint)
    put("train/run/new.mp4")
    with pytest.raises(BadRequest, match="Cannot resume: fingerprint"):
        fitted(module(tmp_path, FolderPerClass()), tmp_path, checkpoint=checkpoint)


@pytest.mark.slow
def test_validation_and_test_see_every_sample_once_in_order(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass(), eval_batch_size=2)
    model = fitted(data, tmp_path)
    trainer(tmp_path).test(model, data, verbose=False)
    assert model.validated == [0, 1, 2, 3, 4] * 3
    assert model.tested == [0, 1, 2, 3, 4]


class Named(torch.nn.Module):
    def __init__(self, name: str, calls: list[str]) -> None:
        super().__init__()
        self.name, self.calls = name, calls

    def forward(self, batch: dict) -> dict:
        self.calls.append(self.name)
        return {**batch, "video": batch["clip"].float()}


@pytest.mark.slow
def test_each_stage_has_its_transform(root: Path, tmp_path: Path) -> None:
    calls: list[str] = []
    train, val, test = (Named(name, calls) for name in ("train", "val", "test"))
    data = module(tmp_path, FolderPerClass(), train_transform=train, eval_transform=val, test_transform=test)
    model = fitted(data, tmp_path)
    trainer(tmp_path).test(model, data, verbose=False)
    assert calls == (["train"] * 3 + ["val"] * 2) * 3 + ["test"] * 2


def test_balanced_batches_have_other_clips_of_a_sample_that_comes_again(put: Put, tmp_path: Path) -> None:
    for path in ("run/0", "walk/0", "walk/1", "walk/2", "walk/3", "walk/4"):
        put(f"train/{path}.mp4")
    put("val/run/0.mp4")
    data = module(tmp_path, FolderPerClass(), batch_size=6, num_frames=2, shuffle="class_balanced")
    data.prepare()
    (batch,) = data.train_dataloader()
    assert sorted(batch["label"].tolist()) == [0, 0, 0, 1, 1, 1]
    again = batch["clip"][batch["label"] == 0].flatten(1)
    assert len({data.dataset("train").path(i) for i in batch["index"][batch["label"] == 0].tolist()}) == 1
    assert len(again.unique(dim=0)) > 1


def test_balanced_batches_need_labels(put: Put, tmp_path: Path) -> None:
    put("train/run/0.mp4")
    put("val/run/0.mp4")
    data = module(tmp_path, FolderPerClass(), batch_size=1, shuffle="class_balanced")
    data.prepare()
    data.dataset("train").class_of[:] = -1
    with pytest.raises(BadRequest, match="shuffle=class_balanced: there are samples without a label"):
        data.train_dataloader()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [None, 2, 0.5])
def test_validations_further_apart_than_an_epoch_is_long_are_refused(limit: float | None, root: Path, tmp_path: Path):
    data = module(tmp_path, FolderPerClass(), batch_size=2, num_frames=2)
    data.prepare()
    longest = {None: 7, 2: 2, 0.5: 3}[limit]
    limits = {} if limit is None else {"limit_train_batches": limit}
    data.trainer = Trainer(val_check_interval=longest, logger=False, **limits)
    assert len(data.train_dataloader()) == 7
    data.trainer = Trainer(val_check_interval=longest + 1, logger=False, **limits)
    with pytest.raises(BadRequest, match=f"={longest + 1} is more than the {longest} batches of an epoch"):
        data.train_dataloader()
