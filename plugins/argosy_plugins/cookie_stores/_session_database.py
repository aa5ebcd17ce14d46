"""The SQLite file of a cookie store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from argosy.errors import StoreDamaged, StoreError
from argosy.toolkit.failures import hint_of
from argosy.toolkit.files import sync_file
from argosy_plugins.cookie_stores._files import Reserve, make_private

#: In the file's header (``PRAGMA application_id``): "argo".
APPLICATION = 0x6172676F

#: Files that SQLite keeps beside it, with the same mode.
SIDECARS = ("-wal", "-shm", "-journal")

#: Seconds to wait for other programs (a backup, a database browser); our own writers queue on a fair lock.
_BUSY = 30.0

_CURE = "Restore it from a backup, or move it away and log in again: argosy login CONFIG"

_TABLES = """
CREATE TABLE sessions (
    session TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    record TEXT NOT NULL,
    checksum TEXT NOT NULL
) WITHOUT ROWID;
"""


class SessionDatabase:
    """One process's connection to the file; opened when needed, and again after the file was replaced.

    It opens the file only through SQLite: closing any other descriptor would drop all locks of the process. The file
    appears under its name only when it is complete, so an empty file is damaged.
    """

    def __init__(self, path: Path, notice: Callable[[str], None] = lambda message: None) -> None:
        self.path = path
        self._notice = notice
        self._reserve = Reserve(path)
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def __del__(self) -> None:
        if self._db is not None:
            self._db.close()

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any] | None:
        """Return what a query finds; None if there is no file."""
        with self._connection() as db:
            return None if db is None else db.execute(sql, values).fetchall()

    def change(self, sql: str, values: tuple[Any, ...], *, keep: int = 0) -> int:
        """Make one change, whole or not at all; return the number of rows it concerned.

        `keep` is the room to keep, in bytes, for what comes after a mark; 0 for a change that may use that room.
        """
        with self._connection() as db:
            if db is None:
                return 0
            if keep:
                self._reserve.keep(keep)
            try:
                return db.execute(sql, values).rowcount
            except sqlite3.OperationalError as error:
                # SQLite reports an exhausted quota as an input/output error
                full = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
                if keep or not full or not self._reserve.give_up():
                    raise
                return db.execute(sql, values).rowcount

    def make(self) -> None:
        """Create the file if there is none, under the store's write lock."""
        if self.path.exists():
            return
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            _remove(temporary, "", *SIDECARS)  # left by a process that was killed
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(temporary, isolation_level=None)
            try:
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                db.execute(_TABLES)
                db.execute("PRAGMA journal_mode = WAL")
            finally:
                db.close()
            _remove(self.path, *SIDECARS)  # of a removed file: SQLite would use their contents
            temporary.replace(self.path)
        except (OSError, sqlite3.Error) as error:
            with contextlib.suppress(OSError):
                _remove(temporary, "", *SIDECARS)
            raise self._failed("be made", error) from None

    def scrub(self) -> None:
        """Remove what was deleted from the file and from SQLite's log."""
        for busy, *_ in self.rows("PRAGMA wal_checkpoint(TRUNCATE)") or ():
            if busy:
                self._notice(
                    f"Another program has {self.path} open, so deleted data remains in {self.path}-wal until that program "
                    "closes it."
                )

    def sync(self) -> None:
        """Put everything committed on stable storage: SQLite's log has what the file does not have yet."""
        with self._connection() as db:
            if db is None:
                return
        # without the connection, because it takes long
        for path in (Path(f"{self.path}-wal"), self.path.parent):
            try:
                sync_file(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failed("be put on stable storage", error) from None

    def close(self) -> None:
        """Close the connection; the last one of all processes also removes the log."""
        if os.getpid() != self._pid:
            return  # a fork does not own it
        with self._mutex:
            self._drop()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        """Lend the connection to one thread; None if there is no file."""
        if os.getpid() != self._pid:
            raise StoreError(
                f"The cookie store {self.path} was opened by process {self._pid}, and this is a fork of it.",
                hint='Open the store in each process by itself, or start processes with "spawn".',
            )
        with self._mutex:
            try:
                yield self._current()
            except sqlite3.Error as error:
                # SQLITE_ERROR: a missing table or column, or a value that is not text
                if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in (
                    sqlite3.SQLITE_CORRUPT,
                    sqlite3.SQLITE_NOTADB,
                    sqlite3.SQLITE_ERROR,
                ):
                    raise self.damaged(str(error)) from None
                raise self._failed("be used", error) from None
            except OSError as error:
                raise self._failed("be used", error) from None

    def _current(self) -> sqlite3.Connection | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._drop()
            return None
        if self._db is None or self._identity != (found.st_dev, found.st_ino):
            self._drop()
            self._make_private(found)
            self._check_header()
            self._db = self._open()
            self._identity = (found.st_dev, found.st_ino)
        return self._db

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _make_private(self, found: os.stat_result) -> None:
        """Take the files back from other users: copies often have such a mode."""
        make_private(self.path, found.st_mode, self._notice)
        for suffix in SIDECARS:
            with contextlib.suppress(FileNotFoundError):
                sidecar = Path(f"{self.path}{suffix}")
                make_private(sidecar, sidecar.stat().st_mode, self._notice)

    def _check_header(self) -> None:
        """Check that the file is a store before anything in it, or beside it, changes."""
        if self.path.stat().st_size == 0:
            raise self.damaged("it is empty")
        db = sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            application = None
        finally:
            db.close()
        if application != APPLICATION:
            raise StoreDamaged(
                f"{self.path} is not a session database of argosy. It was not changed.",
                hint=f'{_CURE}. If it is a cookie export, name it under "auth" ({{"use": "cookies", "path": ...}}) '
                "and give the cookie store a path of its own.",
            )

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=_BUSY,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # commits are not synced: `sync` does that, and after a power failure, the record is in doubt
            db.execute("PRAGMA synchronous = NORMAL")
            # overwrite what was deleted: no token may remain in a free part of the file
            db.execute("PRAGMA secure_delete = ON")
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise self.damaged(found)
        except BaseException:
            db.close()
            raise
        return db

    def damaged(self, why: str) -> StoreDamaged:
        """Return the error for a file, or a part of it, that cannot be read."""
        return StoreDamaged(f"{self.path} is damaged ({why.strip()}). It was not changed.", hint=_CURE)

    def _failed(self, what: str, error: Exception) -> StoreError:
        hint = "Free some space, check the permissions of its folder, or close other programs that have it open."
        why: object = error
        if isinstance(error, OSError):
            why, hint = error.strerror, hint_of(error, hint)
        return StoreError(f"The cookie store {self.path} cannot {what}: {why}. It was not changed.", hint=hint)


def _remove(path: Path, *suffixes: str) -> None:
    """Remove files of a database, if they exist."""
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
