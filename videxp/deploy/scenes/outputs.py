"""What a request asks to be written of films' shots: refused before any work where it cannot be, and written after."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.core.lines import show
from videxp.core.outputs import identities, require_output_file
from videxp.core.printable import as_json
from videxp.deploy.scenes.files import SUFFIXES, require_shots_suffix, write_shots
from videxp.deploy.scenes.film import CutFilm
from videxp.deploy.scenes.lists import json_list
from videxp.deploy.scenes.split import require_split_folder, split_film
from videxp.tasks.shot_marks import ShotMarks

STEM = "{stem}"


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """-o, --split and what belongs to them, for `check_outputs` and `write_outputs`."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        dest="outputs",
        action="append",
        default=[],
        help=f"a file ({', '.join(SUFFIXES)}); may come again; for several films with {STEM}, each one's name, in it; "
        "default: JSON on the terminal",
    )
    parser.add_argument("--drop-frame", action="store_true", help="timecode of an EDL at 29.97 or 59.94 fps")
    parser.add_argument("--split", metavar="FOLDER", type=Path, help="cut each film into a file for each shot there")
    parser.add_argument(
        "--copy", action="store_true", help="with --split: encode nothing, and cut at the nearest key frames"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")


def check_outputs(options: argparse.Namespace) -> None:
    """Raises BadRequest where something that is asked for of `options.inputs` must not, or cannot, be written."""
    films: list[Path] = options.inputs
    if options.copy and options.split is None:
        raise BadRequest("--copy is of --split FOLDER: add it")
    if options.drop_frame and not any(output.lower().endswith(".edl") for output in options.outputs):
        raise BadRequest("--drop-frame is of an EDL: add -o FILE.edl")
    inputs = identities(films)
    taken: dict[Path, Path] = {}
    for output in options.outputs:
        require_shots_suffix(Path(output))
        if len(films) > 1 and STEM not in output:
            name = Path(output)
            raise BadRequest(f"-o {output}: {len(films)} films need a file each: -o '{name.with_stem(STEM)}'")
        for film in films:
            path = output_path(output, film)
            if other := taken.get(path):
                raise BadRequest(f"-o {output}: {path} would be of {other} and of {film}: ask for one after the other")
            taken[path] = film
            require_output_file(path, overwrite=options.overwrite, inputs=inputs)
    if options.split is not None:
        require_split_folder(options.split, films, overwrite=options.overwrite)


def output_path(output: str, film: Path) -> Path:
    """scenes/{stem}.json, clips/a.mp4 -> scenes/a.json"""
    return Path(output.replace(STEM, film.stem))


def write_outputs(film: CutFilm, options: argparse.Namespace, *, marks: ShotMarks | None = None) -> None:
    """Writes all that is asked for of one film, and says what was written. marks: see `write_shots`.

    Raises as `write_shots` and `split_film` do.
    """
    if not options.outputs and options.split is None:
        show(as_json(json_list(film), indent=2))
        return
    written = [output_path(output, film.path) for output in options.outputs]
    for path in written:
        write_shots(path, film, marks=marks, drop_frame=options.drop_frame and path.suffix.lower() == ".edl", say=show)
    targets: Sequence[object] = written
    if options.split is not None:
        parts = split_film(film, options.split, copy=options.copy, overwrite=options.overwrite, say=show)
        targets = [*written, f"{len(parts)} files in {options.split}"]
    show(f"{film.path}: {len(film.shots)} shots -> {', '.join(map(str, targets))}")
