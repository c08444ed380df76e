"""Which pictures of a folder are the frames of a video, and in which order. No torch: checks of a config ask, too."""

import re
from fnmatch import fnmatch
from itertools import pairwise
from os import PathLike
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.video.errors import UnreadableVideo
from videxp.video.file_kinds import is_image

FIELD = re.compile(r"\{(?::0?\d*d)?\}")  # {:05d}, {:d}, {}; other braces are a part of the names


def frame_files(folder: str | PathLike[str], *, template: str) -> list[Path]:
    """The pictures in order of their numbers, from 0 or 1 or wherever they start; or all that match `*`.

    A picture in place of a folder is the only one.
    Raises `BadRequest` for a template without exactly one field, `UnreadableVideo` for no pictures or a gap.
    """
    if is_image(folder) and Path(folder).is_file():
        return [Path(folder)]
    if "*" in template:
        files = [file for file in _files(folder) if is_image(file) and fnmatch(file.name, template)]
        if not files:
            raise UnreadableVideo(folder, f"no frames named as {template}")
        return sorted(files, key=counting_order)
    fields = FIELD.findall(template)
    if len(fields) != 1:
        raise BadRequest(f"frame name template {template!r} needs exactly one field, such as {{:05d}}")
    (field,) = fields
    before, after = template.split(field)
    numbers = []
    for file in _files(folder):
        name = file.name
        middle = name[len(before) : len(name) - len(after)]
        if name.startswith(before) and name.endswith(after) and middle.isdecimal():
            number = int(middle)
            if before + field.format(number) + after == name:
                numbers.append(number)
    if not numbers:
        raise UnreadableVideo(folder, f"no frames named as {template}")
    numbers.sort()
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        missing = next(a + 1 for a, b in pairwise(numbers) if b != a + 1)
        raise UnreadableVideo(folder, f"frame {before}{field.format(missing)}{after} is missing")
    return [Path(folder) / f"{before}{field.format(number)}{after}" for number in numbers]


def counting_order(file: Path) -> list[tuple[int, str]]:
    """A sort key: im2 before im10, frame_001 before frame_2."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", file.name)]


def _files(folder: str | PathLike[str]) -> list[Path]:
    return list(Path(folder).iterdir()) if Path(folder).is_dir() else []
