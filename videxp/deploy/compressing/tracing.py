"""Going along a network's graph with the numbers of its channels."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node

from videxp.models.pruning import Place, widths_of

Axis = np.ndarray | None
"""int64 [n], numbers of the channels along an axis; None: it has none."""
Axes = list[Axis]
INPUT, ANSWER = "the input", "the answer"
TENSORS = ("weight", "bias", "running_mean", "running_var")


class Tracing:
    """Goes along a graph, node by node."""

    def __init__(self, network: nn.Module, program: ExportedProgram, answer: "Callable[[Tracing, Node], Any]") -> None:
        """answer: axes of what a node gives, by those of what it reads."""
        self.answer = answer
        self.above: list[int] = []
        """Of each number, another one of the same channel, or itself."""
        self.reasons: dict[int, str] = {}
        """Number -> what keeps it."""
        self.axes: dict[Node, Any] = {}
        """Of each tensor; a list of them for each list of tensors."""
        self.places: dict[Place, np.ndarray] = {}
        signature = program.graph_signature
        names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        used = {names[node.name] for node in program.graph.nodes if node.name in names and node.users}
        self.tensors = dict(self._of_layers(network, used))
        self.names, self.inputs = names, set(signature.user_inputs)

    def _of_layers(self, network: nn.Module, used: set[str]) -> Iterable[tuple[str, Axes]]:
        for name, layer in network.named_modules():
            own = {
                tensor: f"{name}.{tensor}".lstrip(".") for tensor in ("weight", "bias", "running_mean", "running_var")
            }
            if not used.intersection(own.values()):
                continue
            found: dict[str, Axes] = {}
            for attribute, tensors in widths_of(layer).items():
                numbers = self.places[name, attribute] = self.new(getattr(layer, attribute))
                for tensor, axis in tensors.items():
                    if (value := getattr(layer, tensor, None)) is not None:
                        found.setdefault(own[tensor], [None] * value.ndim)[axis] = numbers
            yield from found.items()

    # ---- numbers ----------------------------------------------------------------------------------------------------

    def new(self, count: int) -> np.ndarray:
        first = len(self.above)
        self.above += range(first, first + count)
        return np.arange(first, first + count)

    def find(self, number: int) -> int:
        """The number that stands for a channel."""
        while self.above[number] != number:
            self.above[number] = self.above[self.above[number]]
            number = self.above[number]
        return number

    def keep(self, axis: Axis, reason: str) -> None:
        for number in () if axis is None else axis.tolist():
            self.reasons.setdefault(number, reason)

    def join(self, one: Axis, other: Axis, node: Node) -> Axis:
        """The same channels on both axes; those that meet none are kept."""
        if one is None or other is None or len(one) != len(other):
            self.keep(one, where(node))
            self.keep(other, where(node))
            return one if other is None else other
        for a, b in zip(one.tolist(), other.tolist()):
            self.above[self.find(a)] = self.find(b)
        return one

    # ---- nodes ------------------------------------------------------------------------------------------------------

    def visit(self, node: Node) -> None:
        if node.op == "placeholder":
            self.axes[node] = self.of_placeholder(node)
        elif node.op == "output":
            for given in self.given(node):
                self.keep_all(given, ANSWER)
        elif node.op == "call_function":
            self.axes[node] = self.answer(self, node)

    def of_placeholder(self, node: Node) -> Any:
        if node.name in self.names or not isinstance(value := node.meta.get("val"), Tensor):
            return self.tensors.get(self.names.get(node.name, ""), blank_axes(node.meta.get("val")))
        axes = [self.new(int(length)) for length in value.shape] if node.name in self.inputs else blank_axes(value)
        self.keep_all(axes, INPUT)
        return axes

    def unknown(self, node: Node) -> Any:
        for given in self.given(node):
            self.keep_all(given, where(node))
        return blank_axes(node.meta.get("val"))

    def keep_all(self, axes: Iterable[Axis], reason: str) -> None:
        for axis in axes:
            self.keep(axis, reason)

    def given(self, node: Node) -> list[Axes]:
        """Axes of all tensors that a node reads."""
        found: list[Axes] = []
        for one in node.all_input_nodes:
            axes = self.axes.get(one, [])
            found += axes if axes and isinstance(axes[0], list) else [axes]
        return found

    def of(self, value: Any) -> Axes:
        return self.axes[value] if isinstance(value, Node) else []

    def drop(self, axis: Axis, node: Node) -> None:
        """It is not there any more after a node, other than as a whole."""
        self.keep(axis, where(node))


def operation(node: Node) -> str:
    """`relu` of aten.relu_.default."""
    name = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(name, "__name__", name)).rstrip("_")


def where(node: Node) -> str:
    """`slice at tsm.py, line 41: out[:, :-1, :fold] = x[:, 1:, :fold]`."""
    lines = str(node.meta.get("stack_trace") or "").splitlines()
    frames = [
        (line.strip(), lines[i + 1].strip() if i + 1 < len(lines) else "")
        for i, line in enumerate(lines)
        if line.strip().startswith("File ") and "/torch/nn/" not in line
    ]
    if not frames:
        return operation(node)
    file, line = frames[-1]
    path, number = file.split('"')[1], file.split("line ")[1].split(",")[0]
    return f"{operation(node)} at {Path(path).name}, line {number}: {line}"


def blank_axes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return [None] * value.ndim
    return [blank_axes(one) for one in value] if isinstance(value, (list, tuple)) else []


def shape_of(node: Any) -> list[int]:
    return [int(n) for n in node.meta["val"].shape]


def argument(node: Node, place: int, name: str, default: Any = None) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def dims_of(value: Any, ndim: int) -> list[int]:
    """`-1` or `[2, 3]` -> places from 0; None: all."""
    found = range(ndim) if value is None else value if isinstance(value, (list, tuple)) else [value]
    return [int(dim) % ndim for dim in found]
