"""What a layout found, guessed and passed over, in a few lines: `prepare` and `train` show them.

A layout never leaves out a file, or decides for the user, without a note.
"""

import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from videxp.video.file_kinds import ending_of

MAX_ENDINGS = 4
MAX_EXAMPLES = 2
LINE_COLUMNS = 80

Note = tuple[str, str]
"""(what it is about, one word: splits | ignored | copies | labels, ...; the note)."""


class Notes:
    """Notes in the order in which they came; files passed over are one line per reason, with numbers and examples."""

    def __init__(self) -> None:
        self.made_splits: set[str] = set()
        """Those that nobody but a hash of the samples' names has made."""
        self._told: dict[Note, None] = {}
        self._counted: dict[Note, list[str]] = defaultdict(list)

    def tell(self, about: str, text: str) -> None:
        """One line; the same again is told once."""
        self._told[about, text] = None

    def pass_over(self, reason: str, path: str, *, about: str = "ignored") -> None:
        """Counted by its reason, in the plural: "hidden files", "folders without videos"."""
        self._counted[about, reason].append(path)

    def add(self, others: "Notes", *, under: Path) -> None:
        """The others' notes, too; their paths lie under this folder."""
        self._told |= others._told
        for reason, paths in others._counted.items():
            self._counted[reason] += [str(under / path) for path in paths]

    @property
    def lines(self) -> list[Note]:
        return [*self._told, *((about, _counted(reason, paths)) for (about, reason), paths in self._counted.items())]


class FilteredNotes(Notes):
    """Passes on what it is told; of files passed over, those alone that are worth a note."""

    def __init__(self, notes: Notes, is_worth: Callable[[str], bool]) -> None:
        super().__init__()
        self._notes = notes
        self._is_worth = is_worth

    def tell(self, about: str, text: str) -> None:
        self._notes.tell(about, text)

    def pass_over(self, reason: str, path: str, *, about: str = "ignored") -> None:
        if self._is_worth(path):
            self._notes.pass_over(reason, path, about=about)


class _Unheard(Notes):
    def tell(self, about: str, text: str) -> None:
        pass

    def pass_over(self, reason: str, path: str, *, about: str = "ignored") -> None:
        pass


UNHEARD = _Unheard()
"""For who only wants the samples."""


def wrapped(text: str, *, indent: int) -> str:
    """Lines of 80 columns, the first of which begins after `indent` of them; words, such as paths, stay whole."""
    lines = textwrap.wrap(text, LINE_COLUMNS - indent, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)


def examples(names: Sequence[str], *, most: int = MAX_EXAMPLES) -> str:
    """`a, b and 3 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def _counted(reason: str, paths: Sequence[str]) -> str:
    """`files that are no videos: 12 (.txt 10, .json 2), such as train/a/notes.txt`; of one, its path alone."""
    if len(paths) == 1:
        return f"{reason}: {paths[0]}"
    endings = Counter(ending_of(path) or "no ending" for path in paths)
    listed = ", ".join(f"{ending} {count:,}" for ending, count in endings.most_common(MAX_ENDINGS))
    if len(endings) > MAX_ENDINGS:
        listed += ", ..."
    kinds = f" ({listed})" if "files" in reason and len(paths) > MAX_EXAMPLES else ""
    return f"{reason}: {len(paths):,}{kinds}, such as {', '.join(paths[:MAX_EXAMPLES])}"
