"""Clips answered by an exported file: at once or, where it holds a step of a stream, frame by frame."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from videxp.core.errors import VidexpError
from videxp.deploy.exporting.opening import Exported
from videxp.deploy.exporting.package import Package


def answer_clip(exported: Exported, clip: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The file's outputs of a clip [B,T,...] of any length, without the state."""
    if not exported.package.state:
        return exported(**clip)
    state = zero_state(exported.package, clip)
    made: dict[str, list[Tensor]] = {port.name: [] for port in exported.package.outputs}
    for t in range(next(iter(clip.values())).shape[1]):
        outputs, state = take_step(exported, {name: value[:, t : t + 1] for name, value in clip.items()}, state)
        for name, answers in made.items():
            answers.append(outputs[name])
    return {name: torch.cat(answers, dim=1) for name, answers in made.items()}


def take_step(
    exported: Exported, frame: Mapping[str, Tensor | np.ndarray], state: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(the file's outputs of a frame [B,1,...], the state after it); states by the names of the inputs."""
    outputs = exported(**frame, **state)
    return outputs, {one.input: outputs[one.output] for one in exported.package.state}


def zero_state(package: Package, clip: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Before the first frame of clips of this size. Raises VidexpError where the file does not tell the state's."""
    lengths: dict[str, int] = {
        name: length
        for port in package.inputs
        for name, length in zip(port.shape, clip[port.name].shape)
        if isinstance(name, str)
    }
    for one in package.state:
        if unknown := [name for name in one.shape if isinstance(name, str) and name not in lengths]:
            raise VidexpError(f"{one.input}: the length {unknown[0]} of its state is no axis of its inputs")
    shapes = [[lengths[one] if isinstance(one, str) else one for one in state.shape] for state in package.state]
    return {
        state.input: torch.zeros(shape, dtype=getattr(torch, state.dtype))
        for state, shape in zip(package.state, shapes)
    }
