"""A Triton model repository: NAME/1/model.onnx, and NAME/config.pbtxt that says what the graph takes and gives.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videxp.core.errors import BadRequest
from videxp.deploy.exporting.opening import read_onnx

if TYPE_CHECKING:
    import onnx

TYPES: Mapping[int, str] = {1: "FP32", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "FP16", 11: "FP64"}
"""ONNX's TensorProto.DataType -> Triton's, which are written TYPE_FP32 and so on."""

MAX_BATCH = 8
IDLE_SECONDS = 60
"""After which a sequence that nobody ended gives its place to another."""

Shape = Sequence[int]
Tensors = Mapping[str, tuple[str, Shape]]


def write_repository(file: Path, folder: Path, *, name: str, state: Sequence[tuple[str, str]] = ()) -> Path:
    """Writes FOLDER/NAME. state: of a step, the names of each tensor of its state as an input and as an output;
    Triton keeps it between the requests of a sequence, which begins with zeros.

    Raises BadRequest where it is there already, and for a state whose first axis is no free batch.
    """
    require_absent(folder, name)
    text = describe_model(file, name=name, state=state)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing_") as held:
        model = Path(held) / name
        (model / "1").mkdir(parents=True)
        shutil.copyfile(file, model / "1/model.onnx")
        (model / "config.pbtxt").write_text(text)
        return model.rename(folder / name)  # whole, for a server that looks for models meanwhile


def require_absent(folder: Path, name: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadRequest(f"{folder}: not a folder; Triton's models lie in one: give another with -o FOLDER")
    if (folder / name).exists():
        raise BadRequest(f"{folder / name}: is there already; give another folder with -o FOLDER")


def describe_model(file: Path, *, name: str, state: Sequence[tuple[str, str]] = ()) -> str:
    """config.pbtxt of an ONNX file: batches are Triton's where all tensors begin with a free axis."""
    graph = read_onnx(file).graph
    inputs, outputs = ({one.name: _tensor(one) for one in side} for side in (graph.input, graph.output))
    batched = all(shape and shape[0] == -1 for _, shape in [*inputs.values(), *outputs.values()])
    if state and not batched:
        raise BadRequest(f"{file}: Triton keeps the state of steps whose batch is free only; this file's is fixed")
    kept = {one for pair in state for one in pair}
    lines = [f'name: "{name}"', 'platform: "onnxruntime_onnx"', f"max_batch_size: {MAX_BATCH if batched else 0}"]
    for side, tensors in (("input", inputs), ("output", outputs)):
        for tensor, (type_, shape) in tensors.items():
            if tensor not in kept:
                dims = ", ".join(map(str, shape[batched:]))
                lines.append(f'{side} {{ name: "{tensor}" data_type: {type_} dims: [ {dims} ] }}')
    if state:
        lines += _sequence(inputs, state)
    elif batched:
        lines.append("dynamic_batching { }")
    return "\n".join(lines) + "\n"


def _sequence(inputs: Tensors, state: Sequence[tuple[str, str]]) -> list[str]:
    lines = ["sequence_batching {", f"  max_sequence_idle_microseconds: {IDLE_SECONDS * 1_000_000}", "  oldest { }"]
    for before, after in state:
        type_, shape = inputs[before]
        dims = ", ".join(map(str, shape[1:]))
        zeros = f'initial_state {{ name: "{before}" data_type: {type_} dims: [ {dims} ] zero_data: true }}'
        names = f'input_name: "{before}" output_name: "{after}" data_type: {type_} dims: [ {dims} ]'
        lines.append(f"  state {{ {names} {zeros} }}")
    return [*lines, "}"]


def _tensor(value: "onnx.ValueInfoProto") -> tuple[str, Shape]:
    """Type and shape, -1 for what is free, of an ONNX value."""
    tensor = value.type.tensor_type
    lengths = [axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.shape.dim]
    return f"TYPE_{TYPES[tensor.elem_type]}", lengths
