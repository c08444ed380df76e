"""Files that say where films are cut: of ClipShots, BBC, RAI, SHOT and PySceneDetect, and people's own lists.

Each is read as transitions, whatever it states: pairs (before, after) of the last frame that a shot has to itself and
the first that the next one has, counted from 0; (29, 30) is a cut. Published files have faults that nobody can mend by
guessing: films with such a line are left out, and told. In a file of one's own every fault is an error.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest
from videxp.data.layouts.tables import cut, parse_json, read_each, read_json, read_list, read_table, read_text
from videxp.data.notes import UNHEARD, Notes

LEFT_OUT = "films whose transitions cannot be understood"


Pair = tuple[int, int]


@dataclass(frozen=True)
class StatedFilm:
    """What a file states of a film. Raises BadRequest for transitions beyond its end."""

    transitions: tuple[Pair, ...]
    num_frames: int | None = None
    """As the file counts them; None: not stated."""

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.transitions and self.transitions[-1][1] >= self.num_frames:
            before, after = self.transitions[-1]
            raise BadRequest(f"a transition from frame {before} to {after}, of {self.num_frames}")


Films = dict[str, StatedFilm]
"""By what the file calls them: `123.mp4`."""


# ---- published sets -------------------------------------------------------------------------------------------------


def read_clipshots(file: Path, notes: Notes = UNHEARD) -> Films:
    """`{"1.mp4": {"transitions": [[41, 42], [90, 101]], "frame_num": 300}}`: the pairs as they are.
    Films may be decoded as one frame more than `frame_num`. Raises BadRequest where the file is not such an object."""
    films: Films = {}
    for name, stated in read_json(file, dict).items():
        place = f"{file}, {name}"
        if not isinstance(stated, dict) or not {"transitions", "frame_num"} <= stated.keys():
            raise BadRequest(f'{place}: not like {{"transitions": [[41, 42]], "frame_num": 300}}')
        try:
            pairs = [(_pair(pair, place), place) for pair in stated["transitions"]]
            films[name] = StatedFilm(_between(pairs), _frame(stated["frame_num"], place, least=1))
        except BadRequest:
            notes.pass_over(LEFT_OUT, place)
    return films


def read_bbc(file: Path) -> StatedFilm:
    """One episode of BBC Planet Earth: `start end` of each shot, a line each. All but a first 0 are one frame early, as
    TransNetV2's authors found, and are mended here. Raises BadRequest with the line."""
    shots = [((start + (start > 0), end + 1), place) for (start, end), place in _shot_lines(file)]
    return StatedFilm(_between_shots(shots))


def read_rai(file: Path) -> StatedFilm:
    """One film of RAI, `<n>_gt.txt`: `start end` of each shot, a line each. Raises BadRequest with the line."""
    return StatedFilm(_between_shots(_shot_lines(file)))


_HEAD = re.compile(r"(\S+\.[A-Za-z]\w*)(?:\s+(\d+))?")
_SHOT_PAIR = re.compile(r"\[?\s*(\d+)\s*[,.\s]+\s*(\d+)\s*,?\s*\]?")


def read_shot(file: Path, notes: Notes = UNHEARD) -> Films:
    """`kuaishou_v2.txt` of SHOT: a film's name, with or without its number of frames, then a line for each transition:
    `a,b`, `a b` or `[a,b]`, the last frame of a shot and the first of the next. A film that comes twice is read once.

    Films with a line that is no such pair, or goes back, are left out, and those stated in two ways. Raises BadRequest
    for a file that does not begin with a name.
    """
    films: dict[str, list[StatedFilm | None]] = {}
    for name, num_frames, lines in _blocks(file):
        films.setdefault(name, []).append(_film_of_block(lines, num_frames))
    good = {name: found[0] for name, found in films.items() if found[0] is not None and len({*found}) == 1}
    for name in sorted(films.keys() - good.keys()):
        notes.pass_over(LEFT_OUT, name)
    return good


def _blocks(file: Path) -> Iterable[tuple[str, int | None, list[str]]]:
    """(name, frames if stated, the lines below it) of each film."""
    name, count = "", None
    lines: list[str] = []
    text = file.read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):  # at "\v", too, as there is in it
        if head := _HEAD.fullmatch(line):
            if name:
                yield name, count, lines
            name, count, lines = head[1], int(head[2]) if head[2] else None, []
        elif line and not name:
            raise BadRequest(f"{file}, line {number}: {cut(line)} is not a film's name, such as 31602670982.mp4 1499")
        elif line:
            lines.append(line)
    if name:
        yield name, count, lines


def _film_of_block(lines: Sequence[str], num_frames: int | None) -> StatedFilm | None:
    """None where a line cannot be understood."""
    found = [_SHOT_PAIR.fullmatch(line) for line in lines]
    if not all(found):
        return None
    try:
        return StatedFilm(_between(((int(pair[1]), int(pair[2])), "") for pair in found if pair), num_frames)
    except BadRequest:
        return None


# ---- lists of one's own ---------------------------------------------------------------------------------------------


def read_pyscenedetect(file: Path) -> StatedFilm:
    """The CSV of `scenedetect list-scenes`, with its line of cuts or without. Raises BadRequest with the line."""
    rows = [(number, row) for number, row in enumerate(csv.reader(read_text(file).split("\n")), start=1) if row]
    heads = [place for place, (_, row) in enumerate(rows[:2]) if {"Start Frame", "End Frame"} <= {*row}]
    if not heads:
        raise BadRequest(f"{file}: its first or second line must name columns Start Frame and End Frame")
    columns = rows[heads[0]][1]
    start, end = columns.index("Start Frame"), columns.index("End Frame")

    def shot(numbered: tuple[int, list[str]]) -> tuple[Pair, str]:
        number, row = numbered
        place = f"{file}, line {number}"
        if len(row) != len(columns):
            raise BadRequest(f"{place}: {len(row)} columns, not {len(columns)}")
        return (_frame(row[start], place, least=1) - 1, _frame(row[end], place, least=1) - 1), place

    shots = read_each(rows[heads[0] + 1 :], shot)
    return StatedFilm(_between_shots(shots), shots[-1][0][1] + 1 if shots else None)


def read_cuts(file: Path) -> Films:
    """Cuts of any number of films, as CSV or JSON. Raises BadRequest with the place of what is wrong.

    CSV: a column `path` and a column `cut`, the first frame of a shot; it is empty for a film without cuts. Where a
    transition takes several frames, a column `before` has the last frame of the shot before.
    JSON: `{"a.mp4": [75, 137, [205, 214]]}`, a pair being the last frame of a shot and the first of the next; or what
    `videxp predict -o scenes.json` wrote, of one film or a list of them.
    """
    if file.suffix.lower() != ".json":
        return _cuts_of_table(file)
    found = parse_json(read_text(file), str(file))
    if isinstance(found, dict) and "transitions" not in found:
        stated = [(name, f"{file}, {name}", cuts) for name, cuts in found.items()]
        return dict(read_each(stated, lambda film: (film[0], StatedFilm(_between_cuts(film[2], film[1])))))
    films = found if isinstance(found, list) else [found]
    if all(isinstance(film, dict) and {"path", "num_frames", "transitions"} <= film.keys() for film in films):
        return dict(read_each(films, lambda film: (film["path"], _predicted(film, f"{file}, {film['path']}"))))
    raise BadRequest(f'{file}: neither {{"a.mp4": [75, 137, [205, 214]]}} nor what videxp predict writes')


def _cuts_of_table(file: Path) -> Films:
    pairs: dict[str, list[tuple[Pair, str]]] = {}
    for number, row in read_table(file):
        place = f"{file}, line {number}"
        if not {"path", "cut"} <= row.keys():
            raise BadRequest(f"{file}: columns path and cut are needed: it has {', '.join(row)}")
        of_film = pairs.setdefault(row["path"], [])
        if row["cut"] != "":
            first = _frame(row["cut"], place, least=1)
            before = _frame(row["before"], place) if row.get("before", "") != "" else first - 1
            of_film.append(((before, first), place))
    return dict(read_each(pairs.items(), lambda film: (film[0], StatedFilm(_between(sorted(film[1]))))))


def _between_cuts(cuts: Any, place: str) -> tuple[Pair, ...]:
    if not isinstance(cuts, list):
        raise BadRequest(f"{place}: not a list of frames, such as [75, 137, [205, 214]]")
    pairs = [_pair(one, place) if isinstance(one, list) else (_frame(one, place, least=1) - 1, one) for one in cuts]
    return _between((pair, place) for pair in pairs)


def _predicted(film: dict[str, Any], place: str) -> StatedFilm:
    try:
        stated = [(one["last_before"], one["first_after"]) for one in film["transitions"]]
    except (TypeError, KeyError):
        raise BadRequest(f"{place}: its transitions are not like {{'last_before': 41, 'first_after': 42}}") from None
    pairs = [(_frame(before, place), _frame(after, place)) for before, after in stated]
    return StatedFilm(_between((pair, place) for pair in pairs), _frame(film["num_frames"], place, least=1))


# ---- what all have --------------------------------------------------------------------------------------------------


def _between(pairs: Iterable[tuple[Pair, str]]) -> tuple[Pair, ...]:
    """The pairs, each with where it is stated. Raises BadRequest for one that goes back, or begins before the last one
    has ended."""
    transitions: list[Pair] = []
    for (before, after), place in pairs:
        reached = transitions[-1][1] if transitions else 0
        if not reached <= before < after:
            where = f" after a shot that begins with frame {reached}" if transitions and before < after else ""
            raise BadRequest(f"{place}: a transition from frame {before} to {after}{where}: they ascend")
        transitions.append((before, after))
    return tuple(transitions)


def _between_shots(shots: Sequence[tuple[Pair, str]]) -> tuple[Pair, ...]:
    """The same of the first and last frames of shots."""
    for number, ((start, end), place) in enumerate(shots):
        if end < start or (number and start <= shots[number - 1][0][1]):
            raise BadRequest(f"{place}: a shot of frames {start} to {end}: shots ascend, and do not overlap")
    return tuple((end, start) for ((_, end), _), ((start, _), _) in pairwise(shots))


def _shot_lines(file: Path) -> list[tuple[Pair, str]]:
    """`start end` on each line, and where it stands."""

    def shot(numbered: tuple[int, str]) -> tuple[Pair, str]:
        number, line = numbered
        place, parts = f"{file}, line {number}", line.split()
        if len(parts) != 2:
            raise BadRequest(f"{place}: {cut(line)} is not the first and the last frame of a shot, such as 0 57")
        return (_frame(parts[0], place), _frame(parts[1], place)), place

    return read_each(read_list(file), shot)


def _pair(pair: Any, place: str) -> Pair:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadRequest(f"{place}: {cut(pair)} is no pair of frames, such as [41, 42]")
    return _frame(pair[0], place), _frame(pair[1], place)


def _frame(value: Any, place: str, *, least: int = 0) -> int:
    """A whole number as JSON or text has it: 41, 41.0, "41"."""
    try:
        number = int(value)
        good = not isinstance(value, bool) and number >= least and (isinstance(value, str) or number == value)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise BadRequest(f"{place}: {cut(value)} is no frame: they are whole numbers from {least}")
    return number
