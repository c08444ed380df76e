"""Files that keep the time of each frame."""

from pathlib import Path

from videxp.core.errors import BadRequest

TIMED_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm"})
"""AVI, for one, has only a rate."""


def require_timed(path: Path) -> None:
    """Raises `BadRequest` for a container that does not keep the times of frames."""
    if path.suffix.lower() not in TIMED_SUFFIXES:
        known = ", ".join(sorted(TIMED_SUFFIXES))
        raise BadRequest(f"{path}: {path.suffix or 'no suffix'} does not keep the times of frames: one of {known}")
