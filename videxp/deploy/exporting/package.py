"""What an exported file says of itself: one JSON object under the key `videxp`, the same in every format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest

KEY = "videxp"
FORMAT = 1
SUFFIXES = {".onnx": "onnx", ".pt2": "torch", ".xml": "openvino"}
"""What `videxp predict` and `videxp evaluate` open as a file -> its format."""

NOT_STATED = "not stated"
MOST_BYTES = 1 << 24
"""Of the JSON; no run's is a hundredth of it."""


def is_exported(name: str | Path) -> bool:
    """Whether it is such a file by its name, and no folder: a run may be called `x.onnx`, too."""
    return Path(name).suffix.lower() in SUFFIXES and not Path(name).is_dir()


def require_exported(path: Path) -> str:
    """The format of such a file. Raises BadRequest for another name, and for what is no regular file."""
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise BadRequest(f"{path}: none of the exported kinds: {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise BadRequest(f"{path}: {'not a regular' if path.exists() else 'no such'} file")
    return kind


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or an output of the graph."""

    name: str
    dtype: str
    """As numpy calls it."""
    shape: Sequence[int | str]
    """A number, or the name of an axis that may differ from call to call."""


@dataclass(frozen=True, kw_only=True)
class State:
    """A tensor that a step of a stream hands to the next, zeros at a video's beginning."""

    input: str
    output: str
    dtype: str
    shape: Sequence[int | str]


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is needed to use the file alone, and to know where it comes from."""

    kind: str
    """The task's class, such as Classification."""
    model: str
    run_id: str
    commit: str
    """Of the code in the folder that the run was started in; "" of no repository."""
    config: str
    """The run's config.yaml, without secrets: of it, data module and task are built where videxp opens the file."""
    config_hash: str
    weights_sha256: str
    """Of the run's network."""
    data_fingerprint: str
    classes: Sequence[str]
    chosen: Mapping[str, float | bool]
    """What the task itself chose in training, such as a threshold."""
    clip: Mapping[str, Any]
    """frames, stride and fps as the run reads them, size in pixels."""
    preprocessing: str
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    fixed_axes: Mapping[str, str] = field(default_factory=dict)
    """Axis that cannot differ -> why."""
    state: Sequence[State] = ()
    """Of a step of a stream, which takes one frame; inputs and outputs of the graph beside `inputs` and `outputs`, and
    behind them. (): the file takes whole clips."""
    quantization: Mapping[str, Any] | None = None
    parity: Mapping[str, Any] = field(default_factory=dict)
    tensors_sha256: str = ""
    """Of the numbers in the file itself, which opening compares; "" of a .pt2 file, whose zip has checksums."""
    license: str = NOT_STATED
    versions: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    format: int = FORMAT

    @property
    def graph_inputs(self) -> list[Port]:
        """In the graph's order."""
        return [*self.inputs, *(Port(name=one.input, dtype=one.dtype, shape=one.shape) for one in self.state)]

    @property
    def graph_outputs(self) -> list[str]:
        return [*(port.name for port in self.outputs), *(one.output for one in self.state)]

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, path: Any) -> "Package":
        """Raises BadRequest for what this version did not write."""
        if not text:
            raise BadRequest(f"{path}: refused: no file of videxp export: nothing stands in it under the key {KEY}")
        if len(text) > MOST_BYTES:
            raise BadRequest(f"{path}: refused: what it says of itself takes {len(text):,} bytes")
        try:
            found = json.loads(text)
            if found.get("format") != FORMAT:
                raise ValueError(f"of format {found.get('format')}, not {FORMAT}")
            if unknown := set(found) - {one.name for one in fields(cls)}:
                raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
            ports = {name: [Port(**port) for port in found[name]] for name in ("inputs", "outputs")}
            return cls(**{**found, **ports, "state": [State(**one) for one in found["state"]]})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadRequest(f"{path}: refused: not written by this version of videxp export ({error})") from None


def describe_file(package: Package) -> list[str]:
    """What the file takes and gives, a line each."""

    def port(one: Port) -> str:
        return f"{one.name} {one.dtype} [{', '.join(map(str, one.shape))}]"

    lines = [f"takes {', '.join(map(port, package.inputs))}", f"gives {', '.join(map(port, package.outputs))}"]
    if package.state:
        first, last = package.state[0], package.state[-1]
        named = [first, last][: len(package.state)]
        befores, afters = (" to ".join(names) for names in zip(*((one.input, one.output) for one in named)))
        lines.append(f"a step: it takes {befores} too, zeros to begin with, then {afters} of the step before")
    return lines + [f"{axis} is fixed at {why}" for axis, why in package.fixed_axes.items()]
