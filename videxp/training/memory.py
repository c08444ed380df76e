"""Memory that one training step takes, before anything is trained: counted on tensors without storage."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from videxp.core.private_torch import HeldBytes, StoragelessTensors
from videxp.tasks import VideoTask

MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
HALF = {"bf16-true": torch.bfloat16, "16-true": torch.float16}
STEPS = 2  # an optimizer's state is there from the second on
GIB = 2**30


@dataclass(frozen=True)
class StepMemory:
    """Bytes on one device."""

    weights: int
    """Parameters and buffers, of the networks that only train and of averages too."""
    gradients: int
    optimizer: int
    peak: int | None
    """All together at the fullest moment, activations included; None if unknown."""
    clips: int
    """Of a batch."""
    unknown: str = ""
    """Why the peak is unknown."""

    @property
    def least(self) -> int:
        """What it takes beside activations."""
        return self.weights + self.gradients + self.optimizer


def step_memory(task: VideoTask, batch: Mapping[str, Any], *, precision: str) -> StepMemory:
    """Of forward, backward and optimizer step of a batch, as the training makes them.

    task: built on the CPU, where its weights take their memory, for some networks cannot be built otherwise.
    """
    dtype, storageless = HALF.get(precision), StoragelessTensors()
    twin = storageless.twin(task, dtype=dtype).train()
    tensors = {name: storageless.like(value, dtype=dtype) for name, value in batch.items() if isinstance(value, Tensor)}
    with storageless:
        return _count(twin, {**batch, **tensors}, precision=precision)


def _count(task: VideoTask, batch: Mapping[str, Any], *, precision: str) -> StepMemory:
    trained = [p for p in task.network.parameters() if p.requires_grad]
    weights = HeldBytes(*task.parameters(), *task.buffers()).now
    peak, unknown = None, ""
    if task.automatic_optimization:
        try:
            peak = _peak_of_steps(task, batch, _optimizer(task), precision=precision)
        except Exception as error:  # whatever a network makes of tensors without values
            unknown = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    else:
        unknown = f"{type(task).__name__} takes the steps of several optimizers by itself"
    state = _state_bytes(_optimizer(task), trained)
    return StepMemory(weights, HeldBytes(*trained).now, state, peak, clips=len(batch["video"]), unknown=unknown)


def _optimizer(task: VideoTask) -> torch.optim.Optimizer:
    groups = task.parameter_groups()
    for group in groups:
        group.pop("lr_scale", None)  # the task's own
    return task.make_optimizer(groups)


def _peak_of_steps(
    task: VideoTask, batch: Mapping[str, Any], optimizer: torch.optim.Optimizer, *, precision: str
) -> int:
    held = HeldBytes(*task.parameters(), *task.buffers(), *batch.values())
    with held:
        for _ in range(STEPS):
            with _autocast(precision):
                loss = task.training_step(batch, 0)["loss"]
            loss.backward()
            del loss
            optimizer.step()
            optimizer.zero_grad()
    return held.peak


def _autocast(precision: str) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", dtype=MIXED[precision]) if precision in MIXED else nullcontext()


def _state_bytes(optimizer: torch.optim.Optimizer, trained: list[torch.nn.Parameter]) -> int:
    """What it keeps of each parameter, after a step with any gradients."""
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return HeldBytes([value for state in optimizer.state.values() for value in state.values()]).now


def memory_lines(memory: StepMemory, *, device_bytes: int | None, device: str) -> list[str]:
    """What a step takes, and whether it fits. device_bytes: of the device; None if unknown."""
    parts = {"weights": memory.weights, "gradients": memory.gradients, "optimizer": memory.optimizer}
    if memory.peak is not None:
        parts["rest"] = memory.peak - memory.least  # activations, the batch, what is computed on the way
    of = ", ".join(f"{name} {gib(size)}" for name, size in parts.items())
    if memory.peak is None:
        least = f"at least {gib(memory.least)} for a step of {memory.clips} clips:"
        return [least, of, f"activations not known: {memory.unknown}"]
    lines = [f"{gib(memory.peak)} at the peak of a step of {memory.clips} clips:", of]
    if device_bytes is None:
        return [*lines, f"whether it fits in {device} is not known; --memory-gib tells"]
    share = memory.peak / device_bytes
    verdict = "fits" if share < 0.8 else "may not fit" if share <= 1 else "does not fit"
    lines.append(f"{verdict}: {100 * share:.0f} % of the {gib(device_bytes)} of {device}")
    return [*lines, "not counted: libraries and their workspaces, fragmentation, data workers"]


def gib(size: int) -> str:
    """`1.23 GiB`, `12.3 MiB`."""
    return f"{size / GIB:.2f} GiB" if size >= GIB else f"{size / 2**20:.1f} MiB"
