"""Is a file still the one that was prepared?"""

from pathlib import Path

import numpy as np


def require_unchanged(path: Path, size_bytes: int, frames: np.ndarray) -> None:
    """Raises DecodeError, naming the frames that were wanted, where the file has another size, or is gone."""
    from videxp.video import DecodeError  # PyAV, which not every command needs

    if size_of(path) != size_bytes:
        raise DecodeError(path, np.unique(frames), "the file has changed or gone since it was prepared: prepare again")


def size_of(path: Path) -> int:
    """Bytes; 0 where it cannot be had."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
