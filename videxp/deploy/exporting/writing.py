"""A run's graph in a file, written by a process that can be ended.

Everything is float32 on the CPU: TF32 and bfloat16 would make the comparison with the run noise.
"""

import json
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.export import ExportedProgram

from videxp.core.errors import VidexpError
from videxp.core.processes import program
from videxp.core.quiet_openvino import import_openvino
from videxp.deploy.exporting.opening import hash_onnx, hash_openvino, read_onnx
from videxp.deploy.exporting.package import KEY, Package, Port, State
from videxp.tasks.deployable import Deployable

PROGRAM = program(f"from {__name__} import main\nmain()")
"""For python -c, followed by REQUEST.json."""

Kind = Literal["onnx", "torch", "openvino"]
OF_OPERATIONS = "the network's operations need it"
OPSET = 20  # GridSample of clips, DeformConv
"""Of ONNX."""


@dataclass(frozen=True)
class WritingRequest:
    """What the process is asked."""

    run: str
    kind: Kind
    free: Sequence[str]
    """Axes that may differ from call to call: of attention over all of them the symbolic algebra never ends."""
    inputs: str
    """A .safetensors file with an example of each input, its batch 2."""
    output: str
    package: str
    """JSON."""
    why: Mapping[str, str]
    """Of axes that are not free: what stood in the way."""
    is_step: bool


def main() -> None:
    """Writes the file, and REQUEST.answer: the package as the file has it, or what stood in the way."""
    path = Path(sys.argv[1])
    request = WritingRequest(**json.loads(path.read_text()))
    try:
        answer = {"package": write_graph(request).to_json()}
    except Exception as error:  # exporters raise whatever a graph makes them meet
        answer = {"trouble": trouble(error)}
    path.with_suffix(".answer").write_text(json.dumps(answer))


def write_graph(request: WritingRequest) -> Package:
    """The file of a run, in one format; its package, without parity."""
    from videxp.deploy.exporting.runs import load_deployable, step_of

    deployable = load_deployable(request.run)
    held = load_file(request.inputs)
    deployable = step_of(deployable, held) if request.is_step else deployable
    package = Package.from_json(request.package, path=request.output)
    return write_deployable(
        deployable, held, package, Path(request.output), kind=request.kind, free=request.free, why=request.why
    )


def write_deployable(
    deployable: Deployable,
    inputs: Mapping[str, Tensor],
    package: Package,
    path: Path,
    *,
    kind: Kind,
    free: Sequence[str] = (),
    why: Mapping[str, str] = {},
) -> Package:
    """inputs: an example of all that the graph takes, by name; free, why: see `WritingRequest`."""
    example = tuple(inputs[name] for name in (*deployable.axes, *deployable.state_axes))
    with torch.no_grad():
        expected = deployable(*example)
        program = torch.export.export(deployable, example, dynamic_shapes=free_axes(deployable, free))
    package = replace(package, **described_ports(deployable, program, example, expected))
    package = replace(package, fixed_axes=fixed_axes(deployable, package.inputs, why))
    {"onnx": write_onnx, "torch": write_torch, "openvino": write_openvino}[kind](program, example, package, path)
    return package


def free_axes(deployable: Deployable, free: Sequence[str]) -> tuple[Any, ...]:
    """As torch.export wants it: of each input, {axis: AUTO}."""
    specs = tuple(
        {place: torch.export.Dim.AUTO for place, name in enumerate(axes) if name in free}
        for axes in (*deployable.axes.values(), *deployable.state_axes.values())
    )
    return (specs,)


def described_ports(
    deployable: Deployable, program: ExportedProgram, example: Sequence[Tensor], expected: Sequence[Tensor]
) -> dict[str, Any]:
    """`inputs`, `outputs` and `state` of the package, with names for the axes that torch found to be free."""
    nodes = {node.name: node for node in program.graph.nodes}
    shapes = [nodes[name].meta["val"].shape for name in program.graph_signature.user_inputs]
    names = {
        str(length): axis
        for shape, axes in zip(shapes, [*deployable.axes.values(), *deployable.state_axes.values()])
        for length, axis in zip(shape, axes)
        if not is_fixed(length)
    }

    def shape_of(lengths: Any) -> list[int | str]:
        return [int(length) if is_fixed(length) else _named(str(length), names) for length in lengths]

    made = [nodes[name].meta["val"].shape for name in program.graph_signature.user_outputs]

    def side(of: Iterable[str], values: Sequence[Tensor], lengths: Iterable[Any]) -> list[Port]:
        return [
            Port(name=name, dtype=str(value.numpy().dtype), shape=shape_of(shape))
            for name, value, shape in zip(of, values, lengths)
        ]

    given = side([*deployable.axes, *deployable.state_axes], example, shapes)
    found = side(deployable.outputs, expected, made)
    own, last = len(deployable.axes), len(found) - len(deployable.state_axes)
    state = [
        State(input=before.name, output=after.name, dtype=before.dtype, shape=before.shape)
        for before, after in zip(given[own:], found[last:])
    ]
    return {"inputs": given[:own], "outputs": found[:last], "state": state}


