"""Files that can no longer be read: left out up to a limit, never replaced, for any number of workers, for good."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

from tests.films import Put, module
from tests.training.small_tasks import Mean, trainer
from videxp.core.contract import Contract
from videxp.core.errors import BadRequest, VidexpError
from videxp.data import FolderPerClass, VideoDataModule
from videxp.data.left_out import lost_classes
from videxp.training.callbacks.checkpoint import Checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet_lightning")]


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for i in range(12):
        put(f"train/{('run', 'walk')[i % 2]}/{i:02d}.mp4")
    for i in range(5):
        put(f"val/run/{i}.mp4")
    return tmp_path / "root"


def damage(file: Path) -> None:
    """Bits in the middle change; size and name stay."""
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(255 - byte for byte in content[middle : middle + 200])
    file.write_bytes(content)


def prepared(tmp_path: Path, **changes: object) -> VideoDataModule:
    data = module(tmp_path, FolderPerClass(), **changes)
    data.prepare()
    return data


@pytest.mark.slow
def test_the_first_samples_that_can_be_read_are_found_outside_of_any_loop(root: Path, tmp_path: Path) -> None:
    data, lost, strict = (prepared(tmp_path, max_unreadable=limit) for limit in (2, 9, 0))
    damage(root / "val/run/0.mp4")
    damage(root / "val/run/2.mp4")
    with pytest.raises(VidexpError, match=r"0\.mp4"):  # what they would be read with otherwise
        data.read("val", [0])
    assert data.readable("val", count=2) == [1, 3]
    assert data.readable("val", count=9) == [1, 3, 4]
    assert data.missing.keys() == {"val/run/0.mp4", "val/run/2.mp4"}
    with pytest.raises(VidexpError, match=r"0\.mp4(.|\n)*\nMend it, or go on without it: dataset\.max_unreadable=1$"):
        strict.readable("val", count=2)
    for i in (1, 3, 4):
        damage(root / f"val/run/{i}.mp4")
    with pytest.raises(VidexpError, match="none of its 5 val videos can be read"):
        lost.readable("val", count=1)


class Clips(Mean):
    """Several of each video."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        every = len(batch["video"]) // len(batch["label"])
        return super().training_step({**batch, "video": batch["video"][::every]}, batch_idx)


