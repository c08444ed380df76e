"""Where a sweep's study lies on disk: `study.db`, or `study.journal` where SQLite cannot lock."""

import json
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from videxp.core.errors import BadRequest, VidexpError

DATABASE, JOURNAL = "study.db", "study.journal"
LOCK_SECONDS = 5.0
OUTSIDE = ("unable to open", "readonly", "full", "I/O error")  # in what SQLite says of a disk


def study_file(folder: Path, kind: str) -> Path:
    return folder / (JOURNAL if kind == "journal" else DATABASE)


@contextmanager
def study_words(folder: Path, kind: str, *, of: tuple[type[Exception], ...] = (Exception,)) -> Iterator[None]:
    """Whatever a damaged study makes Optuna, SQLAlchemy and SQLite raise, in words; `of`: what may come of that.

    Raises BadRequest with the remedy: runs are found in their folders again; VidexpError for one that is whole and
    cannot be read or written now.
    """
    file = study_file(folder, kind)
    try:
        yield
    except (VidexpError, PermissionError):
        raise
    except of as error:
        cause = _cause(error)
        if "locked" in cause:
            raise VidexpError(f"{file}: {cause}: another process writes it: wait for it, or end it") from error
        if isinstance(error, OSError) or any(word in cause for word in OUTSIDE):
            raise VidexpError(f"{file}: {cause}") from error
        raise BadRequest(
            f"{file}: it is damaged ({cause})\nMove it away: mv {shlex.quote(str(file))} "
            f"{shlex.quote(str(file))}.damaged; videxp sweep --resume {shlex.quote(str(folder))} finds the runs in "
            "their folders"
        ) from error


def storage_errors() -> tuple[type[Exception], ...]:
    """What a study raises while a sweep runs."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return StorageInternalError, SQLAlchemyError


def _cause(error: BaseException) -> str:
    """What SQLite says, of what others make of it."""
    while not isinstance(error, sqlite3.Error) and (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return " ".join(str(error).split())[:120] or type(error).__name__


def open_storage(folder: Path, kind: str) -> Any:
    """Optuna's storage, to write to."""
    import optuna

    _require_whole(folder, kind)
    if kind == "journal":
        return _journal(folder)
    return optuna.storages.RDBStorage(f"sqlite:///{folder / DATABASE}")


def storage_to_read(folder: Path, kind: str) -> Any:
    """The same, of which nothing is written, not even a lock; None where no study was begun.

    Of a database a copy in memory is read: SQLite makes it consistent while another process writes, and finishes what
    a kill left halfway.
    """
    import optuna

    file = study_file(folder, kind)
    if not file.is_file() or not file.stat().st_size:
        return None
    _require_whole(folder, kind)
    if kind == "journal":  # of which reading takes no lock
        return _journal(folder)
    copy = _copy_in_memory(folder / DATABASE)
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": lambda: copy}, skip_table_creation=True)


def _journal(folder: Path) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    return optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def _require_whole(folder: Path, kind: str) -> None:
    """Raises sqlite3.Error or ValueError where it is damaged, also in parts that nobody would read now."""
    file = study_file(folder, kind)
    if not file.is_file():
        return
    if kind == "journal":
        for line in file.read_text(encoding="utf-8").splitlines():
            json.loads(line)
        return
    with closing(_copy_in_memory(file)) as copy:
        if (found := copy.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)


def _copy_in_memory(database: Path) -> sqlite3.Connection:
    try:
        return _backup(database)
    except sqlite3.OperationalError as error:  # a kill left half a transaction, which is undone in a copy
        if "locked" in str(error):
            raise
        with tempfile.TemporaryDirectory() as folder:
            for part in database.parent.glob(f"{database.name}*"):
                shutil.copyfile(part, Path(folder, part.name))
            with closing(sqlite3.connect(Path(folder, database.name))) as whole:
                whole.execute("SELECT count(*) FROM sqlite_master")  # undoes it
            return _backup(Path(folder, database.name))


def _backup(database: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    uri = f"file:{quote(str(database.resolve()))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS)) as original:
        original.execute("SELECT count(*) FROM sqlite_master")  # `backup` would wait for a lock for ever
        original.backup(copy)
    return copy
