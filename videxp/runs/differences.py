"""What two runs were made from, compared: data, code and environment, each difference in one line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from videxp.data.annotations.labels import unpack_labels
from videxp.runs.provenance import Sample
from videxp.runs.reading import THROUGHPUT

Kind = Literal["data", "config", "variable", "file", "code", "package", "threads", "environment"]
MAX_NAMED = 5
MAX_CHARACTERS = 60
"""Of a value in a message."""
ABSENT = "absent"

# Facts whose change can change a result: (key of provenance.json, kind, how it is called).
FACTS: list[tuple[str, Kind, str]] = [
    ("seed", "config", "seed"),
    ("random_scheme", "code", "random scheme"),
    ("world_size", "environment", "world size"),
    ("torch_threads", "threads", "torch threads"),
    ("torch_flags", "environment", "torch flags"),
    ("python", "environment", "Python"),
    ("platform", "environment", "platform"),
    ("cpu", "environment", "CPU"),
    ("cpu_capability", "environment", "CPU instructions"),
    ("gpus", "environment", "GPUs"),
    ("cuda", "environment", "CUDA"),
    ("cudnn", "environment", "cuDNN"),
    ("variables", "environment", "variables"),
    ("decoders", "environment", "decoders"),
]
# Packages that take part in every result come first.
NUMERIC = (
    "torch",
    "numpy",
    "av",
    "decord",
    "torchcodec",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "scikit-learn",
)


@dataclass(frozen=True)
class Difference:
    """`Difference("package", "torch", "2.14.0 -> 2.14.1")`."""

    kind: Kind
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind:<12}{self.name}: {self.text}" if self.name else f"{self.kind:<12}{self.text}"


def data_differences(
    before: dict[str, Any], after: dict[str, Any], *, old: list[Sample], new: list[Sample]
) -> list[Difference]:
    """Of two `data` entries of provenance.json; the files' names where both lists are known."""
    found = []
    if before.get("classes_hash", "") != after.get("classes_hash", ""):
        found.append(Difference("data", "classes", _class_changes(before, after, old, new)))
    if before["fingerprint"] != after["fingerprint"]:
        shown = _arrow(before["fingerprint"][:12], after["fingerprint"][:12])
        names = _named(_sample_changes(old, new)) if old else "which file changed was not recorded"
        found.append(Difference("data", "fingerprint", f"{shown}; {_counts(old, new)}{names}"))
    return found


def content_differences(files: list[str]) -> list[Difference]:
    """Of files whose bytes are others though their size and time are the same."""
    text = f"{_named(files)}: other bytes, of the same size and time; videxp prepare --thorough sees it"
    return [Difference("data", "content", text)] if files else []


def _counts(old: list[Sample], new: list[Sample]) -> str:
    """`18 -> 20 files: `, where their number changed."""
    numbers = [len({sample.path for sample in samples}) for samples in (old, new)]
    return f"{_arrow(*numbers)} files: " if old and numbers[0] != numbers[1] else ""


def _class_changes(before: dict[str, Any], after: dict[str, Any], old: list[Sample], new: list[Sample]) -> str:
    known, now = ({name for one in samples for name in unpack_labels(one.label)} for samples in (old, new))
    names = [f"{name} added" for name in sorted(now - known)] + [f"{name} removed" for name in sorted(known - now)]
    if before["classes"] != after["classes"]:
        return f"{_arrow(before['classes'], after['classes'])}: {_named(names)}"
    return _named(names) or "numbered otherwise"


def config_differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Of two flat configs."""
    keys = [key for key in {**before, **after} if before.get(key, ABSENT) != after.get(key, ABSENT)]
    values = [(_shown(before.get(key, ABSENT)), _shown(after.get(key, ABSENT))) for key in keys]
    return [Difference("config", key, _arrow(*pair)) for key, pair in zip(keys, values)]


def _shown(value: Any) -> str:
    """As in YAML, in a word."""
    text = (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or value is True or value is False
        else str(value)
    )
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def outside_differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Of two `inputs`: variables and files that both have. What one lacks stands in its config, or is missed there."""
    keys_of: dict[str, list[str]] = {}
    for key, was in before["variables"].items():
        now = after["variables"].get(key, was)
        if was["hash"] != now["hash"]:
            keys_of.setdefault(", ".join(now["names"]), []).append(key)
    found = [Difference("variable", names, f"has another value ({_named(keys)})") for names, keys in keys_of.items()]
    for key, was in before["files"].items():
        if was["sha256"] != after["files"].get(key, was)["sha256"]:
            found.append(Difference("file", key, f"{was['path']} has other content"))
    return found


