"""Files that are either the old one or the new one, never half of one; and file names as text."""

import csv
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from videxp.core.errors import BadRequest

MAX_READ_BYTES = 1 << 28  # of a file that is read whole
MAX_NAME_BYTES = 255  # of ext4, XFS, APFS and others
BLOCK_BYTES = 4096  # of most disks
HASHED_BYTES = 1 << 20  # at once
NO_ROOM = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS")}  # no EDQUOT on Windows

ODD_BYTE = re.compile(r"(\\*)([\udc80-\udcff]|udc[89a-f][0-9a-f])")
ESCAPED_BYTE = re.compile(r"(\\+)udc([89a-f][0-9a-f])")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block succeeds it takes `path`'s place, on disk.

    Beside it, because a rename is atomic within one file system only. What can only be written to is yielded itself.
    Raises OSError with the name of `path` and the system's reason where the disk is full, whatever the block raised.
    """
    if is_special(path):
        with naming_file(path, writing=path):
            yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix, suffix = temporary_name(path)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        with naming_file(path, writing=temporary):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # a disk on the network may find only now that it is full
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would shut colleagues out
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def adding_files(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block succeeds its files appear in `folder`, in place of those of their names.

    Until then nothing is seen of them, and nothing stays where the block fails; `folder` itself is made. Raises OSError
    as `replacing` does.
    """
    made = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix="."))
    try:
        with naming_file(folder, writing=temporary / "more"):
            yield temporary
        for file in sorted(temporary.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def naming_file(path: Path, *, writing: Path) -> Iterator[None]:
    """Raise what ends the block again as an OSError that names `path`, if there is no room for the file `writing`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if (reason := _reason(error, writing)) is None:
            raise
        raise OSError(reason, os.strerror(reason), str(path)) from error


def _reason(error: Exception, file: Path) -> int | None:
    """The system's number of why the file takes no more; None if it does. `write` names no file, and torch hides the
    reason in an error of its own: then writing on shows it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in NO_ROOM else None
    try:
        with file.open("ab") as stream:
            stream.write(bytes(BLOCK_BYTES))
    except OSError as reason:
        return reason.errno  # not itself: its traceback would keep torch's half file open, and the room that it takes
    return None


def expand_home(path: Path | str) -> Path:
    """`~/clips` in the home folder; other paths as they are. Raises BadRequest where the home folder is not known: HOME
    is not set and the user is in no list of the system's, as in many a container, or `~name` names nobody."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        name = Path(path).parts[0]
        known = "set HOME=FOLDER" if name == "~" else f"there is no user {name[1:]}"
        raise BadRequest(f"{path}: the home folder {name} is not known: {known}, or write the whole path") from None


def why_not_writable(folder: Path) -> str:
    """`/home/ann/.cache: Permission denied`; "" for a folder that takes files, which is made where it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder}: {error.strerror}"


def temporary_name(path: Path) -> tuple[str, str]:
    """(prefix, suffix) of temporary files and folders beside `path`; hidden, and short: see `MAX_NAME_BYTES`."""
    return f".{_first_bytes(path.stem, 64)}-", _first_bytes(path.suffix, 32)


def is_run_folder(folder: Path) -> bool:
    """Whether a command would take it as RUN: a config.yaml, and one more of what each run has."""
    marks = ("status.json", "provenance.json", "overrides.yaml", "checkpoints")
    return (folder / "config.yaml").is_file() and any((folder / name).exists() for name in marks)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """One process at a time does the work; those that waited then find it done.

    The kernel releases the lock when the process ends, however that ends, and those that it forked meanwhile.
    Where the file system cannot lock, work is done twice: every file is replaced as a whole, so nothing breaks.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield  # closing the file releases the lock


def is_special(path: Path) -> bool:
    """A device or a pipe, such as /dev/stdout: it is written to, not replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def sweep(path: Path) -> None:
    """Remove what a kill within `replacing(path)` left behind. Only while nobody writes `path`."""
    prefix, suffix = temporary_name(path)
    for leftover in path.parent.glob(f"{_literal(prefix)}????????{_literal(suffix)}"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Replace the content of `path` with `text`, in UTF-8; a byte of a file name that is not UTF-8 is written as
    `\udcXX`, which in JSON and YAML is read back as that byte."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_text(path: Path) -> str:
    """Raises OSError where there is no such file, or one that would never end (a pipe) or fill the memory; ValueError
    where it is not UTF-8."""
    if not path.is_file() and path.exists():
        raise OSError("no regular file")
    with path.open("rb") as file:
        content = file.read(MAX_READ_BYTES + 1)
    if len(content) > MAX_READ_BYTES:
        raise OSError(f"it has more than {MAX_READ_BYTES >> 20} MiB")
    return content.decode("utf-8")


def read_json(path: Path) -> Any:
    """Raises OSError as `read_text` does, ValueError for what is no JSON."""
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def hash_file(path: Path, digest: "hashlib._Hash | hashlib.blake2b") -> str:
    """The digest of the whole file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        while block := file.read(HASHED_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_csv(file: TextIO, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A heading and a line for each row, names as `escape_name` has them; what is in no column is left out."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def escape_name(name: str) -> str:
    r"""The name in text that UTF-8 can hold: a byte that is not UTF-8 becomes `\udcXX`, as JSON writes it.

    b"caf\xe9.mp4" -> `caf\udce9.mp4`; `unescape_name` gives the name again, because a name that holds these very
    characters gets another backslash.
    """

    def escape(found: re.Match[str]) -> str:
        backslashes, what = found.groups()
        return 2 * backslashes + (f"\\udc{ord(what) & 0xFF:02x}" if len(what) == 1 else what)

    return ODD_BYTE.sub(escape, name)


def unescape_name(text: str) -> str:
    """The inverse of `escape_name`: a name that can be opened."""

    def unescape(found: re.Match[str]) -> str:
        backslashes, digits = found.groups()
        kept = "\\" * (len(backslashes) // 2)
        return kept + (chr(0xDC00 + int(digits, 16)) if len(backslashes) % 2 else f"udc{digits}")

    return ESCAPED_BYTE.sub(unescape, text)


def _cell(value: Any) -> Any:
    return escape_name(value) if isinstance(value, str) else value


def _first_bytes(text: str, count: int) -> str:
    return text.encode("utf-8", "ignore")[:count].decode("utf-8", "ignore")


def _literal(text: str) -> str:
    """A glob that matches the text alone."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
