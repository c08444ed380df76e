"""The manifest of a prepared data set: one line per sample, readable by people, cheap to share between workers.

On disk a TSV with one comment line on top. In memory columns: numbers are numpy arrays, strings are packed into one
buffer of bytes, so that 100,000 samples are a dozen arrays and no Python objects that every worker would copy.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import isnan, nan
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.files import replacing
from videxp.data.annotations.labels import SEVERAL, Labels, pack_labels
from videxp.data.notes import Note

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Part = Literal["train", "val", "test", "all"]
"""A split, or the whole data set."""
FORMAT = 6


@dataclass(frozen=True)
class Row:
    """One sample as a layout lists it. Paths are relative to the root, with `/`; nan = from the start, to the end.

    labels: sorted names of its classes; none where a data set has none. input: the degraded counterpart of `path`,
    frame by frame; "" where it is made. fields: (name, text) of each of the layout's annotations that the sample has,
    as the annotation packs it; kept in columns `fields.<name>`.
    """

    path: str
    split: Split
    labels: tuple[str, ...] = ()
    start_seconds: float = nan
    end_seconds: float = nan
    input: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    def field(self, name: str) -> str:
        """ "" where it is not stated."""
        return dict(self.fields).get(name, "")

    def with_field(self, name: str, text: str) -> "Row":
        return replace(self, fields=(*((other, kept) for other, kept in self.fields if other != name), (name, text)))


@dataclass(frozen=True)
class Facts:
    """What opening a file told. `error` is "" or why it cannot be read; then the other facts mean nothing."""

    size_bytes: int = 0
    mtime_ns: int = 0
    content_hash: str = ""  # blake2b of the whole file
    num_frames: int = 0
    fps: float = nan  # frames over the time that they are shown
    variable_rate: int = 0  # 1: `fps` is an average, and time goes by a table
    first_seconds: float = 0.0  # when the first frame is shown, after picture or sound have begun
    width: int = 0
    height: int = 0
    duration_seconds: float = nan
    rotation_degrees: int = 0
    key_frames: int = 0
    codec: str = ""
    container: str = ""
    decoder: str = ""  # what `auto` reads it with: packets | decord | pyav | frames (a folder of images) | cache
    decoder_reason: str = ""  # why not decord
    packets_byte: int = 0  # where its table of packets lies in the file of all of them
    packets_size: int = 0  # bytes; 0: none, the container has to be opened
    times_byte: int = -1  # where the times of its frames lie there; -1: the rate is constant
    shard: str = ""  # of a cache: the file in which a copy lies
    shard_byte: int = 0  # where in it
    shard_size: int = 0  # of the whole shard, bytes
    error: str = ""
    note: str = ""  # what is odd about a file that can be read
    input_size_bytes: int = 0  # of the row's input, where it has one; it has as many frames
    input_mtime_ns: int = 0
    input_hash: str = ""
    input_width: int = 0
    input_height: int = 0


class Strings(Sequence[str]):
    """A column of strings in two arrays. A file name that is not UTF-8 survives."""

    def __init__(self, data: np.ndarray, ends: np.ndarray) -> None:
        self.data = data  # uint8 [total bytes]
        self.ends = ends  # int64 [N]

    @classmethod
    def pack(cls, strings: Iterable[str]) -> "Strings":
        """Raises ValueError for one with a zero byte, which no path has."""
        listed = list(strings)
        data = np.frombuffer(("\0".join(listed) + "\0" * bool(listed)).encode("utf-8", "surrogateescape"), np.uint8)
        ends = np.flatnonzero(data == 0)
        if len(ends) != len(listed):
            raise ValueError("a string holds a zero byte")
        return cls(data[data != 0], ends - np.arange(len(ends)))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int | np.integer):
            return self._taken(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index = int(index) % len(self)
        start = self.ends[index - 1] if index else 0
        return self.data[start : self.ends[index]].tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        data, start = self.data.tobytes(), 0
        for end in self.ends.tolist():
            yield data[start:end].decode("utf-8", "surrogateescape")
            start = end

    def equal(self, string: str) -> np.ndarray:
        """bool [N]: which are this one."""
        found = self.lengths == len(wanted := np.frombuffer(string.encode("utf-8", "surrogateescape"), np.uint8))
        starts = self.ends[found] - len(wanted)
        found[found] = (self.data[starts[:, None] + np.arange(len(wanted))] == wanted).all(axis=1)
        return found

    @property
    def lengths(self) -> np.ndarray:
        """int64 [N], bytes."""
        return np.diff(self.ends, prepend=0)

    def _taken(self, rows: np.ndarray) -> "Strings":
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        shifts = np.repeat((self.ends[rows] - lengths) - (ends - lengths), lengths)
        return Strings(self.data[np.arange(len(shifts)) + shifts], ends)


OF_ROWS = {"path": str, "label": str, "split": str, "start_seconds": float, "end_seconds": float, "input": str}
COLUMNS: dict[str, Any] = OF_ROWS | {f.name: f.type for f in fields(Facts)}
FIELD = "fields."  # before the names of columns that not all data sets have, which are texts


@dataclass(frozen=True)
class Manifest:
    """A prepared data set, sorted by (split, path, start). All columns have one entry per sample.

    A data set's classes are in the order in which the model numbers them.
    """

    name: str
    root: str
    classes: list[str]
    columns: dict[str, Any] = field(repr=False)
    frame_template: str = ""  # for folders of images, such as img_{:05d}.jpg
    packets_file: Path | None = None  # the tables of packets of all files, one after another
    times_file: Path | None = (
        None  # where the times of frames are, of files with a variable rate: the same, or a cache's source's
    )
    shards: str = ""  # the folder, or URL, of a cache's shards, where samples are read from one
    labels: Labels = "label"  # "labels" where some sample has more than one, or none of the classes
    pixels: tuple[tuple[float, ...], tuple[float, ...]] | None = None  # mean and deviation of RGB in [0,1], of some
    notes: Sequence[Note] = ()  # what was guessed and passed over when it was prepared
    made_splits: frozenset[str] = frozenset()  # those that nobody but a hash of the samples' names has made
    cache: str = ""  # how its copies were made: `medium, crf 21, stride 4`

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[Row, Facts]],
        *,
        name: str,
        root: str,
        classes: list[str],
        frame_template: str = "",
        packets_file: Path | None = None,
        notes: Sequence[Note] = (),
        made_splits: frozenset[str] = frozenset(),
        fields: Sequence[str] = (),
    ) -> "Manifest":
        """fields: names of the layout's annotations, of which rows may state something."""
        ordered = sorted(rows, key=lambda pair: _order(pair[0]))
        values = [vars(row) | {"label": pack_labels(row.labels)} | vars(facts) for row, facts in ordered]
        columns = {column: _column([v[column] for v in values], kind) for column, kind in COLUMNS.items()}
        assert all(name in fields for row, _ in ordered for name, _ in row.fields)
        columns |= {FIELD + name: Strings.pack(row.field(name) for row, _ in ordered) for name in fields}
        return cls(
            name,
            root,
            classes,
            columns,
            frame_template,
            packets_file,
            packets_file,
            labels=_labels(columns["label"], classes),
            notes=notes,
            made_splits=made_splits,
        )

    def __len__(self) -> int:
        return len(self.columns["path"])

    def __getitem__(self, column: str) -> Any:
        """numpy [N] or Strings [N]."""
        return self.columns[column]

    def row(self, index: int) -> dict[str, Any]:
        """One sample, as plain Python values."""
        return {name: COLUMNS[name](self.columns[name][index]) for name in COLUMNS}

    def samples(self, part: Part) -> np.ndarray:
        """Positions of a part's readable samples, int64 [n]: a sample's `index` in batches counts in this."""
        return np.flatnonzero(self.is_in(part) & (self["error"].lengths == 0))

    def is_in(self, part: Part) -> np.ndarray:
        """Whether each sample is in a part, bool [N]."""
        return np.ones(len(self), dtype=bool) if part == "all" else self["split"].equal(part)

    def only(self, part: Part) -> "Manifest":
        """The samples of one part, in the same order. Of all, one that is in two splits (val is test) counts once."""
        if part == "all":
            keys = zip(self["path"], self["start_seconds"].tolist(), self["end_seconds"].tolist())
            chosen = np.array(sorted({str(key): row for row, key in enumerate(keys)}.values()), dtype=np.int64)
        else:
            chosen = np.flatnonzero(self.is_in(part))
        return replace(self, columns={name: column[chosen] for name, column in self.columns.items()})

    @cached_property
    def counts(self) -> dict[str, int]:
        """Readable samples per split."""
        return {split: len(self.samples(split)) for split in SPLITS}

    @cached_property
    def unreadable(self) -> dict[str, str]:
        """Path -> cause, of each file that cannot be read."""
        return {path: error for path, error in zip(self["path"], self["error"]) if error}

    @cached_property
    def scale(self) -> int | None:
        """Size of the clips / size of their inputs; None where there are no inputs.

        Raises BadRequest where it is not the same for all.
        """
        paired = [i for i, (path, error) in enumerate(zip(self["input"], self["error"])) if path and not error]
        scales = {i: int(self["height"][i] // self["input_height"][i]) for i in paired}
        other = next((i for i in paired if scales[i] != scales[paired[0]]), None)
        if other is not None:
            first, second = (f"{self['input'][i]} x{scales[i]}" for i in (paired[0], other))
            raise BadRequest(f"Data set {self.name}: its inputs are of several scales: {first}, {second}: keep one")
        return scales[paired[0]] if paired else None

    @cached_property
    def fingerprint(self) -> str:
        """blake2b over the samples, wherever they lie: path, size, content, split, label, start and end of each,
        path and content of its input, and the fields that its layout states.

        Unreadable files are no samples, so two machines with different subsets of Kinetics differ.
        """
        names = ("path", "size_bytes", "content_hash", "split", "label", "start_seconds", "end_seconds")
        of_input = ("input", "input_hash")
        fields = [name for name in self.columns if name.startswith(FIELD)]
        lines = sorted(
            "\t".join(
                [
                    *(_to_text(self[name][i]) for name in (names + of_input if self["input"][i] else names)),
                    *(f"{name}={_to_text(self[name][i])}" for name in fields if self[name][i]),
                ]
            )
            for i, error in enumerate(self["error"])
            if not error
        )
        return hashlib.blake2b("\n".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    def write(self, path: Path) -> None:
        """Replace the file at `path`; whoever reads meanwhile gets the old one or the new one."""
        lines = ["\t".join(self.columns)]
        lines += ["\t".join(_to_text(column[i]) for column in self.columns.values()) for i in range(len(self))]
        about = {
            "format": FORMAT,
            "name": self.name,
            "root": self.root,
            "fingerprint": self.fingerprint,
            "counts": self.counts,
            "unreadable": len(self.unreadable),
            "frame_template": self.frame_template,
            "packets_file": self.packets_file.name if self.packets_file else "",
            "labels": self.labels,
            "pixels": self.pixels,
            "notes": self.notes,
            "classes": self.classes,
        }
        about["checksum"] = _checksum(about, lines)
        lines.insert(0, f"# videxp manifest {json.dumps(about)}")
        with replacing(path) as temporary:
            temporary.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Raises BadRequest where the file is missing or is none of ours."""
        try:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            first, header, *lines = text.removesuffix("\n").split("\n")
            about = json.loads(first.removeprefix("# videxp manifest "))
            names, fields = header.split("\t")[: len(COLUMNS)], header.split("\t")[len(COLUMNS) :]
            if about["format"] != FORMAT or names != list(COLUMNS) or not all(f.startswith(FIELD) for f in fields):
                raise ValueError("written by another version")
            if about.pop("checksum") != _checksum(about, [header, *lines]):
                raise ValueError("its checksum is wrong")
            kinds = {**COLUMNS, **dict.fromkeys(fields, str)}
            cells = list(zip(*(line.split("\t") for line in lines))) or [()] * len(kinds)
            columns = {name: _parsed(column, kind) for (name, kind), column in zip(kinds.items(), cells, strict=True)}
        except FileNotFoundError:
            raise BadRequest(f"The data set is not prepared ({path} is missing): run `videxp prepare` first") from None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise BadRequest(
                f"{path} is no manifest of this version ({error}): delete it, then prepare again"
            ) from None
        packets_file = path.parent / about["packets_file"] if about["packets_file"] else None
        return cls(
            name=about["name"],
            root=about["root"],
            classes=about["classes"],
            columns=columns,
            frame_template=about["frame_template"],
            packets_file=packets_file,
            times_file=packets_file,
            pixels=None if about["pixels"] is None else (tuple(about["pixels"][0]), tuple(about["pixels"][1])),
            labels=_labels(columns["label"], about["classes"]),
            notes=[(kind, text) for kind, text in about["notes"]],
        )


def _checksum(about: dict[str, Any], lines: list[str]) -> str:
    """Of all that a manifest says."""
    text = "\n".join([json.dumps(about), *lines])
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def read_about(path: Path) -> dict[str, Any]:
    """The first line of a manifest: its name, root, classes, counts; {} of one of another version."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            about = json.loads(file.readline().removeprefix("# videxp manifest "))
        sum(about["counts"].values())
        return about if about["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def sorted_classes(labels: Iterable[str]) -> list[str]:
    """Class names in a fixed order: by number where all are numbers ("2" before "10"), else by name. "" is no label."""
    unique = set(labels) - {""}
    longest = max(map(len, unique), default=0)
    are_numbers = all(label.isdecimal() for label in unique)  # of any length: `int` takes 4,300 digits at most
    return sorted(unique, key=lambda label: label.zfill(longest)) if are_numbers else sorted(unique)


def _labels(of_samples: Strings, classes: list[str]) -> Labels:
    several = (of_samples.data == ord(SEVERAL)).any() or (classes and (of_samples.lengths == 0).any())
    return "labels" if several else "label"


def _order(row: Row) -> tuple[int, str, float, str]:
    start = -1.0 if isnan(row.start_seconds) else row.start_seconds
    return SPLITS.index(row.split), row.path, start, pack_labels(row.labels)


def _column(values: Iterable[Any], kind: type) -> Any:
    if kind is str:
        return Strings.pack(values)
    return np.array(list(values), dtype=np.float64 if kind is float else np.int64)


# On disk a name's tabs and line breaks are written as \t and \n, several labels as a\|b, and nan as an empty cell.

_UNESCAPES = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r", "\\|": SEVERAL}
_ESCAPES = str.maketrans({plain: written for written, plain in _UNESCAPES.items()})


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    number = value.item()
    return "" if isnan(number) else repr(number)


def _parsed(cells: Iterable[str], kind: type) -> Any:
    if kind is str:
        return Strings.pack(re.sub(r"\\.", lambda m: _UNESCAPES[m[0]], c) if "\\" in c else c for c in cells)
    return _column((kind(cell or "nan") for cell in cells), kind)
