"""What is not trained stays to the bit as it was, BatchNorm's statistics too."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.films import Put, module
from tests.training.small_tasks import trainer
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass
from videxp.models.classification.small import SmallCNN3D
from videxp.tasks import Classification
from videxp.tasks.freezing import rest_frozen, train_only
from videxp.tasks.schedules import Cosine

pytestmark = pytest.mark.filterwarnings("ignore:Found .* in eval mode")  # so it shall be


def task(network: nn.Module | None = None, **options) -> Classification:
    torch.manual_seed(0)
    return Classification(
        network=network or SmallCNN3D(num_classes=2, width=4),
        optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.1),
        scheduler=Cosine(),
        classes=["run", "walk"],
        monitor="val/accuracy",
        **options,
    )


@pytest.fixture
def fitted(put: Put, tmp_path: Path, quiet_lightning):
    """Train a task for two epochs, with a validation in between; returns what changed in the network."""
    for i in range(8):
        put(f"train/{('run', 'walk')[i % 2]}/{i}.mp4")
    put("val/run/0.mp4")

    def fit(task: Classification) -> set[str]:
        before = {name: value.clone() for name, value in task.network.state_dict().items()}
        data = module(tmp_path, FolderPerClass(), batch_size=4)
        data.prepare()
        trainer(tmp_path, epochs=2, log_every_n_steps=1).fit(task, datamodule=data)
        after = task.network.state_dict()
        return {name for name in before if not torch.equal(before[name], after[name])}

    return fit


def test_without_gradients_alone_batchnorm_goes_on_counting(fitted):
    """Negative control: the stock way to freeze."""
    one = task()
    for parameter in one.network.features.parameters():
        parameter.requires_grad_(False)
    changed = fitted(one)
    assert {"features.stem.1.running_mean", "features.conv2.1.num_batches_tracked", "head.weight"} <= changed


def test_a_linear_probe_changes_the_head_alone(fitted):
    one = task(trained=["head"])
    assert fitted(one) == {"head.weight", "head.bias"}
    state = one.trainer.optimizers[0].state_dict()
    assert len(state["state"]) == 2  # of nothing frozen


@pytest.mark.slow
def test_the_last_blocks_are_trained_with_their_norms(fitted):
    changed = fitted(task(trained=["head", r"features\.conv2"]))
    assert {name.rpartition(".")[0] for name in changed} == {"head", "features.conv2.0", "features.conv2.1"}
    assert "features.conv2.1.running_mean" in changed


def test_dropout_drops_in_what_is_trained_and_not_in_what_is_frozen():
    block = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    network = nn.Sequential(block, nn.Dropout(0.5), nn.Linear(2, 2))
    train_only(network, ["2"])
    network.train()
    rest_frozen(network)
    assert [module.training for module in (network, block, block[1], network[1], network[2])] == [
        *(True, False, False),
        *(True, True),
    ]


def test_evaluation_and_training_mode_leave_frozen_parts_alone():
    one = task(trained=["head"])
    one.eval().train()
    assert one.network.head.training and not one.network.features.training
    free = task()
    assert all(module.training for module in free.network.modules())


@pytest.mark.parametrize(
    ("patterns", "trained"),
    [
        (["a"], {"a.weight", "a.bias"}),
        (["blocks.1"], {"blocks.1.weight", "blocks.1.bias"}),  # not blocks.10
        (
            [r"blocks\.(0|10)", "a.bias"],
            {"blocks.0.weight", "blocks.0.bias", "blocks.10.weight", "blocks.10.bias", "a.bias"},
        ),
        ([".*bias"], {"a.bias", *(f"blocks.{i}.bias" for i in range(11))}),
    ],
)
def test_names_are_chosen_by_whole_parts(patterns, trained):
    network = nn.ModuleDict({"a": nn.Linear(1, 1), "blocks": nn.ModuleList([nn.Linear(1, 1) for _ in range(11)])})
    train_only(network, patterns)
    assert {name for name, parameter in network.named_parameters() if parameter.requires_grad} == trained


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("fc", "no parameter of SmallCNN3D is fc; it has features, head"),
        ("hea", "no parameter of SmallCNN3D is hea;"),
        ("(", r"\( is no regular expression"),
    ],
)
def test_a_part_that_is_not_there_is_refused_with_those_that_are(pattern, words):
    with pytest.raises(BadRequest, match=words):
        task(trained=[pattern])
