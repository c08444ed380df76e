"""What a run's result depends on beside code and data: its config, variables of the environment, files that it names.

Kept as `inputs` in provenance.json, by value or by hash, and compared by every command that goes on with a run or
judges it. Of a variable only a hash is kept, slow to try values on: it may be a secret.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from videxp.core.files import hash_file
from videxp.core.weight_files import is_url

OF_A_MACHINE = ("hardware.", "logger.", "run.")
"""What changes no result, by the beginnings of its keys."""
MARK = "inputs."
DATA = f"{MARK}data"
"""What the keys of `input_marks` begin with."""
MAX_PATH_CHARACTERS = 4096


def record_inputs(
    config: Mapping[str, Any],
    environment: Mapping[str, tuple[list[str], Any]],
    *,
    known: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What provenance.json keeps: `{"config": ..., "variables": ..., "files": ...}`.

    config: flat, as config.yaml has it, without secrets. environment: key -> (variables that it reads, its value).
    known: `files` as recorded; one with the same size and date is not read again, one of another size not at all.
    """
    values = {**dict(_leaves(config)), **dict(_leaves({key: value for key, (_, value) in environment.items()}))}
    root = str(values.get("dataset.root") or ".")
    written = dict(_leaves(config))
    paths = dict(_named_files(values, root=root))
    return {
        "config": as_json(config),
        "variables": hash_variables(environment),
        "files": {
            key: _facts(path, text=str(written.get(key, key)), known=(known or {}).get(key))
            for key, path in paths.items()
        },
    }


def hash_variables(environment: Mapping[str, tuple[list[str], Any]]) -> dict[str, dict[str, Any]]:
    """Key -> the variables that it reads and the hash of its value; not of where something lies."""
    return {
        key: {"names": names, "hash": _slow_hash(key, value)}
        for key, (names, value) in environment.items()
        if not _is_place(value)
    }


def input_marks(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What runs are compared by beside their config: `{"inputs.optimizer.lr": "MY_LR #3f9a1c02", "inputs.data": ...}`.

    Empty where it was not recorded, or is damaged.
    """
    try:
        inputs, packages = provenance["inputs"], _by_package(provenance["sources"])
        variables = {key: f"{', '.join(one['names'])} #{one['hash'][:8]}" for key, one in inputs["variables"].items()}
        files = {key: f"#{str(one['sha256'])[:8]}" for key, one in inputs["files"].items()}
        data = provenance["data"]
        marks = {"data": f"#{data['fingerprint'][:8]}-{data['classes_hash'][:4]}", **variables, **files, **packages}
    except (KeyError, TypeError, AttributeError):
        return {}
    return {f"{MARK}{key}": text for key, text in marks.items()}


def _by_package(sources: Mapping[str, str]) -> dict[str, str]:
    """`{"code.mymodels": "#3f9a1c02"}`."""
    lines: dict[str, list[str]] = {}
    for path, digest in sorted(sources.items()):
        lines.setdefault(path.split("/")[0].removesuffix(".py"), []).append(f"{path} {digest}")
    return {
        f"code.{name}": f"#{hashlib.sha256(chr(10).join(some).encode(errors='replace')).hexdigest()[:8]}"
        for name, some in lines.items()
    }


def as_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """As it is when it is read back."""
    return json.loads(json.dumps(dict(config)))


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """`{"task.files": ["a", "b"]}` -> ("task.files[0]", "a"), ("task.files[1]", "b")."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _leaves(value, f"{key}[{number}]")
    else:
        yield key, node


def _named_files(values: Mapping[str, Any], *, root: str) -> Iterator[tuple[str, Path]]:
    """Of each value that is a file's path, its file; of one that is a run folder's, the checkpoint that is used."""
    for key, value in values.items():
        if not isinstance(value, str) or key.startswith(OF_A_MACHINE) or key.endswith("_target_"):
            continue
        places = [str(Path(root, value)), value] if key.startswith("dataset.") and value else [value]
        if (path := next(filter(None, map(_file_at, places)), None)) is not None:
            yield key, path


def _file_at(text: str) -> Path | None:
    if not text or len(text) > MAX_PATH_CHARACTERS or "\0" in text:
        return None
    if is_url(text):
        return _cached(text)
    path = Path(os.path.expanduser(text))
    try:
        if path.is_file():
            return path
        if (path / "config.yaml").is_file():
            return next(
                (file for name in ("best", "last") if (file := path / f"checkpoints/{name}.ckpt").is_file()), None
            )
    except OSError:  # a name that is too long, a folder that may not be read
        pass
    return None


def _cached(url: str) -> Path | None:
    from videxp.core.tensor_files import cached_file  # torch

    path = cached_file(url)
    return path if path.is_file() else None


def _is_place(value: Any) -> bool:
    """Where something lies changes no result: what lies there does."""
    try:
        named = isinstance(value, str) and bool(value) and "\0" not in value
        return named and Path(os.path.expanduser(value)).exists()
    except OSError:
        return False


def _facts(path: Path, *, text: str, known: dict[str, Any] | None) -> dict[str, Any]:
    """text: the path as config.yaml has it."""
    status = path.stat()
    facts = {"path": text, "size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    if known is not None and known["size_bytes"] != status.st_size:
        return {**facts, "sha256": None}
    if known is not None and known["mtime_ns"] == status.st_mtime_ns:
        return {**facts, "sha256": known["sha256"]}
    return {**facts, "sha256": _sha256(path)}


def _sha256(path: Path) -> str | None:
    """None for what cannot be read."""
    try:
        return hash_file(path, hashlib.sha256())
    except OSError:
        return None


def _slow_hash(key: str, value: Any) -> str:
    """The same for the same value of a key in all runs, so that runs can be compared; some 30 ms each."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.scrypt(text.encode(), salt=f"videxp {key}".encode(), n=1 << 14, r=8, p=1, dklen=16).hex()
