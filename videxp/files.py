"""Files that are either the old one or the new one, never half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block succeeds it takes `path`'s place, on disk.

    Beside it, because a rename is atomic within one file system only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would shut colleagues out
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sweep(path: Path) -> None:
    """Remove what a kill within `replacing(path)` left behind. Only while nobody writes `path`."""
    for leftover in path.parent.glob(f".{path.stem}-????????{path.suffix}"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` with `text`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