class RandomOther(Dataset[int]):
    """What most pipelines do with a file that fails: another one in its place."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> int:
        return index if index != 2 else self[(index + 1) % 6]


def test_the_stock_way_counts_another_sample_twice_and_says_nothing() -> None:
    assert [int(i) for batch in DataLoader(RandomOther(), batch_size=2) for i in batch] == [0, 1, 3, 3, 4, 5]


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_are_shorter_by_what_cannot_be_read(num_workers: int, root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, max_unreadable=2, num_workers=num_workers)
    whole = [batch["index"].tolist() for batch in data.train_dataloader()]
    (root / "train/run/00.mp4").unlink()  # index 0
    damage(root / "train/walk/01.mp4")  # index 6: run comes before walk
    batches = list(data.train_dataloader())
    assert [b["index"].tolist() for b in batches] == [[i for i in indices if i not in (0, 6)] for indices in whole]
    assert all(len(b["clip"]) == len(b["label"]) == len(b["index"]) for b in batches)
    assert set(data.quarantine.causes) == {"train/run/00.mp4", "train/walk/01.mp4"}
    assert "changed or gone" in data.quarantine.causes["train/run/00.mp4"]
    assert "failures" not in batches[0]


def test_one_file_more_than_allowed_is_an_error_that_says_how_many_there_are(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, max_unreadable=1)
    for name in ("run/00", "walk/01"):
        (root / f"train/{name}.mp4").unlink()
    with pytest.raises(VidexpError, match=r"(?s)train/.*cannot decode.*max_unreadable=2 \(2 files") as caught:
        list(data.train_dataloader())
    assert len(str(caught.value).splitlines()) <= 3


def test_by_default_none_may_be_missing(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path)
    damage(root / "val/run/0.mp4")
    with pytest.raises(VidexpError, match=r"(?s)^[^\n]*val/run/0\.mp4.*go on without it: dataset\.max_unreadable=1$"):
        list(data.val_dataloader())


@pytest.mark.slow
def test_chosen_samples_come_in_their_order_as_many_at_once_as_in_an_evaluation(root: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, max_unreadable=1, eval_batch_size=2)
    chosen = data.chosen_loader("val", [4, 0, 3])
    for _ in range(2):  # it can be gone over again
        assert [batch["index"].tolist() for batch in chosen] == [[4, 0], [3]]
    damage(root / "val/run/0.mp4")
    assert [batch["index"].tolist() for batch in chosen] == [[4], [3]]
    data.quarantine.settle()
    assert list(data.quarantine.causes) == ["val/run/0.mp4"]
    damage(root / "val/run/3.mp4")
    with pytest.raises(VidexpError, match=r"(?s)val/run/3\.mp4.*max_unreadable=2 \(2 files"):
        list(chosen)


def test_what_prepare_left_out_counts_too(root: Path, put: Put, tmp_path: Path) -> None:
    put("train/run/bad.mp4", of="broken.mp4")
    data = prepared(tmp_path, max_unreadable=1)
    assert data.coverage("train") == (12, 13)
    (root / "train/run/00.mp4").unlink()
    with pytest.raises(VidexpError, match=r"max_unreadable=2"):
        list(data.train_dataloader())


def test_a_file_that_comes_back_stays_out_and_so_it_does_after_a_resume(root: Path, tmp_path: Path) -> None:
    data, file = prepared(tmp_path, max_unreadable=1), root / "train/run/00.mp4"
    content = file.read_bytes()
    file.unlink()
    list(data.train_dataloader())
    file.write_bytes(content)
    assert 0 not in [i for batch in data.train_dataloader() for i in batch["index"].tolist()]
    resumed = prepared(tmp_path, max_unreadable=1)
    resumed.load_state_dict(data.state_dict())
    assert 0 not in [i for batch in resumed.train_dataloader() for i in batch["index"].tolist()]
    assert resumed.quarantine.causes == data.quarantine.causes


def test_an_evaluation_passes_over_what_fails_and_says_n_of_m(root: Path, tmp_path: Path) -> None:
    data, task = prepared(tmp_path, max_unreadable=2, eval_batch_size=1), Mean()
    (root / "val/run/3.mp4").unlink()
    trainer(tmp_path).validate(task, data, verbose=False)
    assert task.evaluated["val"] == [0, 1, 2, 4]
    assert list(data.quarantine.causes) == ["val/run/3.mp4"]
    assert data.coverage("val") == (4, 5)
    assert data.coverage("train") == (12, 12)


def test_a_batch_of_which_nothing_is_left_is_no_step(root: Path, tmp_path: Path) -> None:
    """Not even one of momentum and weight decay, which a zero gradient would be."""

    data, task = prepared(tmp_path, batch_size=2, max_unreadable=2), Mean()
    third = list(data.train_dataloader())[2]["index"]
    for index in third.tolist():
        data.dataset("train").path(index).unlink()
    trainer(tmp_path).fit(task, data)
    assert (task.batches_seen, task.clips_seen) == (6, 10)
    assert len(task.states) == 5  # training_step was called so often
    weight = task.network[1].weight
    assert int(task.trainer.optimizers[0].state[weight]["step"]) == 5


def test_clips_are_counted_not_videos(root: Path, tmp_path: Path) -> None:
    """Three clips of each of twelve videos; of one of them nothing can be read."""
    data, task = prepared(tmp_path, batch_size=4, clips_per_video=3, max_unreadable=1), Clips()
    (root / "train/run/00.mp4").unlink()
    trainer(tmp_path).fit(task, data)
    assert (task.batches_seen, task.clips_seen) == (3, 33)


@pytest.mark.slow
def test_an_empty_split_and_fewer_samples_than_processes_are_refused_before_training(
    root: Path, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(tmp_path)
    monkeypatch.setattr(type(data), "_ranks", lambda self: (0, 6))
    with pytest.raises(BadRequest, match="5 val samples for 6 processes: use fewer"):
        data.setup("fit")
    monkeypatch.undo()
    for i in range(5):
        put(f"val/run/{i}.mp4", of="broken.mp4")
    data = prepared(tmp_path, max_unreadable=5)
    told = r"none of its 5 val videos can be read: val/run/0.mp4: truncated.* and 2 more\n.*limit_val_batches=0$"
    with pytest.raises(BadRequest, match=told):
        trainer(tmp_path).fit(Mean(), data)
    trainer(tmp_path, limit_val_batches=0, limit_test_batches=0).fit(Mean(), data)  # the remedies: val is test here


class Accuracy(Mean):
    """Judged by torchmetrics, of which a metric that has seen nothing is 0."""

    contract: ClassVar[Contract] = Contract(metrics={"accuracy": "max"})

    def evaluation_metrics(self, split: Any) -> dict[str, Tensor]:
        return {"accuracy": MulticlassAccuracy(2, average="micro").compute()}


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_an_evaluation_of_nothing_gives_no_figure_and_no_best_checkpoint(root: Path, tmp_path: Path) -> None:
    assert MulticlassAccuracy(2, average="micro").compute() == 0  # the stock way
    data, task, saved = prepared(tmp_path, max_unreadable=5), Accuracy(), Checkpoint(monitor="val/accuracy")
    task.monitor, saved.folder = "val/accuracy", tmp_path / "checkpoints"
    for file in root.glob("val/run/*"):
        file.unlink()
    loop = trainer(tmp_path, saved)
    with pytest.raises(VidexpError, match=r"none of its 5 val videos can be read: val/run/0.mp4: the file has changed"):
        loop.fit(task, data)
    assert "val/accuracy" not in loop.callback_metrics and not list(tmp_path.glob("checkpoints/*"))


def test_a_metric_that_these_samples_do_not_define_stops_what_is_chosen_by_it(root: Path, tmp_path: Path) -> None:
    task = Mean()
    task.monitor = "val/mAP"
    said = "val/mAP cannot be measured .*they do not define it\nMend .* or go by another metric: task.monitor=val/error"
    with pytest.raises(VidexpError, match=said):
        trainer(tmp_path).fit(task, prepared(tmp_path))


@pytest.mark.slow
def test_a_part_of_the_validation_is_counted_as_one(root: Path, put: Put, tmp_path: Path) -> None:
    for i in range(5):
        put(f"val/walk/{i}.mp4")
    data, task = prepared(tmp_path, eval_batch_size=2), Mean()
    loop = trainer(tmp_path, limit_val_batches=2)
    assert data.part_text("val", loop).startswith("4 of 10 val videos, spread evenly")
    assert data.part_text("test", loop) == ""
    loop.validate(task, data, verbose=False)
    assert task.evaluated["val"] == [1, 3, 6, 8] and data.seen["val"] == (4, 10)  # two of each class
    few = trainer(tmp_path, limit_val_batches=0.1)
    with pytest.raises(BadRequest, match=r"limit_val_batches=0.1 of 5 batches is none: .*=1, or 0.2 or more$"):
        few.validate(task, data, verbose=False)


@pytest.mark.slow
def test_a_class_of_which_no_training_video_is_left_is_named(root: Path, put: Put, tmp_path: Path) -> None:
    for i in range(1, 12, 2):
        put(f"train/walk/{i:02d}.mp4", of="broken.mp4")
    data = prepared(tmp_path, max_unreadable=7)
    (told,) = lost_classes(data.manifest, data.missing)
    assert told.startswith("class walk is trained without an example: none of its 6 train videos can be read: ")
    assert "train/walk/01.mp4: truncated" in told and "and 3 more; mend them" in told
    data.quarantine.causes |= {f"val/run/{i}.mp4": "gone" for i in range(5)}
    assert [text.partition(":")[0] for text in lost_classes(data.manifest, data.missing)] == [
        *("class walk is trained without an example", "class run counts nothing in val"),
        "class run counts nothing in test",  # which is val here
    ]
    put("train/walk/01.mp4")
    again = prepared(tmp_path, max_unreadable=7)
    assert again.missing and not list(lost_classes(again.manifest, again.missing))


def test_clips_of_two_sizes_in_a_batch_are_named(root: Path, put: Put, tmp_path: Path) -> None:
    data = prepared(tmp_path)
    dataset = data.dataset("train")
    put("train/run/02.mp4", of="wide.mp4")
    for name, column in dataset.columns.items():  # as an own data set that forgets to look would have it
        if name == "size_bytes":
            column[1] = dataset.path(1).stat().st_size
        elif name == "width":
            column[1] = 64
        elif name == "packets_size":  # whose checksums would tell
            column[1] = 0
    with pytest.raises(VidexpError, match=r"run/0\d.mp4 and .*02.mp4|02.mp4 and .*mp4 cannot form a batch") as caught:
        list(data.train_dataloader())
    assert "set dataset.decoding.frame_size" in str(caught.value)
