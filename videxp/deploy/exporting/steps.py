"""One step of a `Streaming` network as a graph: frames and state in, answers and the state after them out.

The graph keeps nothing: who runs it hands each step's state to the next, and begins a video with zeros. `videxp export`
writes graphs of whole clips; this is for programs, which put steps before a server of their own, or by
`triton.write_repository(..., state=step.state)` before Triton, which keeps the state of each of its sequences:

    step = export_step(load_task(cfg, checkpoint).deployed.eval(), size=(172, 172))
    write_step(step, Path("step.onnx"))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from videxp.deploy.exporting.writing import OPSET
from videxp.models.layers.streaming import Streaming

VIDEO, ANSWERS = "video", "answers"


@dataclass(frozen=True)
class StepProgram:
    """A step of fixed frames and size, whose batch may differ from call to call."""

    program: ExportedProgram
    example: tuple[Tensor, ...]
    """The video [B,t,3,H,W] in [0,1] as the network takes it, then the state; B is 2."""
    state: Sequence[tuple[str, str]]
    """Names of each tensor of the state: as an input, as an output."""

    @property
    def inputs(self) -> list[str]:
        return [VIDEO, *(before for before, _ in self.state)]

    @property
    def outputs(self) -> list[str]:
        return [ANSWERS, *(after for _, after in self.state)]


class Step(nn.Module):
    """The network's step with its state as arguments: (video, *state) -> (answers, *state).

    A number for each video of the batch, [B] of the network, is [B,1] here: Triton has no state of no dimensions.
    """

    def __init__(self, network: nn.Module, ranks: Sequence[int]) -> None:
        """ranks: of the network's own tensors of the state."""
        super().__init__()
        assert isinstance(network, Streaming)
        self.network, self.ranks = network, list(ranks)

    def forward(self, video: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        own = tuple(one.squeeze(1) if rank == 1 else one for one, rank in zip(state, self.ranks))
        answers, after = self.network.step(video, own)
        return answers, *map(at_least_2d, after)


def at_least_2d(state: Tensor) -> Tensor:
    return state.unsqueeze(1) if state.ndim == 1 else state


@torch.no_grad()
def export_step(network: nn.Module, *, size: tuple[int, int], frames: int = 1) -> StepProgram:
    """frames: that a step takes. size: their height and width, to which the state's shapes are bound."""
    assert isinstance(network, Streaming)
    state = network.initial_state(2, size, device="cpu")
    ranks = [one.ndim for one in state]
    example = (torch.rand(2, frames, 3, *size), *map(at_least_2d, state))
    free = {0: Dim.AUTO}
    program = torch.export.export(Step(network, ranks), example, dynamic_shapes=(free, tuple(free for _ in state)))
    return StepProgram(program, example, [(f"state_{i}", f"next_state_{i}") for i in range(len(state))])


def write_step(step: StepProgram, path: Path) -> None:
    """As ONNX."""
    model = torch.onnx.export(
        step.program,
        step.example,
        dynamo=True,
        input_names=step.inputs,
        output_names=step.outputs,
        opset_version=OPSET,
        verbose=False,
    )
    assert model is not None
    model.save(str(path), external_data=False)
