"""What `videxp predict` is asked to work on: files, folders and globs."""

import argparse
import glob
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.core.lines import show_error
from videxp.data.layouts.walk import find_image_folders, find_videos
from videxp.data.notes import Notes
from videxp.video.file_kinds import is_image


def add_inputs(parser: argparse.ArgumentParser, *, what: str) -> None:
    """INPUT..., to be given to `expand`."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help=what)


def expand(inputs: list[str]) -> list[Path]:
    """Files as they are, folders to the videos beneath them, globs to what they match.

    A folder without videos, but with pictures, is a video itself, or holds folders that are. What of a folder is
    passed over is said on stderr.
    """
    notes = Notes()
    paths: list[Path] = []
    for text in inputs:
        path = Path(text)
        found = _beneath(path, notes) if path.is_dir() else [path] if path.is_file() else _matches(text, notes)
        if not found:
            raise BadRequest(f"{text}: no such video file, folder with videos, or glob that matches one")
        paths += found
    once: dict[Path, Path] = {}
    for path in paths:
        if once.setdefault(path.resolve(), path) is not path:
            notes.pass_over("inputs that are given already", str(path))
    for about, note in notes.lines:
        show_error(f"{about}: {note}")
    return list(once.values())


def _matches(text: str, notes: Notes) -> list[Path]:
    matches = (Path(match) for match in sorted(glob.glob(text, recursive=True)))
    return [path for match in matches for path in (_beneath(match, notes) if match.is_dir() else [match])]


def _beneath(folder: Path, notes: Notes) -> list[Path]:
    found = Notes()
    if videos := sorted(find_videos(folder, "", found)):
        for clip in find_image_folders(folder, ""):
            found.pass_over("folders of pictures beside videos: name them to have them read", clip)
    elif any(is_image(file) for file in folder.iterdir()):
        return [folder]
    else:
        found = Notes()
        videos = sorted(find_image_folders(folder, "", found))
    notes.add(found, under=folder)
    return [folder / path for path in videos]
