"""A run's weights: read from a checkpoint without running what is in the file, and hashed."""

import pickle
import shlex
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.core.tensor_files import CODE, weights_hash


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Everything in a checkpoint, on the CPU: tensors and plain values only; a file that holds code is not run.

    Raises BadRequest in one or two lines for what is no such file, is damaged, or holds weights that are NaN or
    infinite.
    """
    content = _read(path)
    if name := _first_not_finite(content["state_dict"]):
        raise BadRequest(f"{path}: refused: {name} is NaN or infinite, so no figure means anything\n{_remedy(path)}")
    return content


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():  # a pipe would be waited for
        raise BadRequest(f"{path}: {'not a regular' if path.exists() else 'no such'} file")
    try:
        refuse_damage(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Damaged as error:
        raise BadRequest(f"{path}: refused: {error}\n{_remedy(path)}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError) as error:
        raise BadRequest(f"{path}: refused: {_cause(error)}") from error
    except Exception as error:  # the unpickler meets whatever a damaged file makes it meet
        raise BadRequest(f"{path}: refused: no checkpoint, or a damaged one ({type(error).__name__})") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), Mapping):
        raise BadRequest(f"{path}: refused: it holds no state_dict, so it is no checkpoint of a run")
    if wrong := [name for name, value in content["state_dict"].items() if not isinstance(value, Tensor)]:
        raise BadRequest(f"{path}: refused: {wrong[0]!r} in its state_dict is no tensor")
    return content


class Damaged(RuntimeError):
    """A file is not as it was written."""


def refuse_damage(path: Path) -> None:
    """Read all of a checkpoint that torch wrote as a zip, and compare its checksums, which torch.load does not look at.

    Raises Damaged where one is wrong, OSError where the file cannot be read.
    """
    if not zipfile.is_zipfile(path):
        return  # torch says what it is
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Damaged("a damaged checkpoint") from error
    if damaged is not None:
        raise Damaged(f"a damaged checkpoint: the checksum of {damaged} is wrong")


def _first_not_finite(state: Mapping[str, Tensor]) -> str | None:
    """-inf is none: masks are made of it."""
    return next((name for name, value in state.items() if (value.isnan() | (value == torch.inf)).any()), None)


def _remedy(path: Path) -> str:
    """The run's other checkpoint, where there is one."""
    other = path.with_name("last.ckpt" if path.name == "best.ckpt" else "best.ckpt")
    if other.is_file() and other != path:
        return (
            f"{other.name} is there, too: mv {shlex.quote(str(other))} {shlex.quote(str(path))} takes it in its place"
        )
    return "Copy it again from where it came from, or train again"


def _cause(error: Exception) -> str:
    """torch answers a file with code in it with a page of advice on how to run the code."""
    text = " ".join(str(error).split())
    if named := CODE.search(text):
        return f"it would run code ({named[1]}); only tensors are loaded"
    return "no checkpoint, or a damaged one"


def checkpoint_hash(path: Path) -> str | None:
    """`weights_hash` of a checkpoint's state_dict; None where there is no checkpoint."""
    return weights_hash(_read(path)["state_dict"]) if path.is_file() else None
