"""Labels that look the same to people, and are not the same to a computer."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from videxp.core.errors import BadRequest
from videxp.data.notes import Notes

# Letters of Greek and Cyrillic that look as Latin ones do.
_LATIN = str.maketrans(
    "АВЕЅІЈКМНОРСТХУасеоріјѕхуԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",  # noqa: RUF001  # the look-alikes themselves
    "ABESIJKMHOPCTXYaceopijsxydqwABEZHIKMNOPTYXo",
)

# Beside format characters (category Cf): joiners, fillers and variation selectors, of which fonts show nothing.
_UNSEEN = re.compile(r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def check_alike(labels: Iterable[str], *, name: str, notes: Notes) -> None:
    """Note labels that differ in case, in - _ and blanks, in zeros of a number, or in letters of another script.

    Raises BadRequest for those that differ in what nobody sees: Unicode form, zero-width characters, blanks around.
    """
    labels = sorted(set(labels))
    for same in _groups(labels, _visible):
        shown = " and ".join(ascii(label) for label in same)
        raise BadRequest(
            f"Data set {name}: {len(same)} labels look the same, {same[0]!r}, but differ in Unicode form, zero-width "
            f"characters or blanks: {shown}: rename all but one"
        )
    for same in _groups(labels, plain_form):
        notes.tell("labels", f"alike, but classes of their own: {', '.join(repr(label) for label in same)}")


def _groups(labels: Sequence[str], form: Callable[[str], str]) -> list[list[str]]:
    """The labels that come to the same form, where there are several."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(form(label), []).append(label)
    return [same for same in groups.values() if len(same) > 1]


def _visible(label: str) -> str:
    """What one sees of it."""
    composed = _UNSEEN.sub("", unicodedata.normalize("NFC", label))
    return " ".join("".join(letter for letter in composed if unicodedata.category(letter) != "Cf").split())


def plain_form(label: str) -> str:
    """What one remembers of it."""
    text = unicodedata.normalize("NFKC", _visible(label)).translate(_LATIN).casefold()
    if re.fullmatch(r"[+-]?\d+([.,]\d*)?", text):
        return f"{float(text.replace(',', '.')):g}"
    return re.sub(r"[\s_-]+", " ", text).strip()
