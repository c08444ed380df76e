"""A run's weights: read from a checkpoint without running what is in the file, and hashed."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videxp.errors import BadRequest
from videxp.tensor_files import CODE, weights_hash


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Everything in a checkpoint, on the CPU: tensors and plain values only; a file that holds code is not run.

    Raises BadRequest in one line for what is no such file.
    """
    if not path.is_file():  # a pipe would be waited for
        raise BadRequest(f"{path}: {'not a regular' if path.exists() else 'no such'} file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError) as error:
        raise BadRequest(f"{path}: refused: {_cause(error)}") from error
    except Exception as error:  # the unpickler meets whatever a damaged file makes it meet
        raise BadRequest(f"{path}: refused: no checkpoint, or a damaged one ({type(error).__name__})") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), Mapping):
        raise BadRequest(f"{path}: refused: it holds no state_dict, so it is no checkpoint of a run")
    if wrong := [name for name, value in content["state_dict"].items() if not isinstance(value, Tensor)]:
        raise BadRequest(f"{path}: refused: {wrong[0]!r} in its state_dict is no tensor")
    return content


def _cause(error: Exception) -> str:
    """torch answers a file with code in it with a page of advice on how to run the code."""
    text = " ".join(str(error).split())
    if named := CODE.search(text):
        return f"it would run code ({named[1]}); only tensors are loaded"
    return "no checkpoint, or a damaged one"


def checkpoint_hash(path: Path) -> str | None:
    """`weights_hash` of a checkpoint's state_dict; None where there is no checkpoint."""
    return weights_hash(read_checkpoint(path)["state_dict"]) if path.is_file() else None
