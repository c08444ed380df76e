"""What is remarkable about the samples that are listed and the files that can be read; `prepare` notes it."""

from collections.abc import Mapping, Sequence

from videxp.data.manifest import SPLITS, Facts, Row, sorted_classes
from videxp.data.notes import Notes, examples

MAX_NAMED = 5
LATE_SECONDS = 1  # after the end: lists round


def tell_oddities(facts: Mapping[str, Facts], notes: Notes) -> None:
    """What is odd about files that can be read; of many such files, of some."""
    odd = [f"{path}: {one.note}" for path, one in sorted(facts.items()) if one.note and not one.error]
    for line in odd[:MAX_NAMED]:
        notes.tell("odd", line)
    if len(odd) > MAX_NAMED:
        notes.tell("odd", f"{len(odd) - MAX_NAMED:,} files more: see `note` in the manifest")


def tell_late_ends(rows: Sequence[Row], facts: Mapping[str, Facts], notes: Notes) -> None:
    """Parts that go on well after their video has ended, as those do that are given in frames."""
    ends = [(row, facts[row.path]) for row in rows if row.end_seconds > LATE_SECONDS]
    late = [(row, of) for row, of in ends if not of.error and row.end_seconds > of.duration_seconds + LATE_SECONDS]
    if late:
        row, of = late[0]
        notes.tell(
            "times",
            f"{len(late):,} parts go on after their video has ended, such as {row.path}, to {row.end_seconds:g} s of "
            f"{of.duration_seconds:.1f} s: times are in seconds, not in frames",
        )


def tell_absent_classes(rows: Sequence[Row], notes: Notes) -> None:
    """Classes that are trained, and of which val or test, where there is such a split, has no sample."""
    of: dict[str, set[str]] = {split: set() for split in SPLITS}
    for row in rows:
        of[row.split].update(row.labels)
    for split in ("val", "test"):
        if of[split] and (absent := sorted_classes(of["train"] - of[split])):
            notes.tell(
                "classes", f"{split} has no sample of {len(absent):,} of {len(of['train']):,}: {examples(absent)}"
            )
