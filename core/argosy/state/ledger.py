"""The ledger of a target directory: which items are done, in progress or failed.

It is one SQLite file. Several runs may use it at once: a run claims one item at a time and holds a file lock for as long
as it lives, so that others take over the items of a run that died. Only the run's own process writes; workers do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from argosy.errors import ConfigError, LedgerError
from argosy.interfaces.storage import Storage
from argosy.models.items import (
    DownloadRecord,
    Failure,
    FinishedItem,
    Item,
    Outcome,
    Packed,
    PublishedFile,
    State,
    Verification,
)
from argosy.toolkit.failures import disk_error, hint_of
from argosy.toolkit.locks import FileLock

#: The folder for argosy's own files in a target directory.
PRIVATE = ".argosy"

#: The ledger's file in that folder.
FILE = "ledger.sqlite"


def has_ledger(directory: Path) -> bool:
    """Return whether a directory has a ledger."""
    return (directory / PRIVATE / FILE).exists()


def need_ledger(directory: Path, where: str | None = None) -> None:
    """Raise if a directory has no ledger.

    Parameters
    ----------
    directory
        The directory; the local folder of a remote one.
    where
        Its name in the message, if that is not its path.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if not has_ledger(directory):
        raise ConfigError(
            f"Nothing was downloaded into {where or directory} yet: it has no ledger.",
            hint="Give the directory of a download, or its configuration.",
        )


#: The columns of a `Row`, in its order.
COLUMNS = "id, title, state, fingerprint, files, bytes, failure, owner, outputs"


@dataclass(frozen=True, slots=True)
class Row:
    """An item in the ledger: its published files, and the labels of the outputs that made them."""

    id: str
    title: str
    state: str
    fingerprint: str
    files: tuple[PublishedFile, ...]
    bytes: int
    failure: Failure | None
    owner: str | None
    outputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> Row:
        """Return the row for the `COLUMNS` of a query."""
        id_, title, state, fingerprint, files, size, failure, owner, outputs = columns
        return cls(
            id_,
            title,
            state,
            fingerprint,
            parse_files(files),
            size,
            Failure(**json.loads(failure)) if failure else None,
            owner,
            tuple(json.loads(outputs)),
        )


@dataclass(frozen=True, slots=True)
class Owner:
    """A run that works on items of the ledger.

    Parameters
    ----------
    run
        Its id.
    alive
        Whether it lives; the next run takes over the items of a dead one.
    items
        The ids of its items.
    pid, host, since
        Its process, and its start in seconds since the epoch; 0 or empty if unknown.
    """

    run: str
    alive: bool
    items: tuple[str, ...]
    pid: int = 0
    host: str = ""
    since: float = 0.0


def parse_files(text: str) -> tuple[PublishedFile, ...]:
    """Return the files that `files_text` wrote."""
    return tuple(PublishedFile(n, s, d, Verification(v), o) for n, s, d, v, o in json.loads(text))


def files_text(files: tuple[PublishedFile, ...]) -> str:
    """Return files as the ledger keeps them."""
    return json.dumps([[f.name, f.size, f.sha256, f.verification.value, f.output] for f in files])


#: Seconds to wait for another writer.
PATIENCE = 60.0

#: The version of the tables.
VERSION = 2

_TABLES = (
    """
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'done', 'failed')),
    item TEXT,       -- the item itself until it is done, so an active item without it was done before
    owner TEXT,      -- the run that works on it
    files TEXT NOT NULL DEFAULT '[]',
    bytes INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    updated REAL NOT NULL,
    outputs TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID
""",
    "CREATE INDEX IF NOT EXISTS items_to_do ON items (state, owner) WHERE state != 'done'",
    # what other outputs need; a table of its own, because every run scans the items
    "CREATE TABLE IF NOT EXISTS remembered (id TEXT PRIMARY KEY, data BLOB NOT NULL)",
    # aggregated files; size and digest are unknown until they are first published
    """CREATE TABLE IF NOT EXISTS collected (
    output TEXT NOT NULL, name TEXT NOT NULL, size INTEGER, sha256 TEXT, changes INTEGER NOT NULL,
    PRIMARY KEY (output, name)
) WITHOUT ROWID""",
    # counts changes of finished items
    "CREATE TABLE IF NOT EXISTS changes (n INTEGER NOT NULL)",
    "INSERT INTO changes SELECT 1 WHERE NOT EXISTS (SELECT * FROM changes)",
)


