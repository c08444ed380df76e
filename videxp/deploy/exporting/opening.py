"""Exported files opened again: ONNX by onnxruntime, `.pt2` by torch, OpenVINO's `.xml` by openvino.

Files may come from anyone: what is not a plain graph with its weights inside is refused before anything of it runs.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from videxp.core.errors import BadRequest, VidexpError, require_installed
from videxp.core.quiet_openvino import import_openvino
from videxp.deploy.exporting.package import KEY, Package, require_exported
from videxp.deploy.exporting.plain_program import plain_archive

if TYPE_CHECKING:
    import onnx

RUNTIMES: Mapping[str, Sequence[str]] = {"onnx": ("onnx", "onnxruntime"), "torch": (), "openvino": ("openvino",)}
Run = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


@dataclass(frozen=True)
class Exported:
    """A model in a file."""

    path: Path
    package: Package
    run: Run

    def __call__(self, **inputs: Any) -> dict[str, Tensor]:
        """Outputs by name, on the CPU; of a step, both with its state.

        Raises VidexpError for inputs that the graph does not take.
        """
        ports = self.package.graph_inputs
        if missing := {port.name for port in ports} ^ set(inputs):
            raise VidexpError(f"{self.path}: takes {', '.join(port.name for port in ports)}: wrong: {sorted(missing)}")
        given = {port.name: as_array(inputs[port.name], port.dtype) for port in ports}
        for port in ports:
            shape = given[port.name].shape
            if len(shape) != len(port.shape) or any(isinstance(n, int) and n != m for n, m in zip(port.shape, shape)):
                raise VidexpError(
                    f"{self.path}: {port.name} is {list(shape)}, the file takes {list(port.shape)}: export it for "
                    "that size"
                )
        outputs = self.run(given)
        return {name: torch.from_numpy(np.array(value)) for name, value in zip(self.package.graph_outputs, outputs)}


def as_array(value: Any, dtype: str) -> np.ndarray:
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    return np.ascontiguousarray(array, dtype=dtype)


def open_exported(path: Path | str, *, threads: int | None = None) -> Exported:
    """threads: that the runtime computes with; None: its own choice.

    Raises BadRequest for a file that is missing, damaged, hostile, or was not written by `videxp export`, and where its
    runtime is not installed.
    """
    path = Path(path)
    kind = require_exported(path)
    require_installed(*RUNTIMES[kind], extra="export")
    opened = {"onnx": _open_onnx, "torch": _open_torch, "openvino": _open_openvino}[kind]
    text, run, tensors = opened(path, threads)
    package = Package.from_json(text, path=path)
    if tensors != package.tensors_sha256:
        raise BadRequest(f"{path}: refused: the numbers in it are not those that were written: export it again")
    return Exported(path, package, run)


def _open_onnx(path: Path, threads: int | None) -> tuple[str, Run, str]:
    import onnxruntime

    model = read_onnx(path)
    text = next((entry.value for entry in model.metadata_props if entry.key == KEY), "")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes have no public base
        raise BadRequest(f"{path}: onnxruntime cannot open it: {str(error).splitlines()[0]}") from None
    return text, lambda inputs: session.run(None, inputs), hash_onnx(model)


def read_onnx(path: Path) -> "onnx.ModelProto":
    """Raises BadRequest for no ONNX file, and for one whose weights lie elsewhere: such a path may name any file."""
    import onnx

    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # protobuf's own class has no public base
        raise BadRequest(f"{path}: no ONNX file, or a damaged one ({type(error).__name__})") from None
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors_of(model)):
        raise BadRequest(f"{path}: refused: its weights lie in another file; export it in one")
    return model


def _tensors_of(message: Any) -> "list[onnx.TensorProto]":
    """All tensors in a protobuf message, in graphs within graphs too."""
    import onnx

    found = []
    for _, value in message.ListFields():
        is_list = hasattr(value, "__len__") and not isinstance(value, (str, bytes))
        for item in value if is_list else [value]:
            if isinstance(item, onnx.TensorProto):
                found.append(item)
            elif hasattr(item, "ListFields"):
                found += _tensors_of(item)
    return found


def hash_onnx(model: "onnx.ModelProto") -> str:
    """SHA-256 of all its numbers, with their names, types and shapes; what it says of itself is left out."""
    digest = hashlib.sha256()
    for tensor in _tensors_of(model.graph):
        digest.update(tensor.SerializeToString(deterministic=True))
    return digest.hexdigest()


def hash_openvino(path: Path) -> str:
    """SHA-256 of the weights beside an .xml."""
    weights = path.with_suffix(".bin")
    return hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else ""


def _open_torch(path: Path, threads: int | None) -> tuple[str, Run, str]:
    archive = plain_archive(path)
    extra = {KEY: ""}
    try:
        program = torch.export.load(archive, extra_files=extra)
    except Exception as error:  # whatever a damaged file makes it meet
        raise BadRequest(f"{path}: torch cannot open it: {str(error).splitlines()[0]}") from None
    module = program.module()

    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            return [tensor.numpy() for tensor in module(*(torch.from_numpy(value) for value in inputs.values()))]

    return extra[KEY], run, ""


def _open_openvino(path: Path, threads: int | None) -> tuple[str, Run, str]:
    core = import_openvino().Core()
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}  # bfloat16 is the default where the CPU has it
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        model = core.read_model(path)
        text = str(model.get_rt_info([KEY]).value) if model.has_rt_info([KEY]) else ""
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise BadRequest(f"{path}: OpenVINO cannot open it: {str(error).splitlines()[0]}") from None

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        answer = compiled(list(inputs.values()))
        return [answer[port] for port in compiled.outputs]

    return text, run, hash_openvino(path)
