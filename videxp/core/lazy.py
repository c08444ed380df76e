"""Public names of a package, imported on first use: `videxp --help` must not wait for torch."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_exports(package: str, names: dict[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """`__getattr__, __all__ = lazy_exports(__name__, {"VideoDataModule": "videxp.data.module"})`."""

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(names[name]), name)

    return __getattr__, sorted(names)
