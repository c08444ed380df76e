"""Labels that are numbers: of which class, and how many classes there are.

A number is the place of its class in a file of names or, without one, the class's name.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.data.layouts.tables import cut, read_lines, refuse
from videxp.data.manifest import Split, sorted_classes
from videxp.video.file_kinds import VIDEO_ENDINGS, ending_of

_NUMBERED = re.compile(r"(\d+)[\s,.:;]+\S", re.ASCII)
HEADERS = frozenset(
    f"{word}{ending}" for word in ("class", "label", "category") for ending in ("", "es", "s", "_name", "name", " name")
) | {"name", "names", "categories"}
_DIGITS = 9  # of a class's number at most


@dataclass(frozen=True)
class Listed:
    """A line of a list: a path and a label, as they stand there."""

    split: Split
    path: str
    label: str
    place: str  # `lists/train.txt, line 3`


def read_class_names(root: Path, file: str | None) -> list[str]:
    """One class a line, in the order of their numbers; none without a file.

    Raises BadRequest for a blank line, a name given twice, or a column's: numbers would slip, or classes merge.
    """
    if file is None:
        return []
    lines = read_lines(root / file)
    if not lines:
        raise BadRequest(f"{root / file} is empty: it must hold the name of a class on each line")
    if lines[0][1][0] in "{[":
        raise BadRequest(
            f"{root / file}, line 1: {cut(lines[0][1])}: JSON, but it must hold one name of a class a line"
        )
    seen: dict[str, int] = {}
    for place, (number, name) in enumerate(lines, start=1):
        if number != place:
            raise BadRequest(
                f"{root / file}, line {place} is blank: the numbers of later classes would slip; remove it"
            )
        if name in seen:
            raise BadRequest(f"{root / file}, line {number}: {cut(name)} stands on line {seen[name]}, too: keep one")
        seen[name] = number
    if lines[0][1].casefold() in HEADERS:
        raise BadRequest(f"{root / file}, line 1: {cut(lines[0][1])} names a column, not a class: remove this line")
    _check_numbers(root / file, [name for _, name in lines])
    return [name for _, name in lines]


def _check_numbers(file: Path, names: Sequence[str]) -> None:
    """Raises BadRequest where most names begin with a number, as in `3 run`, that is not their place from 0."""
    found = [_NUMBERED.match(name) for name in names]
    if 2 * sum(match is not None for match in found) <= len(names):
        return
    for place, (name, match) in enumerate(zip(names, found)):
        if match is None or int(match[1][:_DIGITS]) != place:
            raise BadRequest(
                f"{file}, line {place + 1}: {cut(name)} is class {place}: write names alone, "
                "one a line, in the order of their numbers from 0, with no line of columns on top"
            )


def check_first_lines(listed: Sequence[Listed], root: Path) -> None:
    """Raises BadRequest for the first line of a list that names columns: no such video is there, and no other line has
    its label, which would become a class."""
    uses = Counter(line.label for line in listed)
    for line in listed:
        is_first = line.place.endswith(" line 1") and uses[line.label] == 1 and not line.label.isdigit()
        if is_first and ending_of(line.path) not in VIDEO_ENDINGS and not (root / line.path).exists():
            raise BadRequest(
                f"{line.place}: label {cut(line.label)} is no other line's, and {root / line.path} does not exist: "
                "if this line names columns, remove it: such lists have none"
            )


def resolve_labels(listed: Sequence[Listed], *, names: Sequence[str], first_label: int | None) -> list[str]:
    """The class of each line. Labels are all numbers, counted from `first_label` (None: 0, and there is a 0), or all
    names; of `names`, where there are any.

    Raises BadRequest, naming lines, for labels of the other kind, below the first, or beyond the names.
    """
    are_numbers = [line.label.isascii() and line.label.isdigit() for line in listed]
    if not any(are_numbers):
        refuse([_negative(line) for line in listed if re.fullmatch(r"[+-]?\d+(\.\d*)?", line.label)])
        return [line.label for line in listed]
    mostly = 2 * sum(are_numbers) >= len(listed)
    refuse([_of_other_kind(line, mostly) for line, is_number in zip(listed, are_numbers) if is_number != mostly])
    refuse([f"{line.place}: label {cut(line.label)} is too large" for line in listed if len(line.label) > _DIGITS])
    numbers = [int(line.label) for line in listed]
    _check_first(listed, numbers, first_label)
    first = first_label or 0
    if not names:
        _check_greatest(listed, numbers, first)
        return [str(number) for number in numbers]
    refuse(
        [
            f"{line.place}: label {number}, but {len(names)} classes are named, {first} to {first + len(names) - 1}"
            for line, number in zip(listed, numbers)
            if number - first >= len(names)
        ]
    )
    return [names[number - first] for number in numbers]


def numbered_classes(labels: Sequence[str], *, first_label: int | None) -> list[str]:
    """All numbers from the first to the greatest, so that a class without a video has its output, too; or names."""
    if all(label.isascii() and label.isdigit() for label in labels):
        return [str(number) for number in range(first_label or 0, max(map(int, labels)) + 1)]
    return sorted_classes(labels)


def _of_other_kind(line: Listed, mostly_numbers: bool) -> str:
    if not mostly_numbers:
        return f"{line.place}: label {cut(line.label)} is a number, but other labels are names: write its name"
    if re.fullmatch(r"[+-]?\d+(\.\d*)?", line.label):
        return _negative(line)
    header = " (if this line names columns, remove it: such lists have none)" if line.place.endswith(" line 1") else ""
    return f"{line.place}: label {cut(line.label)} is no number, but other labels are{header}"


def _negative(line: Listed) -> str:
    return f"{line.place}: label {cut(line.label)} is no class: they are 0, 1, 2, ...; leave out videos without a label"


def _check_first(listed: Sequence[Listed], numbers: Sequence[int], first_label: int | None) -> None:
    if first_label is None and min(numbers) == 1:
        raise BadRequest(
            f"{listed[0].place.rpartition(', ')[0]}: labels go from 1 to {max(numbers)}, none is 0: "
            "if they count from 1, dataset.layout.first_label=1; if class 0 has no video, dataset.layout.first_label=0"
        )
    refuse(
        [
            f"{line.place}: label {number}, but dataset.layout.first_label={first_label}"
            for line, number in zip(listed, numbers)
            if number < (first_label or 0)
        ]
    )


def _check_greatest(listed: Sequence[Listed], numbers: Sequence[int], first: int) -> None:
    """A slip of the pen would make thousands of classes."""
    count, found = max(numbers) + 1 - first, len(set(numbers))
    if count > 10 * found:
        line = listed[numbers.index(max(numbers))]
        raise BadRequest(
            f"{line.place}: label {max(numbers)} makes {count} classes, but {found} have a video: correct it, "
            "or name all classes in dataset.layout.class_file"
        )


def check_spellings(places: dict[str, str]) -> None:
    """`places`: label -> where it stands first. Raises BadRequest where two spell the same number, as 0 and 0.0 do,
    where one of numbers is negative or none, and for `nan`, which is how a table says that there is no label."""
    values = {label: _number(label) for label in places}
    if missing := next((label for label in places if label.casefold() in ("nan", "<na>")), None):
        raise BadRequest(
            f"{places[missing]}: label {missing!r} is none: leave such lines out (where a video may have none: empty)"
        )
    spelled: dict[float, str] = {}
    for label, value in values.items():
        if value is not None and (other := spelled.setdefault(value, label)) != label:
            raise BadRequest(
                f"{places[label]}: label {label!r} is the same number as {other!r} ({places[other]}): write one of them"
            )
    below = next((label for label, value in values.items() if value is not None and value < 0), None)
    if below is not None and None not in values.values():
        raise BadRequest(
            f"{places[below]}: label {below!r} is no class among numbers: leave such lines out, or write names"
        )


def _number(label: str) -> float | None:
    try:
        return float(label) if re.fullmatch(r"[+-]?\d[\d.]*([eE][+-]?\d+)?", label) else None
    except (ValueError, OverflowError):
        return None
