"""Cuts of one recording, or videos of one person, told by their names: splits made file by file tear them apart."""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence

from videxp.data.manifest import Row
from videxp.data.notes import Notes

PERSONS = ("subject", "subj", "person", "actor", "speaker", "signer", "user", "participant", "patient", "player")
PARTS = ("c", "clip", "cut", "part", "pt", "p", "seg", "segment", "chunk", "take", "shot", "piece", "")
SOURCES = ("g", "group", "video", "vid", "film", "movie", "rec", "recording", "session", "sequence", "seq", "scene")


def patterns() -> Iterator[str]:
    """Regular expressions whose first group names the source of a file. No backslash or space: they are to be typed."""
    for word in PERSONS:
        yield f"(?i)(?:^|[^a-z0-9])({word}[_-]?[0-9]+)"
    for word in PARTS:
        yield f"(?i)^(.+)[^a-z0-9]{word}[_-]?[0-9]+[.][^./]+$"
    yield "^(.+?)(?:[^a-zA-Z0-9][0-9]+)+[.][^./]+$"  # <id>_000010_000020.mp4
    for word in SOURCES:
        yield f"(?i)^(.*[^a-z0-9]{word}[_-]?[0-9]+)[^a-z0-9]"
    yield "^(.+)/[^/]+$"


def tell_torn_recordings(rows: Sequence[Row], notes: Notes) -> None:
    """Where names suggest sources, and some of these are in several splits, say so, with the pattern that mends it."""
    for pattern in patterns():
        if (sources := _sources(rows, pattern)) is None:
            continue
        if torn := sorted(name for name, of in sources.items() if len({row.split for row in of}) > 1):
            typed = shlex.quote(f'dataset.layout.group_pattern="{pattern}"')
            notes.tell(
                "splits",
                f"by their names, files of {len(torn):,} of {len(sources):,} recordings, persons or folders lie in "
                f"several splits, such as those of {torn[0]}; keep each together: {typed}",
            )
        return


def _sources(rows: Sequence[Row], pattern: str) -> dict[str, list[Row]] | None:
    """The rows of each source; None where the pattern tells none: some name does not match, a whole class (or the whole
    set) is one, or most files stand alone."""
    compiled = re.compile(pattern)
    sources: dict[str, list[Row]] = defaultdict(list)
    classes: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in rows:
        if (match := compiled.search(row.path)) is None:
            return None
        sources[match[1]].append(row)
        classes[row.labels].add(match[1])
    in_company = sum(len(of) for of in sources.values() if len(of) > 1)
    return dict(sources) if in_company * 2 >= len(rows) and any(len(of) > 1 for of in classes.values()) else None
