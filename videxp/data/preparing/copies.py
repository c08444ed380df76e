"""Who is the same sample: the same bytes in overlapping seconds, whatever the file is called and wherever it lies."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf, isnan

from videxp.data.manifest import Facts, Row
from videxp.data.notes import Notes

MAX_NAMED = 3

Pair = tuple[Row, Row]


@dataclass
class Copies:
    """Pairs of samples with the same bytes, each named for its first row."""

    leaked: list[Pair] = field(default_factory=list)  # (of val or test, of train), in overlapping seconds
    shared: list[Pair] = field(
        default_factory=list
    )  # (of test, of val), in overlapping seconds; none where the two splits are the same
    relabelled: list[Pair] = field(default_factory=list)  # the same seconds, another label
    repeated: list[Pair] = field(default_factory=list)  # the same seconds, split and label
    parted: list[Pair] = field(default_factory=list)  # (of val or test, of train): other seconds of one file


def check_copies(rows: Sequence[Row], facts: Mapping[str, Facts], *, name: str, allowed: bool, notes: Notes) -> str:
    """Note what samples are the same. Returns why they are refused, unless `allowed`: one of train is in val or test,
    val and test share some, or one has two labels; "" if they are not."""
    copies = find_copies(rows, facts)
    grave = [
        _told(copies.leaked, "of val or test in train, too"),
        _told(copies.shared, "of test are in val, too"),
        _told(copies.relabelled, "have another label elsewhere", labels=True),
    ]
    if any(grave) and not allowed:
        return (
            f"Data set {name} has the same videos under several names: {'; '.join(filter(None, grave))}\n"
            "Remove one of each, or go on as they are: dataset.preparing.allow_copies=true"
        )
    slight = [
        _told(copies.repeated, "are there twice in their split"),
        _told(copies.parted, "of val or test with other seconds of a file in train"),
        *_pairs_told(rows, facts),
    ]
    for text in filter(None, [*grave, *slight]):
        notes.tell("copies", text)
    return ""


def find_copies(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Copies:
    """Of the files that can be read."""
    by_content: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not facts[row.path].error:
            by_content[facts[row.path].content_hash].append(row)
    copies = Copies()
    for same in by_content.values():
        if len(same) > 1:
            train = [row for row in same if row.split == "train"]
            others = [row for row in same if row.split != "train"]
            for row, other in _overlapping(others, train) if train else ():
                (copies.leaked if other else copies.parted).append((row, other or train[0]))
            val, test = ([row for row in same if row.split == split] for split in ("val", "test"))
            copies.shared += [(row, other) for row, other in _overlapping(test, val) if other]
            _compare_equal(same, copies)
    seconds_of_val, seconds_of_test = (
        {(facts[row.path].content_hash, *_seconds(row)) for row in rows if row.split == split}
        for split in ("val", "test")
    )
    if seconds_of_val == seconds_of_test:
        copies.shared.clear()
    return copies


def _overlapping(rows: Sequence[Row], others: Sequence[Row]) -> Iterator[tuple[Row, Row | None]]:
    """Each row, and one of the others of its file that has some of its seconds, in n log n."""
    others = sorted(others, key=_seconds)
    starts = [_seconds(other)[0] for other in others]
    latest = list(accumulate(others, _ends_last))
    for row in rows:
        start, end = _seconds(row)
        began = bisect_left(starts, end)
        yield row, latest[began - 1] if began and _seconds(latest[began - 1])[1] > start else None


def _ends_last(row: Row, other: Row) -> Row:
    return max(row, other, key=lambda row: _seconds(row)[1])


def _compare_equal(same: Sequence[Row], copies: Copies) -> None:
    """Samples of one file and the same seconds, each against the first."""
    first: dict[tuple[float, float], Row] = {}
    first_of_split: dict[tuple, Row] = {}
    for row in sorted(same, key=lambda row: (row.split, row.path)):
        seconds = _seconds(row)
        if (other := first.setdefault(seconds, row)).labels != row.labels:
            copies.relabelled.append((row, other))
        elif first_of_split.setdefault((row.split, seconds), row) is not row:
            copies.repeated.append((row, first_of_split[row.split, seconds]))


def _seconds(row: Row) -> tuple[float, float]:
    """Start and end; the whole file: 0 and infinity."""
    return (0.0 if isnan(row.start_seconds) else row.start_seconds, inf if isnan(row.end_seconds) else row.end_seconds)


def _pairs_told(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Iterator[str]:
    """Of clips with inputs: an input that is the clip itself, and one that several clips have."""
    itself: list[Pair] = []
    several: list[Pair] = []
    clip_of: dict[str, Row] = {}
    for row in rows:
        if not row.input or facts[row.path].error or facts[row.input].error:
            continue
        digest = facts[row.input].content_hash
        if digest == facts[row.path].content_hash:
            itself.append((row, row))
        elif facts[(other := clip_of.setdefault(digest, row)).path].content_hash != facts[row.path].content_hash:
            several.append((row, other))
    yield _told(itself, "have an input that is the clip itself")
    yield _told(several, "have the input of another clip")


def _told(pairs: Sequence[Pair], what: str, *, labels: bool = False) -> str:
    """`2 of val or test in train, too: test/a/copy.mp4 = train/a/0.mp4, ...`; "" for none."""
    if not pairs:
        return ""
    named = [f"{_name(row, labels)} = {_name(other, labels)}" for row, other in pairs[:MAX_NAMED]]
    return f"{len(pairs):,} {what}: {', '.join(named)}" + (", ..." if len(pairs) > MAX_NAMED else "")


def _name(row: Row, label: bool) -> str:
    start, end = _seconds(row)
    part = "" if (start, end) == (0.0, inf) else f" {start:g}-{end:g} s"
    return f"{row.path}{part}" + (f" ({', '.join(row.labels)})" if label else "")
