"""A film's shots in a file, whose suffix says what is written: a list of one kind or another, or the contact sheet."""

from collections.abc import Callable
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.core.printable import as_json
from videxp.deploy.scenes.film import CutFilm
from videxp.deploy.scenes.lists import csv_list, edl_list, json_list, otio_list
from videxp.tasks.shot_marks import ShotMarks

SUFFIXES = (".json", ".csv", ".edl", ".otio", ".html")


def write_shots(
    path: Path,
    film: CutFilm,
    *,
    marks: ShotMarks | None = None,
    drop_frame: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Writes the film's shots. marks: of an HTML page, where the truth is known. drop_frame: of an EDL. say: see
    `edl_list`.

    Raises BadRequest for another suffix, and as `edl_list` and `shot_page` do; nothing is written then.
    """
    suffix = require_shots_suffix(path)
    if suffix == ".csv":
        text = csv_list(film)
    elif suffix == ".edl":
        text = edl_list(film, drop_frame=drop_frame, say=say)
    elif suffix == ".html":
        from videxp.deploy.scenes.page import shot_page

        text = shot_page(film, marks)
    else:
        text = as_json(otio_list(film) if suffix == ".otio" else json_list(film), indent=2) + "\n"
    write_text(path, text)


def require_shots_suffix(path: Path) -> str:
    """The suffix in small letters. Raises BadRequest for one that says nothing."""
    if (suffix := path.suffix.lower()) not in SUFFIXES:
        raise BadRequest(f"{path}: the suffix says what is written: one of {', '.join(SUFFIXES)}")
    return suffix
