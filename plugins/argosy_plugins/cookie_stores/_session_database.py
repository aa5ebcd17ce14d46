"""The SQLite file of a cookie store: made whole, checked before it is touched, and used by one process through one connection."""

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
from argosy_plugins.cookie_stores._files import Reserve, make_private

#: Stands in the file's header (``PRAGMA application_id``): "argo".
APPLICATION = 0x6172676F
VERSION = 1

#: What SQLite keeps beside the file, with the file's own mode.
SIDECARS = ("-wal", "-shm", "-journal")

#: Seconds to wait for somebody who has the file locked. Our own writers queue on a lock that is fair, so this is
#: about other programs: a backup, or a database browser.
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
    """One process's connection to the file; opened when it is needed, and again when the file was replaced.

    Two kinds of care are taken that are not plain to see. The file is never opened but through SQLite: as soon as a
    process closes any descriptor of it, the system drops all locks of that process. And it appears under its name
    only when it is whole, so an empty file is a damaged one.

    Parameters
    ----------
    path
        The file.
    notice
        Tells the person that others could read it.
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
        """Return what a query finds; None where there is no file.

        Raises
        ------
        StoreDamaged
            If the file is not whole, or not ours.
        StoreError
            If it cannot be read.
        """
        with self._connection() as db:
            return None if db is None else db.execute(sql, values).fetchall()

    def change(self, sql: str, values: tuple[Any, ...], *, keep: int = 0) -> int:
        """Make one change, whole or not at all; return how many rows it concerned (0 where there is no file).

        Parameters
        ----------
        sql, values
            The change.
        keep
            Bytes of room to keep for what comes after a mark; 0 for a change that may use that room.

        Raises
        ------
        StoreDamaged
            If the file is not whole, or not ours.
        StoreError
            If it cannot be written; the old state stands.
        """
        with self._connection() as db:
            if db is None:
                return 0
            if keep:
                self._reserve.keep(keep)
            try:
                return db.execute(sql, values).rowcount
            except sqlite3.OperationalError as error:
                # where a quota is used up, SQLite speaks of an error of input or output
                full = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
                if keep or not full or not self._reserve.give_up():
                    raise
                return db.execute(sql, values).rowcount

    def make(self) -> None:
        """Make the file where there is none. The caller keeps others from doing the same.

        Raises
        ------
        StoreError
            If it cannot be made.
        """
        if self.path.exists():
            return
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            _remove(temporary, "", *SIDECARS)  # of a process that was killed here
            # whatever the umask; SQLite gives what it puts beside it the same mode
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(temporary, isolation_level=None)
            try:
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                db.execute(f"PRAGMA user_version = {VERSION}")
                db.execute(_TABLES)
                db.execute("PRAGMA journal_mode = WAL")
            finally:
                db.close()
            _remove(self.path, *SIDECARS)  # of a file that was removed: SQLite would take their contents over
            temporary.replace(self.path)
        except (OSError, sqlite3.Error) as error:
            with contextlib.suppress(OSError):
                _remove(temporary, "", *SIDECARS)
            raise self._failed("be made", error) from None

    def scrub(self) -> None:
        """Leave nothing in the file, or in SQLite's log, of what was removed.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        for busy, *_ in self.rows("PRAGMA wal_checkpoint(TRUNCATE)") or ():
            if busy:
                self._notice(
                    f"Another program has {self.path} open, so what was removed from it still lies in {self.path}-wal "
                    "until that program closes it."
                )

    def sync(self) -> None:
        """Return when everything that was committed is on stable storage.

        SQLite's log has all that is not yet in the file itself, which SQLite syncs before it starts the log anew.

        Raises
        ------
        StoreError
            If it cannot be put there.
        """
        with self._connection() as db:
            if db is None:
                return
        # without the connection, as it takes long; whoever closes it meanwhile has SQLite sync the file
        for path in (Path(f"{self.path}-wal"), self.path.parent):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failed("be put on stable storage", error) from None

    def close(self) -> None:
        """Close the connection; the last one of all processes leaves the file alone, without anything beside it."""
        if os.getpid() != self._pid:
            return  # a fork: it is not ours
        with self._mutex:
            self._drop()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        """Lend the connection to one thread; None where there is no file."""
        if os.getpid() != self._pid:
            raise StoreError(
                f"The cookie store {self.path} was opened by process {self._pid}, and this is a fork of it.",
                hint='Open the store in each process by itself, or start processes with "spawn".',
            )
        with self._mutex:
            try:
                yield self._current()
            except sqlite3.Error as error:
                # SQLITE_ERROR: it has no such table or column, or holds what is no text
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
        """Take a file back that others may read: a copy is often made with such a mode."""
        make_private(self.path, found.st_mode, self._notice)
        for suffix in SIDECARS:
            with contextlib.suppress(FileNotFoundError):
                sidecar = Path(f"{self.path}{suffix}")
                make_private(sidecar, sidecar.stat().st_mode, self._notice)

    def _check_header(self) -> None:
        """Look whose file it is before anything in it, or beside it, is touched."""
        if self.path.stat().st_size == 0:
            raise self.damaged("it is empty")
        db = sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            application = version = None
        finally:
            db.close()
        if application != APPLICATION:
            raise StoreDamaged(
                f"{self.path} is not a session database of argosy, so it is left as it is.",
                hint=f'{_CURE}. If it is a cookie export, name it under "auth" ({{"use": "cookies", "path": ...}}) '
                "and give the cookie store a path of its own.",
            )
        if version != VERSION:
            raise StoreDamaged(
                f"{self.path} has version {version}, and this argosy reads version {VERSION}.",
                hint="Use the argosy that wrote it, or log in to a new file.",
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
            # a commit is not synced: `sync` is there for that, and a record from before a power loss is in doubt
            db.execute("PRAGMA synchronous = NORMAL")
            # what was removed is overwritten: a token must not be found in a free part of the file
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
        return StoreDamaged(
            f"{self.path} is damaged ({why.strip()}), so it is left as it is.",
            hint=_CURE,
        )

    def _failed(self, what: str, error: Exception) -> StoreError:
        hint = "Make room, check the permissions of its folder, or close what else has it open; then start again."
        if isinstance(error, OSError):
            why, hint = error.strerror, hint_of(error, hint)
        else:
            why = str(error)
        return StoreError(
            f"The cookie store {self.path} cannot {what}: {why}. The old state stands.", hint=hint
        )


def _remove(path: Path, *suffixes: str) -> None:
    """Remove what may be there of a database."""
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
