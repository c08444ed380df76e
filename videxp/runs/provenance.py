"""provenance.json: what a run was made from and what came out, so that somebody else can get the same number.

Written when training starts, completed when it ends. Beside it data.jsonl.gz names every file of the data set with its
content's hash, so that it can be told later which one changed.
"""

import gzip
import hashlib
import io
import json
import os
import zlib
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import videxp
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import read_json, replacing
from videxp.core.lines import warn
from videxp.core.randomness import RANDOM_SCHEME
from videxp.data.manifest import SPLITS, Manifest
from videxp.runs.code_state import code_state, own_packages, source_hashes
from videxp.runs.environment import environment
from videxp.runs.folder import RunFolder, State, write_json

FORMAT = 3
KINDS: dict[str, Any] = {
    **{"recipe": str, "command": str, "world_size": int, "torch_threads": int},
    **{"inputs": dict, "data": dict, "sources": dict, "packages": dict},
}
"""What is needed of it, beside what `is_whole` looks into."""
COLUMNS = ("split", "path", "label", "start_seconds", "end_seconds", "content")


def provenance(
    *,
    command: str,
    recipe: str,
    config_hash: str,
    inputs: dict[str, Any],
    seed: int,
    world_size: int,
    decoder: str,
    manifest: Manifest,
) -> dict[str, Any]:
    """Everything that is known when training starts. inputs: of `record_inputs`."""
    return {
        "format": FORMAT,
        "started": _now(),
        "command": command,
        "folder": os.getcwd(),
        "recipe": recipe,
        "config_hash": config_hash,
        "inputs": inputs,
        "seed": seed,
        "random_scheme": RANDOM_SCHEME,
        "world_size": world_size,
        "data": {**data_facts(manifest), "decoder": decoder},
        "code": code_state(Path.cwd()),
        "videxp": videxp.__version__,
        "videxp_code": _own_code_state(),
        "sources": source_hashes([*own_packages(), *_packages_to_build(inputs["config"])]),
        **environment(),
        "state": "running",
    }


def data_facts(manifest: Manifest) -> dict[str, Any]:
    """The data set by its content, which decoder `auto` means for how many files, and what was left out and why."""
    decoders = [name for name, error in zip(manifest["decoder"], manifest["error"]) if not error]
    return {
        "name": manifest.name,
        "fingerprint": manifest.fingerprint,
        "cache": manifest.cache,  # how the copies that clips are read from were made; "": the files themselves
        "clips": manifest.counts,
        "classes": len(manifest.classes),
        "classes_hash": hashlib.sha256(json.dumps(manifest.classes).encode()).hexdigest()[:16],  # in their order
        "decoder_by_probe": {name: decoders.count(name) for name in sorted(set(decoders))},
        "quarantined": manifest.unreadable,
    }


def finish_provenance(run: RunFolder, *, state: State) -> None:
    """Add how the run ended, and the hashes of the weights that it left; nothing where it never got so far."""
    from videxp.runs.weights import checkpoint_hash  # torch

    try:
        record = read_json(run.provenance)
        record["weights"] = {"last": checkpoint_hash(run.last), "best": checkpoint_hash(run.best)}
        record["data"]["quarantined"] = run.status().get("quarantined", {})
        record["skipped_steps"] = run.status().get("skipped_steps", [])
    except (OSError, ValueError, KeyError, TypeError, VidexpError):
        return  # what ended the run is the news, not this
    write_json(run.provenance, {**record, "state": state, "finished": _now()})


def read_provenance(run: RunFolder) -> dict[str, Any]:
    """Raises BadRequest where it is missing or damaged."""
    try:
        record = read_json(run.provenance)
        if not is_whole(record):
            raise ValueError("it does not hold what this version records")
    except FileNotFoundError:
        raise BadRequest(
            f"{run.path}: has no provenance.json: it stopped before training, or was made otherwise"
        ) from None
    except (OSError, ValueError) as error:
        raise BadRequest(f"{run.provenance}: cannot be read: {error}") from None
    return record


def is_whole(record: Any) -> bool:
    """Whether it is of this format and has, in the right form, what commands take from it."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return False
    inputs: Any = record.get("inputs")
    return (
        all(isinstance(record.get(key), kind) for key, kind in KINDS.items())
        and all(isinstance(inputs.get(key), dict) for key in ("config", "variables", "files"))
        and all(_has_texts(one, "hash") for one in inputs["variables"].values())
        and all(
            _has_texts(one, "path") and {"sha256", "size_bytes", "mtime_ns"} <= set(one)
            for one in inputs["files"].values()
        )
        and _has_texts(record["data"], "fingerprint", "classes_hash")
        and all(isinstance(text, str) for text in record["sources"].values())
    )


def _has_texts(facts: Any, *keys: str) -> bool:
    return isinstance(facts, dict) and all(isinstance(facts.get(key), str) for key in keys)


def _packages_to_build(config: dict[str, Any]) -> list[str]:
    """Top-level names in a flat config: what is built late in a run, such as a metric, is not loaded yet."""
    targets = [str(value) for key, value in config.items() if key.endswith("_target_")]
    return sorted({target.partition(".")[0] for target in targets})


def _own_code_state() -> dict[str, Any] | None:
    """The repository that videxp itself is run from, where that is not the current one or an installed wheel."""
    package = Path(videxp.__file__).resolve().parent
    if "site-packages" in package.parts or Path.cwd().resolve().is_relative_to(package.parent):
        return None
    return code_state(package)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


# ---- data.jsonl.gz -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """What the fingerprint of a data set is made from, of one sample."""

    split: str
    path: str
    label: str
    start_seconds: str
    end_seconds: str
    content: str


def samples(manifest: Manifest) -> list[Sample]:
    """The readable samples."""
    return [
        Sample(
            split=split,
            path=manifest["path"][i],
            label=manifest["label"][i],
            start_seconds=str(float(manifest["start_seconds"][i])),
            end_seconds=str(float(manifest["end_seconds"][i])),
            content=manifest["content_hash"][i][:16] + manifest["input_hash"][i][:16],
        )
        for split in SPLITS
        for i in manifest.samples(split)
    ]


def save_samples(manifest: Manifest, path: Path) -> None:
    """JSON lines, compressed: 20 bytes per sample, nearly all of them the hashes."""
    text = io.BytesIO()
    with gzip.GzipFile(fileobj=text, mode="wb", mtime=0, filename="") as file:
        for sample in samples(manifest):
            file.write(json.dumps([getattr(sample, name) for name in COLUMNS]).encode() + b"\n")
    with replacing(path) as temporary:
        temporary.write_bytes(text.getvalue())


def read_samples(path: Path) -> list[Sample]:
    """Nothing where the file is missing or damaged, which is said: then only the fingerprints can be compared."""
    if not path.exists():
        return []
    try:
        if not path.is_file():
            raise OSError("no regular file")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            if found := [Sample(*map(str, json.loads(line))) for line in file]:
                return found
        raise EOFError
    except (OSError, ValueError, EOFError, TypeError, RecursionError, zlib.error):
        warn(f"{path}: damaged: which files changed since the training is not known")
        return []
