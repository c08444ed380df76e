"""Named tensors from a file or a URL: tensors only, no pickled code is run."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor

from videxp.errors import BadRequest

# where checkpoints keep the tensors; an average goes before the weights that it is of
_WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model", "module", "params_ema", "params")


def read_tensors(source: str) -> dict[str, Tensor]:
    """The state dict at a path or http(s) URL (cached by `torch.hub`), bare or in a checkpoint, on the CPU.

    Raises `BadRequest` for a file that is missing, holds more than tensors, or holds none.
    """
    return _state_dict_in(_read(source), source)


def _read(source: str) -> Any:
    try:
        if source.startswith(("http://", "https://")):
            return torch.hub.load_state_dict_from_url(source, map_location="cpu", weights_only=True)
        if not Path(source).is_file():
            raise BadRequest(f"weights={source}: no such file. Give the path or the URL of a state dict")
        if source.endswith(".safetensors"):
            return _read_safetensors(source)
        return torch.load(source, map_location="cpu", weights_only=True)
    except (URLError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        cause = str(error).splitlines()[0][:200]
        raise BadRequest(
            f"weights={source}: can't be read as tensors: {cause}\n"
            "Save a plain state dict: torch.save(net.state_dict(), path)"
        ) from error


def _read_safetensors(source: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(source)
    except SafetensorError as error:
        raise RuntimeError(str(error)) from error


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
