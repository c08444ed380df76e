"""Whatever is wrong with a batch, its samples are named, in at most three lines."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.films import Plain, Put, module
from tests.training.small_tasks import Constant, Mean, trainer
from videxp.core.errors import BadRequest, VidexpError
from videxp.data import FolderPerClass, VideoDataModule
from videxp.tasks import Classification

pytestmark = pytest.mark.usefixtures("quiet_lightning")


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for i in range(6):
        put(f"train/{'abc'[i % 3]}/{i}.mp4")
    put("val/c/0.mp4")
    return tmp_path / "root"


class Pooled(nn.Module):
    """float [B,T,C,H,W] -> [B,outputs], or what `shape` makes of it."""

    def __init__(self, outputs: int, *, rows: int | None = None) -> None:
        super().__init__()
        self.layer, self.rows = nn.Linear(3, outputs), rows

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return self.layer(video.mean((1, 3, 4)))[: self.rows]


def classification(network: nn.Module, data: VideoDataModule) -> Classification:
    return Classification(
        network=network,
        optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1),
        scheduler=Constant(),
        classes=data.classes,
        monitor="val/accuracy",
    )


def error_of(network: nn.Module, tmp_path: Path, *, evaluating: bool = False, **changes: Any) -> str:
    data = module(tmp_path, FolderPerClass(), **{"batch_size": 6, **changes})
    data.prepare()
    task = classification(network, data)
    with pytest.raises(VidexpError) as caught:
        trainer(tmp_path).validate(task, data) if evaluating else trainer(tmp_path).fit(task, data)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    return message


def test_torch_alone_names_no_file() -> None:
    with pytest.raises(IndexError, match="Target 2 is out of bounds") as caught:
        nn.functional.cross_entropy(torch.zeros(1, 2), torch.tensor([2]))
    assert "mp4" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("evaluating", [False, True])
def test_labels_beyond_the_networks_scores_name_their_samples(evaluating: bool, root: Path, tmp_path: Path) -> None:
    message = error_of(Pooled(2), tmp_path, evaluating=evaluating)
    assert message.startswith(
        "The network gives 2 scores for a clip, the data has 3 classes; samples outside: such as "
    )
    outside = ["val/c/0.mp4"] if evaluating else ["train/c/2.mp4", "train/c/5.mp4"]
    assert all(name in message for name in outside)
    assert "train/a/0.mp4" not in message


def test_more_scores_than_classes_and_fewer_rows_than_clips(root: Path, tmp_path: Path) -> None:
    assert "gives 400 scores for a clip, the data has 3 classes\n" in error_of(Pooled(400), tmp_path)
    message = error_of(Pooled(3, rows=4), tmp_path)
    assert "gives [4, 3] where [6 clips or a multiple, 3 classes]" in message
    assert "train/" in message and "and 2 more" in message


class FirstFrame(Plain):
    """A transform that forgets the time axis."""

    def forward(self, batch: dict) -> dict:
        batch = super().forward(batch)
        return {**batch, "video": batch["video"][:, 0]}


def test_a_transforms_wrong_shape_names_the_batch(root: Path, tmp_path: Path) -> None:
    message = error_of(Pooled(3), tmp_path, train_transform=FirstFrame())
    assert message.startswith("IndexError: Dimension out of range")
    assert "In a train batch of train/" in message
    assert "video [6, 3, 24, 32]" in message


def test_what_is_not_the_batchs_fault_passes(root: Path, tmp_path: Path) -> None:
    class OutOfMemory(Mean):
        def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        trainer(tmp_path).fit(OutOfMemory(), module(tmp_path, FolderPerClass()))


class TooFewClasses(FolderPerClass):
    """An own layout whose list of classes lacks one."""

    def classes(self, root: Path, labels: Any) -> list[str]:
        return ["a", "b"]


def test_a_layouts_labels_that_are_no_classes_are_named_when_preparing(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"3 samples have a label that is none of 2 classes: .*train/c/2.mp4 \(c\)"):
        module(tmp_path, TooFewClasses()).prepare()
