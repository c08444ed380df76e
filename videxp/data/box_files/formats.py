"""All formats by their names: `read_boxes`, `write_boxes`."""

import inspect
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from videxp.core.errors import BadRequest
from videxp.data.box_files.form import AnnotatedVideo, ClassNames
from videxp.data.notes import UNHEARD, Notes

Format = Literal[
    "ava", "coco", "cvat", "frame_texts", "imagenet_vid", "label_studio", "mot", "tubes_json", "tubes_pickle", "voc"
]
FORMATS: tuple[Format, ...] = get_args(Format)


def read_boxes(
    path: Path | str,
    *,
    format: Format,
    classes: ClassNames | None = None,
    options: Mapping[str, Any] | None = None,
    notes: Notes = UNHEARD,
) -> list[AnnotatedVideo]:
    """What a file, or a folder of files, states of each video.

    classes: names by the numbers that the file has, where it has numbers and no names. options: of the format's `read`
    (`options_of`). Raises BadRequest, with the file and the line or place, for what is no such file or cannot be true.
    """
    if not Path(path).exists():
        raise BadRequest(f"{path} does not exist")
    return _module(format).read(Path(path), classes=classes, notes=notes, **check_options(format, options or {}))


def write_boxes(videos: Iterable[AnnotatedVideo], path: Path | str, *, format: Format, **options: Any) -> None:
    """Replaces what is there. Raises BadRequest for what the format cannot state."""
    _module(format).write(list(videos), Path(path), **options)


def options_of(format: Format) -> list[str]:
    """What `read` of a format takes beside what all take."""
    return [
        name for name in inspect.signature(_module(format).read).parameters if name not in ("path", "classes", "notes")
    ]


def check_options(format: Format, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not None, which is the format's own choice. Raises BadRequest for one that it does not have."""
    given, known = {name: value for name, value in options.items() if value is not None}, options_of(format)
    if other := next((name for name in given if name not in known), None):
        raise BadRequest(f"format {format} has no option {other!r}: it has {', '.join(known) or 'none'}")
    return given


def _module(format: Format) -> Any:
    if format not in FORMATS:
        raise BadRequest(f"format {format!r} is none of {', '.join(FORMATS)}")
    return import_module(f"videxp.data.box_files.{format}")
