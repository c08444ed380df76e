"""Text files that list samples, read strictly: one line a row, nothing guessed, and several faults told together."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Sequence
from math import inf, isfinite, nan
from os.path import exists
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from videxp.core.errors import BadRequest
from videxp.data.annotations.labels import SEVERAL

Cells = dict[str, Any]
"""Column -> value: text, or whatever JSON holds."""

MAX_TOLD = 2
LONGEST_PATH = 4096  # bytes, Linux's PATH_MAX
TABLES = (".csv", ".tsv", ".txt")
JSON_LINES = (".jsonl", ".ndjson", ".json")

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def read_each(items: Iterable[_Item], read: Callable[[_Item], _Done]) -> list[_Done]:
    """`read` of each item. Raises one BadRequest that names the first faults, and counts the others."""
    done: list[_Done] = []
    faults: list[str] = []
    for item in items:
        try:
            done.append(read(item))
        except BadRequest as fault:
            faults.append(str(fault))
    refuse(faults)
    return done


def refuse(faults: Sequence[str]) -> None:
    """Raise BadRequest with the first faults, one on a line, and the number of the others, if there is any."""
    if faults:
        more = len(faults) - MAX_TOLD
        raise BadRequest("\n".join([*faults[:MAX_TOLD], *([f"and {more} more lines with faults"] if more > 0 else [])]))


def cut(text: Any) -> str:
    """A value in quotes for a message, at most 60 characters of it."""
    text = str(text)
    return repr(text if len(text) <= 60 else text[:57] + "...")


# ---- text -----------------------------------------------------------------------------------------------------------

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WIDE = {codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16",
         codecs.BOM_UTF16_BE: "UTF-16"}  # fmt: skip


def read_text(file: Path) -> str:
    """A UTF-8 file with or without a byte order mark; every kind of line end becomes \\n.

    Raises BadRequest, with the line, where it cannot be read, is in another encoding or holds control characters.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror or type(error).__name__}") from None
    encoding = next((name for mark, name in _WIDE.items() if data.startswith(mark)), "")
    if not encoding and 3 * data.count(0) >= len(data) > 0:
        encoding = "UTF-16LE" if data[1:2] == b"\0" else "UTF-16BE"
    if encoding:
        raise BadRequest(f"{file} is {encoding}, not UTF-8: {_recode(file, encoding)}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
        found, remedy = f"byte 0x{data[error.start]:02x}", _recode(file, "ISO-8859-1")
        raise BadRequest(f"{file}, line {number}: not UTF-8 ({found}); if it is Latin-1: {remedy}") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if control := _CONTROL.search(text):
        place = f"{file}, line {text.count(chr(10), 0, control.start()) + 1}"
        raise BadRequest(f"{place}: a control character ({control[0]!r}) in the text: remove it")
    return text


def _recode(file: Path, encoding: str) -> str:
    new = f"NEW{file.suffix}"
    return f"iconv -f {encoding} -t UTF-8 {quote(str(file))} > {new}, then give {new}, or call it {file.name}"


def read_lines(file: Path) -> list[tuple[int, str]]:
    """(number from 1, line) of each line that is not blank, without the blanks around it."""
    lines = enumerate(read_text(file).split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_list(file: Path) -> list[tuple[int, str]]:
    """The same. Raises BadRequest where there is none."""
    if lines := read_lines(file):
        return lines
    raise BadRequest(f"{file} is empty: it must name a sample on each line")


# ---- tables ---------------------------------------------------------------------------------------------------------


def read_table(file: Path) -> list[tuple[int, Cells]]:
    """(line number from 1, {column: value}) of each row of a CSV, TSV or JSONL file; blank rows are left out.

    Raises BadRequest where the file or a row cannot be understood without a guess.
    """
    ending = file.suffix.lower()
    if ending in JSON_LINES:
        return _json_rows(file)
    if ending in TABLES:
        return _separated_rows(file)
    raise BadRequest(f"{file}: cannot tell how it is written: save it as .csv, .tsv or .jsonl")


def _separated_rows(file: Path) -> list[tuple[int, Cells]]:
    lines = [(number, line) for number, line in enumerate(read_text(file).split("\n"), start=1) if line.strip()]
    if not lines:
        raise BadRequest(f"{file} is empty: its first line must name the columns, such as path,label")
    top = lines[0][1]
    delimiter = "," if file.suffix.lower() == ".csv" and "\t" not in top else "\t"
    names = _fields(top, delimiter, f"{file}, line {lines[0][0]}")
    _check_names(names, delimiter, f"{file}, line {lines[0][0]}")

    def row(numbered: tuple[int, str]) -> tuple[int, Cells]:
        number, line = numbered
        fields = _fields(line, delimiter, place := f"{file}, line {number}")
        if len(fields) != len(names) and any(fields):
            remedy = "a field that holds , stands in quotation marks" if delimiter == "," else "tabs part the fields"
            raise BadRequest(f"{place}: not {len(names)} columns as on top, but {len(fields)}: {remedy}")
        if fields == names:
            raise BadRequest(f"{place}: the columns' names again: remove this line (or name the columns in the first)")
        return number, dict(zip(names, fields)) if any(fields) else {}

    rows = [(number, cells) for number, cells in read_each(lines[1:], row) if cells]
    if not rows:
        raise BadRequest(f"{file} has no lines below its first, which names the columns {', '.join(names)[:100]}")
    return rows


def _check_names(names: Sequence[str], delimiter: str, place: str) -> None:
    """Columns without a name may be there, as pandas writes its index; nothing asks for them."""
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise BadRequest(f"{place}: the column {cut(twice)} is named twice: rename or remove one")
    other = next((sign for sign in ",;|" if sign != delimiter and sign in names[0]), None)
    if len(names) == 1 and other:
        wanted = "commas" if delimiter == "," else "tabs"
        raise BadRequest(f"{place}: {cut(names[0])} is one column: {other} stands between, not {wanted}: save it so")


_PART = r' *"((?:[^"]|"")*)" *|([^"{d}][^{d}]*|)'
_ENDS = {d: re.compile(rf"(?:{_PART.format(d=d)})({d}|$)") for d in (",", "\t")}


def _fields(line: str, delimiter: str, place: str) -> list[str]:
    """The fields of one line. A field in quotation marks may hold the delimiter, and "" for a mark, but no line end.

    In a TSV a mark inside a field is a letter, as in databases' exports; in a CSV it is refused.
    """
    if '"' not in line:
        return [field.strip() for field in line.split(delimiter)]
    fields, position = [], 0
    while True:
        found = _ENDS[delimiter].match(line, position)
        if found is None or (delimiter == "," and '"' in (found[2] or "")):
            raise BadRequest(
                f"{place}: a quotation mark without its pair in {cut(line[position:])}: close it on this line, or "
                'write the field in quotation marks and the mark twice, "5"" wide.mp4"'
            )
        fields.append((found[2] if found[1] is None else found[1].replace('""', '"')).strip())
        position = found.end()
        if not found[3]:
            return fields


def _json_rows(file: Path) -> list[tuple[int, Cells]]:
    text = read_text(file)
    if text.lstrip().startswith("["):
        script = "import json, sys; [print(json.dumps(row)) for row in json.load(sys.stdin)]"
        raise BadRequest(
            f"{file} is a JSON array: write an object in braces on each line: "
            f"python3 -c '{script}' < {quote(str(file))} > NEW.jsonl, then give NEW.jsonl"
        )
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise BadRequest(f'{file} is empty: each line must be an object, such as {{"path": "a.mp4", "label": "run"}}')

    def row(numbered: tuple[int, str]) -> tuple[int, Cells]:
        number, line = numbered
        cells = parse_json(line, f"{file}, line {number}")
        if not isinstance(cells, dict):
            raise BadRequest(f"{file}, line {number}: no JSON object: {cut(line)} is not in braces")
        return number, cells

    return read_each(lines, row)


def parse_json(text: str, place: str) -> Any:
    """Raises BadRequest where it is no JSON, a key is given twice, or a number is not finite."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        cells = dict(pairs)
        if len(cells) < len(pairs):
            keys = [key for key, _ in pairs]
            raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is given twice")
        return cells

    def finite(number: str) -> float:
        if not isfinite(float(number)):
            raise ValueError(f"{number} is no number")
        return float(number)

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{place}: no JSON object: {error}") from None


def read_json(file: Path, kind: type) -> Any:
    """A whole file of JSON. Raises BadRequest where it is none, or not a list or an object as `kind` says."""
    found = parse_json(read_text(file), str(file))
    if not isinstance(found, kind):
        raise BadRequest(f"{file}: not {'an object in braces' if kind is dict else 'an array in brackets'}")
    return found


# ---- values ---------------------------------------------------------------------------------------------------------


def as_text(value: Any, column: str, place: str) -> str:
    """A text, number or truth value as text; null is "". Raises BadRequest for lists, objects and odd characters."""
    if isinstance(value, list | dict):
        raise BadRequest(f"{place}: {column}={cut(json.dumps(value))} is no text or number")
    text = "" if value is None else json.dumps(value) if isinstance(value, bool | int | float) else str(value).strip()
    if "\0" in text or SEVERAL in text or not _is_encodable(text):
        raise BadRequest(f"{place}: {column}={cut(text)} holds a character that no name has: remove it")
    return text


def _is_encodable(text: str) -> bool:
    try:
        return bool(text.encode("utf-8", "surrogateescape")) or not text
    except UnicodeEncodeError:
        return False


def check_path(text: str, *, folder: Path, place: str) -> str:
    """A path as a list gives it. Raises BadRequest for one that no file can have, or that Windows wrote."""
    if len(text.encode("utf-8", "surrogateescape")) > LONGEST_PATH or any(len(p) > 255 for p in text.split("/")):
        raise BadRequest(f"{place}: {cut(text)} is too long for a path ({len(text)} characters)")
    if "\\" in text and not exists(folder / text):
        raise BadRequest(f"{place}: {cut(text)} does not exist: paths are written with /, not \\")
    return text


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def as_seconds(text: str, column: str, place: str) -> float:
    """nan where there is nothing. Raises BadRequest for what is no number of seconds from 0."""
    if not text:
        return nan
    seconds = float(text) if _NUMBER.fullmatch(text) else inf
    if not 0 <= seconds < inf:
        raise BadRequest(f"{place}: {column}={cut(text)} is no number of seconds from 0, such as 12.5")
    return seconds


def check_times(start: float, end: float, *, place: str) -> None:
    """Raises BadRequest where a part ends before it begins; nan: from the start, to the end."""
    if end <= (start if isfinite(start) else 0):
        raise BadRequest(
            f"{place}: it ends at {end} s, and starts at {start if isfinite(start) else 0} s: exchange them"
        )
