"""What videxp says when it cannot go on: one to three lines that name the thing, the value and the remedy."""

import os
from importlib.util import find_spec


def system_words(error: BaseException) -> str | None:
    """`FILE: No space left on device`, for an error of the system that names a file; None for others."""
    if not isinstance(error, OSError) or error.strerror is None or error.filename is None:
        return None
    file = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else error.filename
    return f"{file}: {error.strerror}"


class VidexpError(Exception):
    """A failure that is explained to the user without a traceback; ends a command with `exit_status` 1."""

    exit_status = 1


class BadRequest(VidexpError):
    """The request itself is wrong (a key, a value, a path); nothing was started. Exit status 2."""

    exit_status = 2


class NotInstalled(BadRequest):
    """An optional package is missing; the message names the extra that brings it."""

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'videxp[{extra}]'")


def require_installed(*packages: str, extra: str) -> None:
    """Raises NotInstalled for the first that is not there; none is imported."""
    for package in packages:
        if find_spec(package) is None:
            raise NotInstalled(package, extra=extra)
