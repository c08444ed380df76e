"""Packages of the user's own: which are trusted, and how they are found in the current folder.

The current folder is not on Python's path by itself. It may be a run folder, or another folder that came from a
stranger, and the libraries in use ask for many packages that are not installed (pandas, dill, onnx, ...): a file of
that name would run.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from videxp.core.errors import BadRequest
from videxp.core.files import is_run_folder


def user_packages() -> frozenset[str]:
    """Packages that the user trusts: VIDEXP_ALLOW=a,b or `[tool.videxp] allow = ["a"]` in ./pyproject.toml.

    The pyproject.toml of a run folder, or of a folder inside one, counts for nothing.
    """
    named = [name.strip() for name in os.environ.get("VIDEXP_ALLOW", "").split(",") if name.strip()]
    return frozenset(named) | _packages_in_pyproject(Path.cwd() / "pyproject.toml")


@contextmanager
def find_own_packages() -> Iterator[None]:
    """Meanwhile, a package that the user trusts is also found in the current folder, after all other places."""
    before, finder = list(sys.path), CurrentFolderFinder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.path[:] = before


class CurrentFolderFinder:
    """Finds the packages of `user_packages` in the current folder; once one was found there, the folder is trusted and
    stands last on the path, so that the package may import what lies beside it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = Path.cwd()
        if path is not None or not ((folder / name).is_dir() or (folder / f"{name}.py").is_file()):
            return None
        if is_in_run_folder(folder) or name not in {package.partition(".")[0] for package in user_packages()}:
            return None
        spec = PathFinder.find_spec(name, [str(folder)], target)
        if spec is not None and str(folder) not in sys.path:
            sys.path.append(str(folder))
        return spec


def is_in_run_folder(folder: Path) -> bool:
    """Is it a run folder, or inside one? Such a folder may come from anyone."""
    return any(is_run_folder(place) for place in (folder, *folder.parents))


def _packages_in_pyproject(path: Path) -> frozenset[str]:
    # Python 3.10 reads no TOML; VIDEXP_ALLOW says the same
    if sys.version_info < (3, 11) or not path.is_file() or is_in_run_folder(path.parent):
        return frozenset()
    try:
        return _allowed(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, or no UTF-8
        raise BadRequest(f"{path}: cannot be read as TOML: {error}") from error


@cache
def _allowed(text: str) -> frozenset[str]:
    """Asked for each `_target_` of a config."""
    import tomllib

    allow = tomllib.loads(text).get("tool", {}).get("videxp", {}).get("allow", [])
    return frozenset(str(name) for name in allow)
