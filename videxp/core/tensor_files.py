"""Named tensors from a file or a URL: tensors only, no pickled code is run."""

import hashlib
import re
import warnings
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.core.weight_files import is_url, unusable

# What torch's unpickler says of a function or class that it will not call.
CODE = re.compile(r"(?:GLOBAL|(?:class|call of)(?= \w+\.)) ([\w.]*\w)")

# where checkpoints keep the tensors; an average goes before the weights that it is of
_WRAPPERS = (
    "state_dict",
    "model_state",
    "model_state_dict",
    "model",
    "module",
    "params_ema",
    "params",
    "net",
    "netG",
    "netD",
)


def read_tensors(source: str) -> dict[str, Tensor]:
    """The state dict at a path or http(s) URL (cached by `torch.hub`), bare or in a checkpoint, on the CPU.

    Raises `BadRequest` for a file that is missing, damaged, holds more than tensors, or holds none.
    """
    if not is_url(source) and (wrong := unusable(source)):
        raise BadRequest(f"weights={source}: {wrong}")
    try:
        return _state_dict_in(_read(source), source)
    except BadRequest:
        raise
    except Exception as error:  # the unpickler meets whatever a damaged file makes it meet
        raise BadRequest(f"weights={source}: {_wrong_with(source, error)}") from error


def cached_file(url: str) -> Path:
    """Where `torch.hub` keeps what it fetched from there."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(url).path).name)


def _read(source: str) -> Any:
    if source.endswith(".safetensors") and not is_url(source):
        from safetensors.torch import load_file

        return load_file(source)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")  # that it may be one that is not read
        if is_url(source):
            return torch.hub.load_state_dict_from_url(source, map_location="cpu", weights_only=True)
        return torch.load(source, map_location="cpu", weights_only=True)


def _wrong_with(source: str, error: Exception) -> str:
    """What is wrong, and the remedy, in place of the page that torch says."""
    path, again = Path(source), "download or copy it again"
    if is_url(source):
        path = cached_file(source)
        again = f"delete {path}, so that it is fetched anew"
    if isinstance(error, OSError | HTTPException) or not path.is_file():  # urllib's errors are of the former
        done, remedy = ("fetched", "Give the path of a file") if is_url(source) else ("read", "Give another file")
        said = str(error).removeprefix("<urlopen error ").removesuffix(">")[:200]
        return f"could not be {done}: {said}\n{remedy}"
    cause = " ".join(str(error).split())
    with path.open("rb") as file:
        beginning = file.read(24)
    save = "Save the tensors alone: torch.save(model.state_dict(), path)"
    if named := CODE.search(cause):
        return f"holds more than tensors ({named[1]}), and code in a file is not run\n{save}"
    if not beginning:
        return f"the file is empty: {again}"
    if beginning.startswith(b"\x80") and "Unsupported operand" in cause:
        return f"pickled by something else than torch.save\n{save}"
    if beginning.startswith((b"PK", b"\x80")) or source.endswith(".safetensors"):
        return f"the file is cut short or damaged: {again}"
    text = ascii(beginning.decode(errors="replace").partition("\n")[0])  # such as '<!DOCTYPE html>'
    return f"no file of tensors, it begins with {text}\nGive one that torch.save(model.state_dict(), path) wrote"


def _state_dict_in(content: Any, source: str) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, dict) else {}
    if not tensors:
        raise BadRequest(f"weights={source}: holds no state dict (a dict of named tensors)")
    return tensors


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes, dtypes and bytes, in the order of the names: equal where every bit is."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tuple(tensor.shape)}\0{tensor.dtype}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
