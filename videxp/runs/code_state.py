"""The code that a run was made with: the state of its git repository, and a hash of each source file in use.

The hashes are what two runs are compared by. They also work outside a repository, and for a package that is used from
another folder; what comes from site-packages is known by its version.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from videxp.core.files import is_run_folder
from videxp.core.secrets import known_secrets, scrubbed
from videxp.runs.git import diff, git

SOURCE_SUFFIXES = {".py", ".pyi", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".sh", ".ipynb", ".c", ".cpp", ".cu", ".h"}
# Left out of diffs and copies whatever they hold.
SECRET_FILES = [
    *(".env", ".env.*", ".netrc", "_netrc", "*.pem", "*.key", "id_rsa*", "id_ed25519*"),
    *("credentials", "credentials.*", "secrets", "secrets.*", "secret.*"),
]
MAX_DIFF_CHARACTERS = 1 << 20
MAX_FILE_BYTES = 1 << 18
MAX_ALL_BYTES = 1 << 21
MAX_HASHED_FILES = 2000  # of one package


def code_state(folder: Path) -> dict[str, Any] | None:
    """Git commit, uncommitted diff and untracked source files of the repository around `folder`; None outside one.

    Text only, without secrets, cut to a size that can be kept in every run; `left_out` names what is not in it.
    """
    try:
        root = Path(git(folder, "rev-parse", "--show-toplevel").strip())
    except (OSError, subprocess.CalledProcessError):
        return None
    secrets = known_secrets()
    try:
        commit = git(root, "rev-parse", "--verify", "-q", "HEAD").strip()
    except subprocess.CalledProcessError:
        commit = ""  # nothing was ever committed
    excluded = [f":(top,exclude,glob,icase)**/{pattern}" for pattern in SECRET_FILES]
    left_out: dict[str, str] = {}
    try:
        changes = diff(root, "HEAD", "--", ":/", *excluded) if commit else ""
    except subprocess.CalledProcessError as error:  # an object that was never fetched, say
        changes, left_out["diff"] = "", f"git diff failed: {error.stderr.decode('utf-8', 'replace').strip()[:200]}"
    if len(changes) > MAX_DIFF_CHARACTERS:
        left_out["diff"] = f"cut after {MAX_DIFF_CHARACTERS} of {len(changes)} characters"
    names = git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", ":/", *excluded).split("\0")
    return {
        "commit": commit or None,
        "diff": scrubbed(changes[:MAX_DIFF_CHARACTERS], secrets),
        "untracked": _texts(root, names, secrets=secrets, left_out=left_out),
        "left_out": left_out,
    }


def _texts(root: Path, names: Iterable[str], *, secrets: list[str], left_out: dict[str, str]) -> dict[str, str]:
    """Untracked source files, less links, run folders, and what is too large or no text."""
    found: dict[str, str] = {}
    total_bytes = 0
    for name in names:
        path = root / name
        if path.suffix not in SOURCE_SUFFIXES or path.is_symlink() or not path.is_file() or _in_run_folder(path, root):
            continue
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES or total_bytes + size_bytes > MAX_ALL_BYTES:
            left_out[name] = f"{size_bytes} bytes"
            continue
        try:
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            text = "\0"
        if "\0" in text:
            left_out[name] = "no text"
            continue
        total_bytes += size_bytes
        found[name] = scrubbed(text, secrets)
    return found


def _in_run_folder(path: Path, root: Path) -> bool:
    return any(_is_run_folder(parent) for parent in path.parents if parent.is_relative_to(root))


_is_run_folder = cache(is_run_folder)


# ---- hashes of source files --------------------------------------------------------------------------------------


def own_packages() -> list[str]:
    """Top-level names of what is loaded from neither the standard library nor site-packages; videxp always."""
    loaded = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    own = {name.partition(".")[0] for name, file in loaded.items() if _is_own(file)}
    return sorted({"videxp"} | own - {"__main__", "__mp_main__"})


def source_hashes(packages: Iterable[str]) -> dict[str, str]:
    """`{"mymodels/tiny.py": "8f0c..."}` for the Python files of packages, found as an import would, not imported.

    None for what lies in the standard library or site-packages, but for videxp.
    """
    hashes: dict[str, str] = {}
    for name in packages:
        for label, path in _files_of(name):
            hashes[label] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return hashes


def _files_of(name: str) -> list[tuple[str, Path]]:
    if not name.isidentifier():  # of a record that anyone wrote; a dotted one would import its parent
        return []
    try:
        # A name that lies in the current folder is found, though `videxp` does not search there by itself.
        spec = find_spec(name) or PathFinder.find_spec(name, [str(Path.cwd())])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [(Path(spec.origin).name, Path(spec.origin))] if _is_own(spec.origin) and spec.origin else []
    return [
        ((Path(name) / path.relative_to(folder)).as_posix(), path)
        for folder in map(Path, spec.submodule_search_locations)  # a folder without __init__.py may lie in two places
        if name == "videxp" or not _is_foreign(str(folder))
        for path in sorted(path for path in folder.rglob("*.py") if path.is_file())[:MAX_HASHED_FILES]
    ]


def _is_own(file: str | None) -> bool:
    if not file or not file.endswith(".py") or not os.path.isabs(file):  # torch.ops says it were "_ops.py"
        return False
    if os.path.islink(file):
        file = os.path.realpath(file)
    return not _is_foreign(os.path.dirname(file))


@cache
def _is_foreign(folder: str) -> bool:
    """Asked for each folder once: some three thousand modules are loaded, and to resolve a path asks the disk."""
    path = Path(folder).resolve()
    return any(path.is_relative_to(place) for place in _foreign_places())


@cache
def _foreign_places() -> list[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places = [sysconfig.get_path(name) for name in names]
    return [Path(place).resolve() for place in places if place] + [
        Path(entry).resolve() for entry in sys.path if entry.rstrip("/").endswith(("site-packages", "dist-packages"))
    ]