def code_differences(before: dict[str, str], after: dict[str, str]) -> list[Difference]:
    """Of two `sources`: every file that was changed, added or removed."""
    return [Difference("code", name, text) for name, text in _changes(before, after)]


def environment_differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Of two provenances: threads and packages first, then the machine."""
    old, new = before["packages"], after["packages"]
    names = [name for name in sorted({*old, *new}, key=_rank) if old.get(name) != new.get(name)]
    found = [Difference("package", name, _arrow(old.get(name, "absent"), new.get(name, "absent"))) for name in names]
    facts = [
        Difference(kind, label, _arrow(before[key], after[key]))
        for key, kind, label in FACTS
        if key in before and key in after and before[key] != after[key]
    ]
    lost = [(record.get("data") or {}).get("quarantined", {}) for record in (before, after)]
    if lost[0] != lost[1]:  # what failed in training: the fingerprint is of what was there when it began
        facts.append(Difference("data", "files left out", _arrow(*lost)))
    return sorted(facts, key=lambda difference: difference.kind != "threads") + found


def _rank(name: str) -> tuple[int, str]:
    return (NUMERIC.index(name) if name in NUMERIC else len(NUMERIC), name.lower())


def _arrow(before: Any, after: Any) -> str:
    """`2.14.0 -> 2.14.1`; of mappings only the entries that differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        return ", ".join(f"{key} {_arrow(before.get(key), after.get(key))}" for key in keys)
    return f"{before} -> {after}"


def _changes(before: dict[str, str], after: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield name, "added" if name not in before else "removed" if name not in after else "changed"


def _sample_changes(old: Iterable[Sample], new: Iterable[Sample]) -> list[str]:
    """`train/walk/1.mp4 changed`, each file once: its content, or how it is listed."""
    before, after = _by_path(old), _by_path(new)
    lines = []
    for path in sorted({*before, *after}):
        was, now = before.get(path), after.get(path)
        if was is None or now is None:
            lines.append(f"{path} {'added' if was is None else 'removed'}")
        elif {sample.content for sample in was} != {sample.content for sample in now}:
            lines.append(f"{path} changed")
        elif was != now:
            lines.append(f"{path} is listed otherwise ({_listed(was)} -> {_listed(now)})")
    return lines


def _by_path(samples: Iterable[Sample]) -> dict[str, set[Sample]]:
    found: dict[str, set[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.path, set()).add(sample)
    return found


def _listed(samples: set[Sample]) -> str:
    return ", ".join(sorted(f"{sample.split} {', '.join(unpack_labels(sample.label))}" for sample in samples))


def _named(lines: list[str]) -> str:
    more = f" and {len(lines) - MAX_NAMED} more" if len(lines) > MAX_NAMED else ""
    return ", ".join(lines[:MAX_NAMED]) + more


def summary(differences: list[Difference]) -> str:
    """Differences of one kind on one line: `code: mymodels/tiny.py changed, mymodels/other.py added`."""
    return _named([f"{d.name} {d.text}" if d.name else d.text for d in differences])


# ---- what came out ---------------------------------------------------------------------------------------------------

Row = dict[str, str]
TIMING = ("_per_second", "_seconds")
AXES = ("step", "epoch", "clips_seen")


@dataclass(frozen=True)
class FirstDifference:
    """The first number of metrics.csv that is not the same."""

    step: str
    metric: str
    before: str
    after: str

    def __str__(self) -> str:
        try:
            by = f" (by {abs(float(self.after) - float(self.before)):.3g})"
        except ValueError:
            by = ""
        return f"step {self.step}, {self.metric}: {self.before or 'nothing'} -> {self.after or 'nothing'}{by}"


def first_difference(before: list[Row], after: list[Row]) -> FirstDifference | None:
    """Rows as text, as they stand in metrics.csv, each number to its last bit. Timing is left out."""
    for old, new in zip(before, after):
        names = [name for name in {**old, **new} if not name.startswith(THROUGHPUT) and not name.endswith(TIMING)]
        for name in sorted(names, key=lambda name: name not in AXES):
            if old.get(name, "") != new.get(name, ""):
                return FirstDifference(old.get("step", ""), name, old.get(name, ""), new.get(name, ""))
    if len(before) != len(after):
        longer, where = (before, "before") if len(before) > len(after) else (after, "after")
        row = longer[min(len(before), len(after))]
        counts = (str(len(before)), str(len(after)))
        return FirstDifference(row.get("step", ""), f"rows of metrics.csv (one only {where})", *counts)
    return None
