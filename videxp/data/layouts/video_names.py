"""Which file a list means by a video's name: lists have paths, file names, or names without their ending."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from videxp.core.errors import BadRequest
from videxp.video.file_kinds import IMAGE_ENDINGS, VIDEO_ENDINGS, ending_of


def match_videos(names: Sequence[str], paths: Sequence[str], *, where: str) -> dict[str, str]:
    """name -> path, of the names that mean one of the paths: the whole path first, with its ending or without, then the
    last part alone.

    where: the list, for errors. Raises BadRequest for a name that means several paths, and for two that mean one.
    """
    by_key: dict[str, list[str]] = {}
    for path in paths:
        for key in dict.fromkeys(_keys(path)):
            by_key.setdefault(key, []).append(path)
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        known = [key for key in _keys(name) if key in by_key]
        if not known:
            continue
        path, *others = by_key[known[0]]
        if others:
            raise BadRequest(f"{where}: {name} may be {path} or {others[0]}: name it by its path")
        if path in taken:
            raise BadRequest(f"{where}: {taken[path]} and {name} both are {path}: keep one")
        found[name] = path
        taken[path] = name
    return found


def _keys(path: str) -> Iterator[str]:
    yield path
    yield (without := path.removesuffix(PurePosixPath(path).suffix if _has_ending(path) else ""))
    yield PurePosixPath(path).name
    yield PurePosixPath(without).name


def _has_ending(path: str) -> bool:
    return ending_of(path) in VIDEO_ENDINGS | IMAGE_ENDINGS
