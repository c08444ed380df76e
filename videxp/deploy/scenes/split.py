"""A film in one file for each shot: NAME-scene-001.mp4, NAME-scene-002.mp4 ...

Encoded again, each file has the frames of its shot. Copied, nothing is lost or encoded, and a file can begin at a key
frame alone: cuts move to the nearest one, which is told, and shots without one between them are one file.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.core.files import adding_files
from videxp.core.outputs import OVERWRITE, refuse_inputs_and_runs, require_place
from videxp.core.progress import progress
from videxp.deploy.scenes.film import CutFilm
from videxp.video.cutting import Part, copy_parts, encode_parts, read_key_frames
from videxp.video.sequence import VideoFile
from videxp.video.timed_files import TIMED_SUFFIXES

MAX_TOLD = 6  # shots


def require_split_folder(folder: Path, films: list[Path], *, overwrite: bool) -> None:
    """Raises BadRequest where parts of `films` must not, or cannot, be written to `folder`; shots need not be known."""
    if folder.exists() and not folder.is_dir():
        raise BadRequest(f"-o {folder} is a file: the parts of a film go to a folder")
    names = [film.stem for film in films]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadRequest(f"-o {folder}: two films are called {twice}: split them into folders of their own")
    for film in films:
        there = parts_there(folder, film)
        if there and not overwrite:
            raise BadRequest(f"-o {folder}: {there[0].name} is there already: {OVERWRITE}")
        refuse_inputs_and_runs(folder / f"{film.stem}-scene-001.mp4", {})
        if lost := {part.resolve() for part in there} & {each.resolve() for each in films}:
            raise BadRequest(f"-o {folder}: {lost.pop()} is an input and would be replaced: choose another folder")
    require_place(folder / "x")


def parts_there(folder: Path, film: Path) -> list[Path]:
    """Parts of the film that an earlier split left in `folder`."""
    pattern = re.compile(rf"{re.escape(film.stem)}-scene-\d{{3,}}\.\w+")
    return sorted(path for path in folder.glob("*") if pattern.fullmatch(path.name)) if folder.is_dir() else []


def split_film(
    film: CutFilm,
    folder: Path,
    *,
    copy: bool,
    overwrite: bool = False,
    crf: int = 18,
    say: Callable[[str], None] = print,
) -> list[Part]:
    """The parts, in `folder`: all of them, or none where something fails; those of an earlier split are gone.

    Raises BadRequest for files that are there already, and for a film that cannot be copied; VidexpError, OSError.
    """
    require_split_folder(folder, [film.path], overwrite=overwrite)
    earlier = parts_there(folder, film.path)
    with adding_files(folder) as temporary:
        parts = _copy(film, temporary, say=say) if copy else _encode(film, temporary, crf=crf, say=say)
    written = [replace(part, path=folder / part.path.name) for part in parts]
    for old in {*earlier} - {part.path for part in written}:
        old.unlink()
    return written


def _encode(film: CutFilm, folder: Path, *, crf: int, say: Callable[[str], None]) -> list[Part]:
    parts = [Part(shot.first, shot.last, _part_path(film, folder, shot.number, ".mp4")) for shot in film.shots]
    with progress(f"{film.path.name}: parts", len(parts)) as advance:
        for _ in encode_parts(VideoFile(film.path), parts, crf=crf, say=say):
            advance()
    return parts


def _copy(film: CutFilm, folder: Path, *, say: Callable[[str], None]) -> list[Part]:
    keys = read_key_frames(film.path)
    suffix = film.path.suffix.lower() if film.path.suffix.lower() in TIMED_SUFFIXES else ".mkv"
    begins = {shot.number: keys.nearest(shot.first) for shot in film.shots}
    _tell_moves(film, begins, say=say)
    numbers = {first: number for number, first in reversed(begins.items())}  # of the first shot in each file
    firsts = sorted(numbers)
    lasts = [*(first - 1 for first in firsts[1:]), film.clock.num_frames - 1]
    parts = [Part(first, last, _part_path(film, folder, numbers[first], suffix)) for first, last in zip(firsts, lasts)]
    copy_parts(film.path, parts, keys, say=say)
    return parts


def _tell_moves(film: CutFilm, begins: dict[int, int], *, say: Callable[[str], None]) -> None:
    moves = {shot.number: begins[shot.number] - shot.first for shot in film.shots if begins[shot.number] != shot.first}
    moved = f": {_some([f'shot {number} by {move:+d}' for number, move in moves.items()])} frames" if moves else ""
    say(f"{film.path.name}: copied, so cut at key frames; {len(moves)} of {len(film.shots) - 1} cuts moved{moved}")
    if joined := [str(number) for number in begins if begins[number] == begins.get(number - 1)]:
        say(f"{film.path.name}: no key frame of their own, so in the file of the shot before: {_some(joined)}")


def _some(items: list[str]) -> str:
    more = f" and {len(items) - MAX_TOLD} more" if len(items) > MAX_TOLD else ""
    return ", ".join(items[:MAX_TOLD]) + more


def _part_path(film: CutFilm, folder: Path, number: int, suffix: str) -> Path:
    digits = max(3, len(str(len(film.shots))))
    return folder / f"{film.path.stem}-scene-{number:0{digits}d}{suffix}"
