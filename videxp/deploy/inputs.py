"""What `videxp predict` is asked to work on: files, folders and globs."""

import argparse
import glob
from pathlib import Path

from videxp.errors import BadRequest

VIDEO_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".gif"}


def add_inputs(parser: argparse.ArgumentParser, *, what: str) -> None:
    """INPUT..., to be given to `expand`."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help=what)


def expand(inputs: list[str]) -> list[Path]:
    """Files as they are, folders to the videos beneath them, globs to what they match.

    A folder without videos, but with pictures, is a video itself, or holds folders that are.
    """
    paths: list[Path] = []
    for text in inputs:
        path = Path(text)
        found = _beneath(path) if path.is_dir() else [path] if path.is_file() else _matches(text)
        if not found:
            raise BadRequest(f"{text}: no such video file, folder with videos, or glob that matches one")
        paths += found
    return paths


def _matches(text: str) -> list[Path]:
    matches = (Path(match) for match in sorted(glob.glob(text, recursive=True)))
    return [path for match in matches for path in (_beneath(match) if match.is_dir() else [match])]


def _beneath(folder: Path) -> list[Path]:
    from videxp.video.sequence import PICTURE_SUFFIXES  # torch: `--help` does not wait for it

    # Hidden ones may be outputs that were never finished.
    found = (path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    files = sorted(found)
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    return videos or sorted({path.parent for path in files if path.suffix.lower() in PICTURE_SUFFIXES})
