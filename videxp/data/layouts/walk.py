"""Going through the folders of a data set: every layout's way to its files.

Each real file and folder counts once, links never lead in circles, and whatever is passed over is noted.
Paths are relative to the root that they are looked for in, with `/`.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from videxp.core.errors import BadRequest
from videxp.core.files import is_run_folder
from videxp.data.notes import UNHEARD, Notes
from videxp.video.file_kinds import IMAGE_ENDINGS, VIDEO_ENDINGS, ending_of, is_image, is_video

# Left by macOS, Synology, QNAP, Windows, ext4 and Python.
SYSTEM_NAMES = frozenset(
    ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "__pycache__", "Thumbs.db", "desktop.ini"]
)
Entry = os.DirEntry[str]


def list_folder(root: Path, folder: str, notes: Notes = UNHEARD) -> tuple[list[Entry], list[Entry]]:
    """Folders and files that lie directly in root/folder, in order, links last.

    Noted: hidden ones, links to a folder that holds them, run folders, and what is neither file nor folder. Raises
    BadRequest for a folder that may not be read.
    """
    path = root / folder
    real = os.path.realpath(path)
    folders: list[Entry] = []
    files: list[Entry] = []
    try:
        entries = sorted(os.scandir(path), key=lambda entry: (entry.is_symlink(), entry.name))
    except FileNotFoundError:  # `Layout.missing` says so
        return [], []
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}: give access to it, or move it out of {root}") from None
    for entry in entries:
        name = below(folder, entry.name)
        if entry.name.startswith(".") or entry.name in SYSTEM_NAMES:
            notes.pass_over("hidden files and folders of the system", name)
        elif entry.is_dir():
            if entry.is_symlink() and _is_within(real, os.path.realpath(entry.path)):
                notes.pass_over("links to a folder that they lie in", name)
            elif is_run_folder(Path(entry.path)):  # its samples are videos, too
                notes.pass_over("videxp's own run folders", name)
            else:
                folders.append(entry)
        elif entry.is_file() or (entry.is_symlink() and ending_of(name) in VIDEO_ENDINGS):
            files.append(entry)  # a broken link, too, if it is called as a video: it will be named as unreadable
        else:
            notes.pass_over("broken links, pipes and devices", name)
    return folders, files


def walk(root: Path, folder: str, notes: Notes = UNHEARD) -> Iterator[tuple[str, list[Entry], list[Entry]]]:
    """(folder, folders in it, files in it) for root/folder and for all folders beneath it; each real folder once."""
    seen = {os.path.realpath(root / folder)}

    def visit(folder: str) -> Iterator[tuple[str, list[Entry], list[Entry]]]:
        folders, files = list_folder(root, folder, notes)
        yield folder, folders, files
        for entry in folders:
            inner, real = below(folder, entry.name), os.path.realpath(entry.path)
            if real in seen:
                notes.pass_over("links to folders that are read already", inner)
            else:
                seen.add(real)
                yield from visit(inner)

    return visit(folder)


def find_videos(
    root: Path, folder: str, notes: Notes = UNHEARD, *, extensions: Sequence[str] | None = None
) -> Iterator[str]:
    """The videos of root/folder and of all folders beneath it; of several links to a file, one.

    `extensions`: only files with these endings; None: what `videxp.video.file_kinds` takes for a video.
    """
    chosen = chooser(extensions)
    seen: set[str] = set()
    for inner, _, files in walk(root, folder, notes):
        for entry in files:
            path = below(inner, entry.name)
            if not chosen(entry.path):
                notes.pass_over("files that are no videos", path)
            elif (real := os.path.realpath(entry.path)) in seen:
                notes.pass_over("links to files that are listed already", path)
            else:
                seen.add(real)
                yield path


def find_image_folders(root: Path, folder: str, notes: Notes = UNHEARD) -> Iterator[str]:
    """The folders beneath root/folder that hold images; what lies in a folder of such a one is a part of none."""
    found: list[str] = []
    for inner, folders, files in walk(root, folder, notes):
        images = [entry.name for entry in files if is_image(entry.name)]
        for entry in files:
            if ending_of(entry.name) not in IMAGE_ENDINGS:
                notes.pass_over("files that are no images", below(inner, entry.name))
        if not images:
            if not folders:
                notes.pass_over("folders without images", inner)
        elif inner == folder:
            for name in images:
                notes.pass_over("image files outside of a clip's folder", below(inner, name))
        elif any(PurePosixPath(inner).is_relative_to(clip) for clip in found[-1:]):
            notes.pass_over("folders inside of a clip's folder", inner)
        else:
            found.append(inner)
            yield inner


def holds_image_folders(root: Path, folder: str) -> bool:
    """Are there folders of images beneath this one? A folder of images itself holds none."""
    return any(find_image_folders(root, folder))


def refusal_of_others(root: Path, *, own: re.Pattern[str], remedy: str) -> list[str]:
    """For data sets that make their files: one line where root holds videos outside of folders called as `own`, which
    who names this root means to be read."""
    folders, files = list_folder(root, "")
    loose = (entry.name for entry in files if is_video(entry.name))
    deep = (path for entry in folders if not own.fullmatch(entry.name) for path in find_videos(root, entry.name))
    path = next(chain(loose, deep), None)
    if path is None:
        return []
    return [f"the folder {root} holds other videos ({path}); this data set makes its own and reads no others: {remedy}"]


def chooser(extensions: Sequence[str] | None) -> Callable[[str], bool]:
    """Whether a file is a video, by these endings (`.MP4`, `mp4`) or, without, by the project's."""
    if extensions is None:
        return is_video
    endings = {"." + extension.lower().removeprefix(".") for extension in extensions}
    return lambda path: ending_of(path) in endings


def below(folder: str, name: str) -> str:
    """`a` and `b` -> `a/b`; "" or `.` and `b` -> `b`."""
    return PurePosixPath(folder, name).as_posix()


def _is_within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder
