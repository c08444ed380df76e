"""Memory of a training step, predicted without taking it: against what real tensors hold, and torch's own tracker."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed._tools.mem_tracker import MemTracker

from videxp.core.private_torch import HeldBytes, StoragelessTensors
from videxp.losses import L1
from videxp.models.classification.small import SmallCNN3D
from videxp.models.restoration.srresnet import SRResNet
from videxp.tasks import Classification, Restoration, VideoTask
from videxp.tasks.schedules import Constant
from videxp.training.memory import StepMemory, memory_lines, step_memory

RANDOM = torch.Generator().manual_seed(0)
VIDEO = torch.rand(4, 8, 3, 32, 32, generator=RANDOM)


def classification(**parts: Any) -> tuple[VideoTask, dict[str, Tensor]]:
    network = SmallCNN3D(num_classes=3)
    task = Classification(network=network, classes=["a", "b", "c"], monitor="val/accuracy", **PARTS | parts)
    return task, {"video": VIDEO, "label": torch.tensor([0, 2, 1, 0]), "index": torch.arange(4)}


def restoration(**parts: Any) -> tuple[VideoTask, dict[str, Tensor]]:
    network = SRResNet(scale=2, channels=8, blocks=2)
    task = Restoration(network=network, losses={"l1": L1()}, **PARTS | parts)
    return task, {"video": VIDEO[..., ::2, ::2].contiguous(), "target": VIDEO, "index": torch.arange(4)}


PARTS: dict[str, Any] = {"optimizer": partial(torch.optim.AdamW, lr=0.1), "scheduler": Constant()}
SGD: dict[str, Any] = {"optimizer": partial(torch.optim.SGD, lr=0.1, foreach=False)}


def real_peak(task: VideoTask, batch: dict[str, Tensor]) -> tuple[dict[str, int], int]:
    """(torch's own count by kind at the peak of two steps that are really made, ours)."""
    totals = []
    for ours in (False, True):
        twin = deepcopy(task).train()
        optimizer = twin.make_optimizer(twin.parameter_groups())
        tracker: Any = HeldBytes(*twin.parameters(), *twin.buffers(), *batch.values()) if ours else MemTracker()
        if not ours:
            tracker.track_external(twin, optimizer, *batch.values())
        with tracker:
            for _ in range(2):
                loss = twin.training_step(batch, 0)["loss"]
                loss.backward()
                del loss
                optimizer.step()
                optimizer.zero_grad()
                if not ours:
                    tracker.reset_mod_stats()
        totals.append(tracker.peak if ours else tracker.get_tracker_snapshot("peak")[torch.device("cpu")])
    return {str(getattr(kind, "value", kind)): size for kind, size in totals[0].items()}, totals[1]


@pytest.mark.slow
@pytest.mark.parametrize("make", [classification, restoration])
def test_the_step_that_is_not_taken_holds_what_a_real_one_does(make: Any) -> None:
    task, batch = make()
    torchs, ours = real_peak(task, batch)
    found = step_memory(task, batch, precision="32-true")
    assert found.unknown == ""
    assert found.peak == ours == torchs["Total"]
    assert found.weights == sum(v.numel() * v.element_size() for v in (*task.parameters(), *task.buffers()))
    trained = sum(p.numel() for p in task.network.parameters())
    assert found.gradients == 4 * trained
    assert found.optimizer == 4 * (2 * trained + len([*task.network.parameters()]))  # of each its step, too
    assert (found.clips, found.weights) == (4, torchs["Parameter"] + torchs["Buffer"])


@pytest.mark.slow
def test_adam_holds_two_values_of_each_weight_and_plain_sgd_none() -> None:
    task, batch = classification(**SGD)
    assert step_memory(task, batch, precision="32-true").optimizer == 0
    task, batch = classification(optimizer=partial(torch.optim.SGD, lr=0.1, momentum=0.9))
    found = step_memory(task, batch, precision="32-true")
    assert found.optimizer == found.gradients


@pytest.mark.slow
def test_half_precision_takes_less_and_nothing_is_changed() -> None:
    task, batch = classification(**SGD)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    whole, mixed, half = (step_memory(task, batch, precision=name) for name in ("32-true", "bf16-mixed", "bf16-true"))
    assert whole.peak is not None and mixed.peak is not None and half.peak is not None
    assert half.peak < mixed.peak < whole.peak
    assert half.gradients == whole.gradients / 2
    assert mixed.weights == whole.weights
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


@pytest.mark.slow
def test_activations_of_a_network_that_is_used_twice_are_counted_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = SmallCNN3D(num_classes=3)

        def forward(self, video: Tensor) -> Tensor:
            return self.body(video) + self.body(video.flip(1))

    parts = {"classes": ["a", "b", "c"], "monitor": "val/accuracy", **PARTS, **SGD}
    task, batch = classification(**SGD)
    once = step_memory(task, batch, precision="32-true").peak
    twice = step_memory(Classification(network=Twice(), **parts), batch, precision="32-true").peak
    assert once is not None and twice is not None
    assert twice > 1.3 * once


def test_what_asks_for_a_value_leaves_the_activations_unknown_and_says_why() -> None:
    class Asks(SmallCNN3D):
        def forward(self, video: Tensor) -> Tensor:
            return super().forward(video if bool((video > 2).any()) else 2 * video)

    task = Classification(network=Asks(num_classes=3), classes=["a", "b", "c"], monitor="val/accuracy", **PARTS)
    found = step_memory(task, classification()[1], precision="32-true")
    assert found.peak is None
    lines = memory_lines(found, device_bytes=2**30, device="a GPU")
    assert lines[0].startswith("at least ")
    assert lines[2].startswith("activations not known: DataDependentOutputException")


@pytest.mark.parametrize(
    ("room", "verdict"),
    [(2**34, "fits: 25 % of the 16.00 GiB"), (2**32, "may not fit: 100 %"), (2**31, "does not fit: 200 %")],
)
def test_it_is_said_whether_it_fits(room: int, verdict: str) -> None:
    memory = StepMemory(weights=2**30, gradients=2**30, optimizer=2**30, peak=2**32, clips=8)
    lines = memory_lines(memory, device_bytes=room, device="a GPU")
    assert lines[:2] == [
        "4.00 GiB at the peak of a step of 8 clips:",
        "weights 1.00 GiB, gradients 1.00 GiB, optimizer 1.00 GiB, rest 1.00 GiB",
    ]
    assert lines[2].startswith(verdict)


def test_a_tensor_without_storage_takes_no_memory() -> None:
    twin = StoragelessTensors().twin(nn.Linear(50_000, 50_000, device="meta"))
    assert HeldBytes(*twin.parameters()).now == 4 * 50_000 * 50_001  # 10 GB
