"""Pickles of strangers: plain containers and numpy arrays, read without running anything that a pickle names.

Arrays are rebuilt here from their bytes; numpy's own code for unpickling is never called, nor any other.
"""

import codecs
import io
import pickle
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videxp.core.errors import BadRequest

MOST_BYTES = 1 << 30
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|S\d{1,4}|U\d{1,4})")
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_REFUSED = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER"}
"""Opcodes that plain data has no use for."""


class _Dtype:
    """What numpy.dtype is called with, and the state that it gets."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of {name!r}")
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) > 1 and state[1] in ("<", ">"):
            self.name = state[1] + self.name.lstrip("<>|=")

    def of(self, raw: Any, shape: Any, order: Any) -> np.ndarray:
        """Raises UnpicklingError where the bytes are not those of such an array."""
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(data, bytes | bytearray):
            raise pickle.UnpicklingError("an array without its bytes")
        try:
            return np.frombuffer(data, self.name).reshape(shape, order=order)
        except (TypeError, ValueError) as error:
            raise pickle.UnpicklingError(str(error)) from None


@dataclass
class PickledArray:
    """An array whose state has come, as `array` gives it."""

    found: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) != 5 or not isinstance(state[2], _Dtype):
            raise pickle.UnpicklingError("an array in another form")
        _, shape, dtype, in_columns, raw = state
        self.found = dtype.of(raw, shape, "F" if in_columns else "C")


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    return dtype.of(raw, (), "C").item()


def _encode(text: str, _: str = "latin1") -> bytes:
    """As Python writes bytes for old protocols."""
    return codecs.encode(text, "latin1")


_STAND_INS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": PickledArray,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
    "__builtin__.bytes": lambda: b"",  # as old protocols have it
    **{f"{module}._reconstruct": lambda *_: PickledArray() for module in _MODULES},
    **{f"{module}.scalar": _scalar for module in _MODULES},
    **{f"{module}._frombuffer": lambda raw, dtype, shape, order: PickledArray(dtype.of(raw, shape, order))
       for module in _MODULES},
}  # fmt: skip


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _STAND_INS.get(f"{module}.{name}")
        if known is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no plain data")

        def call(*args: Any) -> Any:  # a new function each time: a pickle may set attributes of what it is given
            return known(*args)

        return call


def read_pickle(file: Path) -> Any:
    """What is pickled, arrays as `PickledArray`: `as_array` takes them out.

    Raises BadRequest for what names anything but arrays, is damaged or is larger than `MOST_BYTES`.
    """
    try:
        if (size := file.stat().st_size) > MOST_BYTES:
            raise BadRequest(f"{file} has {size:,} bytes: pickles are read up to {MOST_BYTES:,}")
        data = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror or type(error).__name__}") from None
    try:
        _check_opcodes(data)
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # whatever damaged bytes end in
        raise BadRequest(f"{file} is no pickle of plain containers and arrays: {error}") from None


def _check_opcodes(data: bytes) -> None:
    """Raises UnpicklingError for what plain data never has: objects, or room for more than there are bytes."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in _REFUSED:
            raise pickle.UnpicklingError(f"it holds {opcode.name}, which is no plain data")
        if opcode.name.endswith("PUT") and isinstance(argument, int) and argument > len(data):
            raise pickle.UnpicklingError(f"it asks for room for {argument:,} values")


def as_array(value: Any) -> np.ndarray | None:
    """None for what is no array."""
    return value.found if isinstance(value, PickledArray) else None
