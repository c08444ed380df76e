"""What a command may write to, asked before its work: an input never, a run's own files never, and what is there
already only with --overwrite."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.core.files import MAX_NAME_BYTES, is_run_folder, is_special

Identity = tuple[int, int]
"""Device and inode: the same for a file's every path, link and spelling."""

OTHER_NAME, OVERWRITE = "choose another name", "choose another name, or add --overwrite"
RUN_FOLDERS = frozenset({"checkpoints", "samples", "wandb"})
RUN_FILES = frozenset(
    {
        "config.yaml",
        "overrides.yaml",
        "provenance.json",
        "provenance.damaged.json",
        "data.jsonl.gz",
        "manifest.tsv.gz",
        "status.json",
        "metrics.csv",
        "log.txt",
        "evaluation.json",
        "predictions.csv",
        "robustness.jsonl",
        "card.md",
        "int8.onnx",
        "compression.json",
    }
)
SWEEP_FILES = frozenset({"sweep.yaml", "study.db"})


def identities(paths: Iterable[Path]) -> dict[Identity, Path]:
    """The inputs by what they are on disk."""
    return {identity: path for path in paths if (identity := _identity(path))}


def require_output_file(
    path: Path, *, overwrite: bool, inputs: Mapping[Identity, Path] | None = None, option: str = "-o"
) -> None:
    """Raises BadRequest where a file must not, or cannot, be written to `path`."""
    refuse_inputs_and_runs(path, inputs or {}, option=option)
    if path.is_dir():
        raise BadRequest(f"{option} {path} is a folder: give a file")
    if is_special(path):
        return
    if os.path.lexists(path) and not overwrite:
        raise BadRequest(f"{option} {path} is there already: {OVERWRITE}")
    require_place(path, option=option)


def refuse_inputs_and_runs(path: Path, inputs: Mapping[Identity, Path], *, option: str = "-o") -> None:
    """Raises BadRequest for one of the inputs, a picture in a folder of frames that is one, or a run's own file."""
    require_names(path, option=option)
    identity = _identity(path)
    if identity in inputs:
        raise BadRequest(f"{option} {path} is the input itself: {OTHER_NAME}")
    if identity and _identity(path.parent) in inputs:
        raise BadRequest(f"{option} {path} is a part of the input {path.parent}: {OTHER_NAME}")
    if run := run_that_owns(path):
        raise BadRequest(f"{option} {path} is one of the run's own files ({run}): {OTHER_NAME}")


def require_names(path: Path, *, option: str = "-o") -> None:
    """Raises BadRequest where a name in `path` is too long for a file system."""
    if any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in path.parts):
        raise BadRequest(f"{option} {path}: a name may have {MAX_NAME_BYTES} bytes: choose a shorter one")


def inputs_of_outputs(outputs: Iterable[tuple[Path, Path]], *, option: str) -> dict[Path, Path]:
    """outputs: (output, the input that it is of). Output -> input; raises BadRequest where one would be of two."""
    taken: dict[Path, Path] = {}
    for path, source in outputs:
        if (other := taken.setdefault(path, source)) is not source:
            raise BadRequest(f"{option}: {path} would be of {other} and of {source}: one after the other")
    return taken


def require_place(path: Path, *, option: str = "-o") -> None:
    """Raises BadRequest where nothing new can be made at `path`, or in folders that are to be made for it."""
    require_names(path, option=option)
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadRequest(f"{option} {path}: cannot be written: {folder}: {error.strerror}") from None


def require_own_folder(folder: Path, *, known: Callable[[str], bool], option: str) -> None:
    """Raises BadRequest where `folder` holds other things than those that are `known` by their names."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise BadRequest(f"{option} {folder} is a file: give a folder")
    others = [path.name for path in sorted(folder.iterdir()) if not known(path.name)] if folder.is_dir() else []
    if others:
        raise BadRequest(f"{option} {folder} holds other things, such as {others[0]}: give a folder of its own")
    require_place(folder / "x", option=option)


def run_that_owns(path: Path) -> Path | None:
    """The run or sweep folder that `path` is an own file of, there or still to be written; None for other files."""
    real = path.resolve()
    for folder in real.parents:
        first = real.relative_to(folder).parts[0]
        if _is_own(first, folder) and is_run_folder(folder):
            return folder
        if first in SWEEP_FILES and (folder / "sweep.yaml").is_file():
            return folder
    return None


def own_files(folder: Path) -> list[str]:
    """Names in `folder` that a run would write to."""
    return sorted(path.name for path in folder.iterdir() if _is_own(path.name, folder)) if folder.is_dir() else []


def _is_own(name: str, folder: Path) -> bool:
    if name in RUN_FOLDERS or name in RUN_FILES:
        return True
    evaluated = (name.startswith("evaluation_") and name.endswith(".json")) or (
        name.startswith("predictions_") and name.endswith(".csv")
    )
    return evaluated and (folder / name).exists()


def _identity(path: Path) -> Identity | None:
    """None where nothing is there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