def is_fixed(length: Any) -> bool:
    """Whether torch found it to be a number: a symbol may have come to stand for one."""
    return str(length).isdigit()


def _named(length: str, names: Mapping[str, str]) -> str:
    """`4*s53` -> `4*height`."""
    return re.sub(r"s\d+", lambda found: names.get(found[0], found[0]), length)


def fixed_axes(deployable: Deployable, inputs: Sequence[Port], why: Mapping[str, str]) -> dict[str, str]:
    """Axes that cannot differ -> why."""
    return {
        axis: f"{length}: {why.get(axis, OF_OPERATIONS)}"
        for port, axes in zip(inputs, deployable.axes.values())
        for axis, length in zip(axes, port.shape)
        if axis and isinstance(length, int)
    }


# ---- the formats ----------------------------------------------------------------------------------------------------


def write_onnx(program: ExportedProgram, example: Sequence[Tensor], package: Package, path: Path) -> None:
    inputs = [port.name for port in package.graph_inputs]
    model = torch.onnx.export(
        program,
        tuple(example),
        dynamo=True,
        input_names=inputs,
        output_names=package.graph_outputs,
        opset_version=OPSET,
    )
    assert model is not None
    model.save(str(path), external_data=False)
    set_package(path, "onnx", package)


def write_torch(program: ExportedProgram, example: Sequence[Tensor], package: Package, path: Path) -> None:
    torch.export.save(program, str(path), extra_files={KEY: package.to_json()})


def write_openvino(program: ExportedProgram, example: Sequence[Tensor], package: Package, path: Path) -> None:
    """By way of ONNX, which OpenVINO reads more of than of torch's own programs."""
    openvino = import_openvino()
    through = path.with_suffix(".onnx")
    write_onnx(program, example, package, through)
    model = openvino.convert_model(str(through))
    names = ([port.name for port in package.graph_inputs], package.graph_outputs)
    for side, found in zip(names, (model.inputs, model.outputs)):
        for name, tensor in zip(side, found):
            tensor.get_tensor().set_names({name})
    openvino.save_model(model, str(path), compress_to_fp16=False)
    set_package(path, "openvino", package)


def set_package(path: Path, kind: Kind, package: Package) -> None:
    """Says of a file, which stays as it is otherwise, what it is."""
    if kind == "onnx":
        import onnx

        model = read_onnx(path)
        text = replace(package, tensors_sha256=hash_onnx(model)).to_json()
        onnx.helper.set_model_props(model, {KEY: text})
        path.write_bytes(model.SerializeToString())
    elif kind == "torch":
        torch.export.save(torch.export.load(str(path)), str(path), extra_files={KEY: package.to_json()})
    else:
        openvino = import_openvino()
        digest = hash_openvino(path)
        text = replace(package, tensors_sha256=digest).to_json()
        beside = path.with_name(f"{path.stem}_.xml")
        model = openvino.Core().read_model(path)
        model.set_rt_info(text, [KEY])
        openvino.save_model(model, str(beside), compress_to_fp16=False)
        del model
        if hash_openvino(beside) != digest:
            raise VidexpError(f"{path}: OpenVINO writes other weights than it read")
        beside.replace(path)
        beside.with_suffix(".bin").replace(path.with_suffix(".bin"))


# ---- what stands in the way -----------------------------------------------------------------------------------------


def trouble(error: BaseException) -> str:
    """One or two lines: what the exporter says, and the line of the network that it says it of."""
    causes = [error]
    while (inner := causes[-1].__cause__ or causes[-1].__context__) is not None and inner not in causes:
        causes.append(inner)
    said = str(causes[-1]).strip() or str(error)
    first = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
    frames = [frame for one in causes for frame in traceback.extract_tb(one.__traceback__)]
    frames += [
        traceback.FrameSummary(found[1], int(found[2]), "", line=found[3])
        for found in re.finditer(r'File "([^"]+)", line (\d+), in \w+\n\s*(.+)', "\n".join(map(str, causes)))
    ]
    of_network = [frame for frame in frames if "/models/" in frame.filename and "torch/" not in frame.filename]
    if not of_network:
        return first
    last = of_network[-1]
    return f"{first}\n{Path(last.filename).name}, line {last.lineno}: {last.line}"
