"""What an evaluation was computed on, and the files of its figures: one evaluation never takes another's place."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from videxp.runs.provenance import COLUMNS, Sample
from videxp.runs.reading import read_json

SPLITS = ("train", "val", "test")
MAX_NAMED = 3
MAX_CHARACTERS = 60  # of several names
MAX_WORD = 24
Contents = frozenset[Sample]
"""The samples of one file, less its path and their split."""


@dataclass(frozen=True)
class DataChanges:
    """How the samples of a split differ from those that the run recorded: paths."""

    changed: list[str]
    missing: list[str]
    additional: list[str]

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.additional)

    def lines(self) -> list[str]:
        """`["2 changed: test/a/0.mp4, test/a/1.mp4", "1 missing: test/b/0.mp4"]`."""
        return [f"{len(paths)} {what}: {in_short(paths)}" for what, paths in vars(self).items() if paths]

    def facts(self) -> dict[str, Any]:
        """`{"changed": {"count": 2, "examples": [...]}, ...}`."""
        return {what: {"count": len(paths), "examples": paths[:MAX_NAMED]} for what, paths in vars(self).items()}


def data_changes(before: Iterable[Sample], now: Iterable[Sample]) -> DataChanges:
    """Changes between two lists of one split's samples: a file is changed where its content, label or part is another.

    A file of another path is the same where all these are those of one that is missing.
    """
    old, new = _by_path(before), _by_path(now)
    missing, additional = old.keys() - new.keys(), new.keys() - old.keys()
    gone, come = (Counter(what[path] for path in paths) for what, paths in ((old, missing), (new, additional)))
    return DataChanges(
        changed=sorted(path for path in old.keys() & new.keys() if old[path] != new[path]),
        missing=_without(missing, old, found=come),
        additional=_without(additional, new, found=gone),
    )


def _without(paths: Iterable[str], contents: Mapping[str, Contents], *, found: Counter[Contents]) -> list[str]:
    """The paths, sorted, less as many of each content as were `found` elsewhere."""
    left, kept = Counter(found), []
    for path in sorted(paths):
        if left[contents[path]]:
            left[contents[path]] -= 1
        else:
            kept.append(path)
    return kept


@dataclass(frozen=True)
class EvaluatedData:
    """The samples of an evaluation beside those that the run recorded."""

    fingerprint: str
    """Of these samples: path, content, label and part of each, wherever they lie and whatever split they are called."""
    changes: DataChanges | None
    """None where the run did not record its samples."""
    trained: list[str]
    """Those that the run was trained on."""

    def word(self, *, name: str, root: Path, own_name: str, own_root: str) -> str:
        """What the names of the files call the data; "" for the run's own."""
        if name != own_name:
            return name
        if not self.changes:
            return ""
        moved = root.name != Path(own_root).name
        return root.name if moved else f"{name}-{self.fingerprint[:8]}"


def evaluated_data(recorded: Sequence[Sample], now: Sequence[Sample], *, split: str) -> EvaluatedData:
    """The samples `now` of a split (or "all") beside those that a run recorded, of all splits."""
    before = [sample for sample in recorded if split in (sample.split, "all")]
    lines = sorted(json.dumps([getattr(sample, name) for name in COLUMNS if name != "split"]) for sample in now)
    return EvaluatedData(
        fingerprint=hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest(),
        changes=data_changes(before, now) if recorded else None,
        trained=trained_on([sample for sample in recorded if sample.split == "train"], now),
    )


def trained_on(trained: Iterable[Sample], now: Iterable[Sample]) -> list[str]:
    """Paths of samples whose content is among that of the training samples, wherever it lies."""
    known = {sample.content for sample in trained}
    return sorted({sample.path for sample in now if sample.content in known})


def _by_path(samples: Iterable[Sample]) -> dict[str, Contents]:
    """Path of each file -> its samples."""
    found: dict[str, set[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.path, set()).add(replace(sample, path="", split=""))
    return {path: frozenset(some) for path, some in found.items()}


def in_short(paths: Sequence[str]) -> str:
    """The first few paths, or the first alone where they would make a long line."""
    return text if len(text := first_of(paths)) <= MAX_CHARACTERS else first_of(paths, limit=1)


def first_of(names: Sequence[str], *, limit: int = MAX_NAMED) -> str:
    """`a, b, c, ...`."""
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


# ---- names -------------------------------------------------------------------------------------------------------


def result_path(
    path: Path, split: str, *, data: str, protocol: str = "", changes: Mapping[str, Any] | None = None
) -> Path:
    """evaluation.json for test, evaluation_val.json for val; evaluation_vid4.json for test of another data set;
    evaluation_10x3.json for another protocol than the run's, evaluation_size=64.json for another size."""
    is_another_word = data in SPLITS or re.fullmatch(r"\d+x\d+", data)
    words = ([data] if data else []) + ([split] if split != "test" or is_another_word else [])
    words += [protocol] if protocol else []
    changed = [f"{key.rpartition('.')[2]}={value}" for key, value in (changes or {}).items()]
    if len(changed) > 2 or any(len(word) > MAX_WORD for word in changed):
        changed = [f"settings-{short_hash(changes)}"]
    return path.with_stem("_".join([path.stem, *(re.sub(r"[^\w.=+-]+", "-", word) for word in [*words, *changed])]))


def free_paths(paths: Sequence[Path], conditions: Mapping[str, Any]) -> list[Path]:
    """The paths; with a hash of the conditions where the first, the evaluation's, exists and is of others."""
    first = paths[0]
    if not first.exists() or read_json(first).get("conditions") == json.loads(json.dumps(conditions, default=str)):
        return list(paths)
    return [path.with_stem(f"{path.stem}_{short_hash(conditions)}") for path in paths]


def short_hash(value: Any) -> str:
    """Hash of a value as JSON, 8 hex digits."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=4).hexdigest()