def _use_wal(db: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side.

    SQLite does not wait here: if two processes open a new file at once, one of them gets SQLITE_BUSY immediately.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return


#: Finished items, including those for which a further output is being made.
_DONE = "(state = 'done' OR (state = 'active' AND item IS NULL))"

#: The state of an item after a failure or an interruption: one that was done before stays done.
_FAILED = "CASE WHEN item IS NULL THEN 'done' ELSE 'failed' END"
_BACK = "CASE WHEN item IS NULL THEN 'done' ELSE 'pending' END"


class Ledger:
    """The ledger of one target directory, opened by one run; only one thread may use it at a time.

    Parameters
    ----------
    directory
        The target directory; the local folder of a remote one.
    read_only
        Change nothing on the disk; if there is no ledger, use an empty one.

    Raises
    ------
    LedgerError
        If it cannot be opened or is damaged; it is not changed.
    """

    #: The storage of its files; set it before the ledger has to look at them.
    storage: Storage

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.private = directory / PRIVATE
        self.path = self.private / FILE
        self.run = uuid.uuid4().hex
        #: Messages for the user.
        self.notices: list[str] = []
        self._alive: FileLock | None = None
        #: Claimed items with files of an earlier run; those of other outputs are kept.
        self._had_files: set[str] = set()
        with self.guard():
            if read_only:
                uri = f"{self.path.absolute().as_uri()}?mode=ro" if self.path.exists() else "file::memory:"
                self.db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            else:
                self._make()
                self.db = sqlite3.connect(
                    self.path, isolation_level=None, timeout=PATIENCE, check_same_thread=False
                )
                # a commit need not reach the disk at once: if "done" is lost, the next run finds the complete files
                _use_wal(self.db)
                self.db.execute("PRAGMA synchronous = NORMAL")
            self._make_tables(create=not read_only or not self.path.exists())
        if not read_only:
            lock = FileLock(self.private / "runs" / f"{self.run}.lock")
            who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
            try:
                lock.path.parent.mkdir(exist_ok=True)
                lock.acquire()
                lock.path.write_text(json.dumps(who), "utf-8")
            except OSError as error:
                self.db.close()
                lock.path.unlink(missing_ok=True)
                lock.release()
                raise disk_error(lock.path, error) from None
            self._alive = lock

    def _make(self) -> None:
        """Make the file, readable by this user only, as URLs may contain secrets; do not follow links."""
        flags = os.O_RDWR | os.O_CREAT
        try:
            for path, options in ((self.private, os.O_RDONLY | os.O_DIRECTORY), (self.path, flags)):
                fd = os.open(path, options | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                try:
                    self._take_back(path, fd)
                finally:
                    os.close(fd)
        except OSError as error:
            raise LedgerError(
                f"The ledger {self.path} cannot be opened: {error.strerror}.",
                hint=hint_of(
                    error,
                    "Check the permissions of the target directory; the ledger must be a file, not a link.",
                ),
            ) from None

    def _make_tables(self, *, create: bool) -> None:
        (found,) = self.db.execute("PRAGMA user_version").fetchone()
        if found == 0 and create:
            with self.transaction():
                for statement in (*_TABLES, f"PRAGMA user_version = {VERSION}"):
                    self.db.execute(statement)
        elif found != VERSION:
            raise LedgerError(
                f"The ledger {self.path} has version {found}; this argosy reads version {VERSION}.",
                hint="Use the argosy that wrote it, or another directory.",
            )

    def _take_back(self, path: Path, fd: int) -> None:
        """Make a path writable by this user only: the ledger says which files may be replaced."""
        found = os.fstat(fd)
        if not found.st_mode & 0o022:
            return
        try:
            os.fchmod(fd, 0o700 if stat.S_ISDIR(found.st_mode) else 0o600)
        except OSError:
            if found.st_uid != os.geteuid():
                raise LedgerError(
                    f"Others may change {path} (mode {stat.S_IMODE(found.st_mode):03o}), so argosy does not trust it.",
                    hint=f"Ask its owner to run: chmod go-w {path}",
                ) from None
            return  # a file system without modes
        if not os.fstat(fd).st_mode & 0o022:
            self.notices.append(
                f"Others could change {path} (mode {stat.S_IMODE(found.st_mode):03o}); now only you can. "
                f"If somebody may have changed it, move {self.private} away."
            )

    def close(self) -> None:
        """Give back claimed items, and close."""
        with self.guard():
            if self._alive is not None:
                self.db.execute(
                    f"UPDATE items SET state = {_BACK}, owner = NULL WHERE state = 'active' AND owner = ?",
                    (self.run,),
                )
            self.db.close()
        if self._alive is not None:
            self._alive.path.unlink(missing_ok=True)
            self._alive.release()

    def rows(self, ids: list[str]) -> dict[str, Row]:
        """Return the rows of some items, at most a few hundred, by id."""
        marks = ", ".join("?" * len(ids))
        with self.guard():
            found = self.db.execute(f"SELECT {COLUMNS} FROM items WHERE id IN ({marks})", ids)
            return {row.id: row for row in map(Row.of, found)}

    def all_rows(self) -> Iterator[Row]:
        """Yield all rows, sorted by id."""
        with self.guard():
            yield from map(Row.of, self.db.execute(f"SELECT {COLUMNS} FROM items ORDER BY id"))

    def counts(self) -> dict[str, int]:
        """Return the number of items in each state."""
        with self.guard():
            return dict(self.db.execute("SELECT state, count(*) FROM items GROUP BY state").fetchall())

    def requeue(self, items: list[tuple[str, str, str, str]]) -> None:
        """Queue items (id, fingerprint, title, JSON); forget the download of one with another fingerprint."""
        now = time.time()
        with self.guard(), self.transaction():
            self.db.executemany(
                "DELETE FROM remembered WHERE id = ? AND NOT EXISTS"
                " (SELECT * FROM items WHERE items.id = remembered.id AND fingerprint = ?)",
                [(id_, print_) for id_, print_, _, _ in items],
            )
            self.db.executemany(
                "INSERT INTO items (id, fingerprint, title, state, item, updated) VALUES (?, ?, ?, 'pending', ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET fingerprint = excluded.fingerprint, title = excluded.title, "
                "state = 'pending', owner = NULL, item = excluded.item, failure = NULL, updated = excluded.updated",
                [(*item, now) for item in items],
            )
            self._changed()

    def claim(self, id_: str) -> tuple[Item, Row, DownloadRecord | None] | None:
        """Claim a queued item for this run; return None if another run has it."""
        with self.guard():
            taken = self.db.execute(
                "UPDATE items SET state = 'active', owner = ?, updated = ? WHERE id = ? AND state = 'pending' "
                f"RETURNING item, {COLUMNS}",
                (self.run, time.time(), id_),
            ).fetchone()
            if taken is None:
                return None
            row = Row.of(taken[1:])
            if row.files:
                self._had_files.add(id_)
            return Item.from_json(taken[0]), row, self.remembered(id_) if row.files else None

    def claim_done(self, id_: str) -> tuple[Row, DownloadRecord | None] | None:
        """Claim a finished item to make further outputs; it stays done even if this run dies."""
        with self.guard():
            taken = self.db.execute(
                "UPDATE items SET state = 'active', owner = ?, item = NULL WHERE id = ? AND state = 'done' "
                f"RETURNING {COLUMNS}",
                (self.run, id_),
            ).fetchone()
            if taken is None:
                return None
            self._had_files.add(id_)
            return Row.of(taken), self.remembered(id_)

    def remembered(self, id_: str) -> DownloadRecord | None:
        """Return what was downloaded for an item, or None."""
        with self.guard():
            found = self.db.execute("SELECT data FROM remembered WHERE id = ?", (id_,)).fetchone()
            return DownloadRecord.unpack(found[0]) if found else None

    def record(self, outcome: Outcome) -> None:
        """Record the outcome of an item that this run claimed."""
        state = {State.DONE: "'done'", State.FAILED: _FAILED, State.REQUEUED: _BACK}[outcome.state]
        failure = json.dumps(asdict(outcome.failure)) if outcome.failure else None
        done = outcome.state is State.DONE
        with self.guard(), self.transaction():
            files, outputs = outcome.files, outcome.outputs
            if not done or outcome.item in self._had_files:
                files, outputs = self._merged(outcome)
                self._had_files.discard(outcome.item)
            changed = self.db.execute(
                f"UPDATE items SET state = {state}, owner = NULL, failure = ?, bytes = iif(?, ?, bytes), updated = ?, "
                "files = ?, outputs = ?, item = iif(?, NULL, item) WHERE id = ? AND owner = ?",
                (
                    failure,
                    outcome.fresh,
                    outcome.bytes,
                    time.time(),
                    files_text(files),
                    json.dumps(outputs),
                    done,
                    outcome.item,
                    self.run,
                ),
            )
            if done and changed.rowcount:  # else another run has it now
                if outcome.known is not None:
                    self._remember(outcome.item, outcome.known)
                self._changed()

    def _merged(self, outcome: Outcome) -> tuple[tuple[PublishedFile, ...], tuple[str, ...]]:
        """Return the files and outputs of an item, old and new."""
        found = self.db.execute("SELECT files, outputs FROM items WHERE id = ?", (outcome.item,)).fetchone()
        files, outputs = parse_files(found[0]), tuple(json.loads(found[1]))
        if outcome.state is not State.DONE:
            return files, outputs
        # forget removed files; new ones may replace the rest
        names = {file.name for file in outcome.files}
        there = {file.name for file in files if self.storage.size(file.name) is not None}
        gone = {file.output for file in files if file.name not in there}
        if outcome.fresh:  # the other outputs were made from older resources
            gone |= {*outputs}
        others = tuple(o for o in outputs if o not in gone and o not in outcome.outputs)
        left = tuple(
            f for f in files if f.output not in outcome.outputs and f.name in there and f.name not in names
        )
        return (*left, *outcome.files), (*others, *outcome.outputs)

    def _remember(self, id_: str, known: Packed) -> None:
        self.db.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (id_, known))

    def _changed(self) -> None:
        self.db.execute("UPDATE changes SET n = n + 1")

    def changes(self) -> int:
        """Return a number that changes whenever the finished items do."""
        with self.guard():
            (number,) = self.db.execute("SELECT n FROM changes").fetchone()
            return int(number)

    def finished(self) -> Iterator[FinishedItem]:
        """Yield all finished items, sorted by id."""
        query = (
            "SELECT items.id, title, files, updated, data FROM items LEFT JOIN remembered USING (id) "
            f"WHERE {_DONE} ORDER BY items.id"
        )
        with self.guard():
            for id_, title, files, updated, data in self.db.execute(query):
                item = DownloadRecord.unpack(data).item if data else Item(id_, title)
                yield FinishedItem(item, parse_files(files), updated)

    def mark_damaged(self, id_: str, problems: Mapping[str, str]) -> None:
        """Let the next run remake files of a finished item.

        Parameters
        ----------
        id_
            The item.
        problems
            What is wrong, by file name. A missing file is forgotten; a damaged one may be replaced.
        """
        said = "; ".join(f"{name} {problem}" for name, problem in problems.items())
        failure = json.dumps(asdict(Failure("damaged", said)))
        with self.guard(), self.transaction():
            found = self.db.execute(
                "SELECT files, outputs FROM items WHERE id = ? AND state = 'done'", (id_,)
            ).fetchone()
            if found is None:  # a run works on it
                return
            files = parse_files(found[0])
            broken = {file.output for file in files if file.name in problems}
            left = tuple(f for f in files if f.name not in problems or self.storage.size(f.name) is not None)
            outputs = [output for output in json.loads(found[1]) if output not in broken]
            self.db.execute(
                "UPDATE items SET files = ?, outputs = ?, failure = ?, updated = ? WHERE id = ?",
                (files_text(left), json.dumps(outputs), failure, time.time(), id_),
            )
            self._changed()

    def take_over(self, tidy: Callable[[str], None] = lambda id_: None) -> None:
        """Requeue the items of dead runs.

        Parameters
        ----------
        tidy
            Called with each id before another run can claim the item.
        """
        with self.guard():
            owners = self.db.execute("SELECT DISTINCT owner FROM items WHERE state = 'active'").fetchall()
            for (owner,) in owners:
                if owner != self.run and not self.is_alive(owner):
                    self._take_from(owner, tidy)

    def _take_from(self, owner: str | None, tidy: Callable[[str], None]) -> None:
        theirs = "state = 'active' AND owner IS ?"
        with self.transaction():
            for (id_,) in self.db.execute(f"SELECT id FROM items WHERE {theirs}", (owner,)).fetchall():
                tidy(id_)
            self.db.execute(f"UPDATE items SET state = {_BACK}, owner = NULL WHERE {theirs}", (owner,))

    def owners(self) -> list[Owner]:
        """Return running and dead runs with items, the oldest first."""
        with self.guard():
            active = self.db.execute(
                "SELECT owner, id FROM items WHERE state = 'active' ORDER BY id"
            ).fetchall()
        items: dict[str, list[str]] = {}
        for owner, id_ in active:
            items.setdefault(owner, []).append(id_)
        runs = {path.stem for path in (self.private / "runs").glob("*.lock")} | items.keys()
        found = []
        for run in runs:
            who = self._who(run)  # first, as is_alive removes the lock of a dead run
            owner = Owner(run, self.is_alive(run), tuple(items.get(run, ())), **who)
            if owner.alive or owner.items:
                found.append(owner)
        return sorted(found, key=lambda owner: owner.since)

    def _who(self, run: str) -> dict[str, Any]:
        try:
            who = json.loads((self.private / "runs" / f"{run}.lock").read_text("utf-8"))
            return {"pid": int(who["pid"]), "host": str(who["host"]), "since": float(who["since"])}
        except (OSError, ValueError, TypeError, KeyError):
            return {}  # it has just ended, or died before it wrote this

    def is_alive(self, run: str | None) -> bool:
        """Return whether a run still holds its lock."""
        lock = FileLock(self.private / "runs" / f"{run}.lock")
        if run is None or not lock.path.exists():
            return False
        if not lock.acquire(wait=False):
            return True
        lock.path.unlink(missing_ok=True)
        lock.release()
        return False

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all writes of the block, or none."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn errors of SQLite into a LedgerError with a hint."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if "malformed" in str(error) or "not a database" in str(error):
                raise self._damaged(str(error)) from None
            raise LedgerError(
                f"The ledger {self.path} cannot be used: {error}. Nothing in it was lost.",
                hint="Free some space, or check the permissions of the target directory, then start again.",
            ) from None
        except (ValueError, TypeError, KeyError):
            raise self._damaged("a row is incomplete") from None

    def _damaged(self, why: str) -> LedgerError:
        return LedgerError(
            f"The ledger {self.path} is damaged ({why}) and was not changed.",
            hint="Restore it from a backup, or move it away: the next run then downloads everything again, "
            "but does not replace identical files.",
        )


class Collected:
    """The aggregated files in a ledger.

    Parameters
    ----------
    ledger
        The ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def files(self, output: str | None = None) -> dict[str, tuple[PublishedFile | None, int, str]]:
        """Return the published file, its change number and its output by name.

        Parameters
        ----------
        output
            Only files of this output.

        Returns
        -------
        dict
            The file is None if its publication was not recorded.
        """
        with self._ledger.guard():
            found = self._ledger.db.execute(
                "SELECT name, size, sha256, output, changes FROM collected WHERE ? IN (output, '') ORDER BY name",
                (output or "",),
            ).fetchall()
        return {
            name: (
                None if size is None else PublishedFile(name, size, digest, Verification.DIGEST, of),
                changes,
                of,
            )
            for name, size, digest, of, changes in found
        }

    def claim(self, output: str, names: list[str]) -> None:
        """Record the names that an output is about to publish; they belong to it from now on."""
        with self._ledger.guard():
            self._ledger.db.executemany(
                "INSERT OR IGNORE INTO collected VALUES (?, ?, NULL, NULL, 0)",
                [(output, name) for name in names],
            )

    def mark_damaged(self, names: list[str]) -> None:
        """Let the next run remake damaged files; forget missing ones."""
        gone = [(name,) for name in names if self._ledger.storage.size(name) is None]
        with self._ledger.guard(), self._ledger.transaction():
            self._ledger.db.executemany(
                "UPDATE collected SET changes = 0 WHERE name = ?", [(name,) for name in names]
            )
            self._ledger.db.executemany("DELETE FROM collected WHERE name = ?", gone)

    def record(self, output: str, files: list[PublishedFile], changes: int) -> None:
        """Record the published files of an output, and the change number they reflect."""
        with self._ledger.guard(), self._ledger.transaction():
            self._ledger.db.execute("DELETE FROM collected WHERE output = ?", (output,))
            self._ledger.db.executemany(
                "DELETE FROM collected WHERE name = ?", [(file.name,) for file in files]
            )
            self._ledger.db.executemany(
                "INSERT INTO collected VALUES (?, ?, ?, ?, ?)",
                [(output, file.name, file.size, file.sha256, changes) for file in files],
            )
