"""Where the ledger lies.

What the ledger knows of an item, and of a run.

The tables of the ledger, and what becomes of older ones.

The ledger of a target directory: what is done, in progress and failed.

One SQLite file. Several runs may use it at once: each claims one item at a time, and holds a lock of the
operating system for as long as it lives, so that the items of a run that died are found and taken over. Only
a run's own process writes; its workers do not.

The ledger's page of the files over all items: which output made them, and how much they know.
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
from argosy.storage.local import LocalStorage
from argosy.toolkit.failures import disk_error, hint_of
from argosy.toolkit.locks import FileLock

#: The folder of everything that is argosy's own in a target directory.
PRIVATE = ".argosy"

#: The ledger's file in it.
FILE = "ledger.sqlite"


def has_ledger(directory: Path) -> bool:
    """Return whether something was downloaded into a directory."""
    return (directory / PRIVATE / FILE).exists()


def need_ledger(directory: Path, where: str | None = None) -> None:
    """Raise where a directory has no ledger.

    Parameters
    ----------
    directory
        The directory; the local folder of a remote one.
    where
        What it is called, where that is not its path.

    Raises
    ------
    ConfigError
        If so.
    """
    if not has_ledger(directory):
        raise ConfigError(
            f"Nothing was downloaded into {where or directory} yet: there is no ledger.",
            hint="Give the directory of a download, or its configuration.",
        )


#: The columns of a `Row`, in its order.
COLUMNS = "id, title, state, fingerprint, files, bytes, failure, owner, outputs"


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger knows of an item.

    Parameters
    ----------
    files
        What stands under final names.
    outputs
        The outputs that were made of it.
    """

    id: str
    title: str
    state: str
    fingerprint: str
    files: tuple[PublishedFile, ...]
    bytes: int
    failure: Failure | None
    owner: str | None
    outputs: tuple[str, ...] = ()

    @property
    def is_old(self) -> bool:
        """Whether an older argosy made its files, whose ledger did not know the outputs."""
        return any(not file.output for file in self.files)

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> Row:
        """Return the row of a query for the usual columns."""
        id_, title, state, fingerprint, files, size, failure, owner, outputs = columns
        kept = parse_files(files)
        return cls(
            id_,
            title,
            state,
            fingerprint,
            kept,
            size,
            Failure(**json.loads(failure)) if failure else None,
            owner,
            tuple(json.loads(outputs)),
        )


@dataclass(frozen=True, slots=True)
class Owner:
    """A run that has items of the ledger in work.

    Parameters
    ----------
    run
        Its id.
    alive
        Whether it lives; what a dead one left is taken over by the next.
    items
        The ids of what it works on.
    pid, host, since
        Its process, and when it began (seconds since the epoch); 0 and empty where unknown.
    """

    run: str
    alive: bool
    items: tuple[str, ...]
    pid: int = 0
    host: str = ""
    since: float = 0.0


def parse_files(text: str) -> tuple[PublishedFile, ...]:
    """Return the files that `files_text` wrote, or an older ledger, which did not know the outputs."""
    return tuple(PublishedFile(n, s, d, Verification(v), *output) for n, s, d, v, *output in json.loads(text))


def files_text(files: tuple[PublishedFile, ...]) -> str:
    """Return files as the ledger keeps them."""
    return json.dumps([[f.name, f.size, f.sha256, f.verification.value, f.output] for f in files])


#: Seconds that somebody else who writes is waited for.
PATIENCE = 60.0

#: Raised when the tables change; an older argosy then says so instead of guessing.
VERSION = 2

_ITEMS = """
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'done', 'failed')),
    item TEXT,       -- the item itself, until it is done; so an active one without it was done before
    owner TEXT,      -- the run that works on it
    files TEXT NOT NULL DEFAULT '[]',
    bytes INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    updated REAL NOT NULL,
    outputs TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID
"""

_REST = (
    "CREATE INDEX IF NOT EXISTS items_to_do ON items (state, owner) WHERE state != 'done'",
    # what is needed to make other outputs of an item, beside the table that every run reads through
    "CREATE TABLE IF NOT EXISTS remembered (id TEXT PRIMARY KEY, data BLOB NOT NULL)",
    # the files over all items; their size and digest are unknown while they are made for the first time
    """CREATE TABLE IF NOT EXISTS collected (
    output TEXT NOT NULL, name TEXT NOT NULL, size INTEGER, sha256 TEXT, changes INTEGER NOT NULL,
    PRIMARY KEY (output, name)
) WITHOUT ROWID""",
    # how often what is done has changed
    "CREATE TABLE IF NOT EXISTS changes (n INTEGER NOT NULL)",
    "INSERT INTO changes SELECT 1 WHERE NOT EXISTS (SELECT * FROM changes)",
)


def use_wal(db: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side.

    SQLite waits for others by itself, but not here: of two that begin at once with a new file, each may be in the
    other's way, and one is told at once that it is locked.
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


def prepare(db: sqlite3.Connection) -> int:
    """Make the tables, or bring those of an older argosy up to date; return the version that was found.

    One of a newer argosy is left as it is.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        found = version_of(db)
        if found < VERSION:
            if found == 1:
                db.execute("ALTER TABLE items ADD COLUMN outputs TEXT NOT NULL DEFAULT '[]'")
            for statement in (_ITEMS, *_REST, f"PRAGMA user_version = {VERSION}"):
                db.execute(statement)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return found


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of the tables; 0 where there are none."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    return int(found)


#: What is done: also an item of which more is being made at this moment.
_DONE = "(state = 'done' OR (state = 'active' AND item IS NULL))"

#: What becomes of an item that goes back: one that was done before is done.
_FAILED = "CASE WHEN item IS NULL THEN 'done' ELSE 'failed' END"
_BACK = "CASE WHEN item IS NULL THEN 'done' ELSE 'pending' END"


class Ledger:
    """The ledger of one target directory, opened by one run; used by one thread at a time.

    Parameters
    ----------
    directory
        The target directory; the local folder of a remote one.
    read_only
        Change nothing on the disk; a directory without a ledger has an empty one.

    Raises
    ------
    LedgerError
        If it cannot be opened or is damaged; it is left as it is.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.private = directory / PRIVATE
        self.path = self.private / FILE
        self.run = uuid.uuid4().hex
        #: Where the files stand that it speaks of.
        self.storage: Storage = LocalStorage(directory)
        #: What the person should know.
        self.notices: list[str] = []
        self._alive: FileLock | None = None
        #: Items this run claimed that have files already: those of other outputs are kept.
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
                # a commit need not reach the disk at once: an item whose "done" is lost is found whole again
                use_wal(self.db)
                self.db.execute("PRAGMA synchronous = NORMAL")
            self._columns = self._prepare(read_only)
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
        """Make the file, for this user alone: it knows URLs, and they may carry secrets; never through a link."""
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
                    "Check the permissions of the target directory; the ledger is a file, and no link to one.",
                ),
            ) from None

    def _take_back(self, path: Path, fd: int) -> None:
        """Make sure that nobody else may change what is trusted here: a ledger says which files may be replaced."""
        found = os.fstat(fd)
        if not found.st_mode & 0o022:
            return
        try:
            os.fchmod(fd, 0o700 if stat.S_ISDIR(found.st_mode) else 0o600)
        except OSError:
            if found.st_uid != os.geteuid():
                raise LedgerError(
                    f"Others may change {path} (mode {stat.S_IMODE(found.st_mode):03o}), so it is not trusted.",
                    hint=f"Let its owner run: chmod go-w {path}",
                ) from None
            return  # a file system without modes
        if not os.fstat(fd).st_mode & 0o022:
            self.notices.append(
                f"Others could change {path} (mode {stat.S_IMODE(found.st_mode):03o}); it is yours alone again. "
                f"If somebody may have changed it, move {self.private} away."
            )

    def close(self) -> None:
        """Give up what this run still claims, and close."""
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
        """Return what is known of some items (at most a few hundred at once)."""
        marks = ", ".join("?" * len(ids))
        with self.guard():
            found = self.db.execute(f"SELECT {self._columns} FROM items WHERE id IN ({marks})", ids)
            return {row.id: row for row in map(Row.of, found)}

    def all_rows(self) -> Iterator[Row]:
        """Yield everything that is known, in the order of the ids."""
        with self.guard():
            yield from map(Row.of, self.db.execute(f"SELECT {self._columns} FROM items ORDER BY id"))

    def counts(self) -> dict[str, int]:
        """Return how many items are in each state."""
        with self.guard():
            return dict(self.db.execute("SELECT state, count(*) FROM items GROUP BY state").fetchall())

    def requeue(self, items: list[tuple[str, str, str, str]]) -> None:
        """Put items in the queue: (id, fingerprint, title, item as JSON) each.

        What is remembered of one that is another now is forgotten.
        """
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
        """Take an item that is in the queue for this run; None where another run was first."""
        with self.guard():
            taken = self.db.execute(
                "UPDATE items SET state = 'active', owner = ?, updated = ? WHERE id = ? AND state = 'pending' "
                f"RETURNING item, {self._columns}",
                (self.run, time.time(), id_),
            ).fetchone()
            if taken is None:
                return None
            row = Row.of(taken[1:])
            if row.files:
                self._had_files.add(id_)
            return Item.from_json(taken[0]), row, self.remembered(id_) if row.files else None

    def claim_done(self, id_: str) -> tuple[Row, DownloadRecord | None] | None:
        """Take an item that is done, to make more of it; whatever becomes of this run, it is done after it."""
        with self.guard():
            taken = self.db.execute(
                "UPDATE items SET state = 'active', owner = ?, item = NULL WHERE id = ? AND state = 'done' "
                f"RETURNING {self._columns}",
                (self.run, id_),
            ).fetchone()
            if taken is None:
                return None
            self._had_files.add(id_)
            return Row.of(taken), self.remembered(id_)

    def remembered(self, id_: str) -> DownloadRecord | None:
        """Return what is remembered of an item's resources; None where an older argosy fetched them."""
        if self.is_old:
            return None
        with self.guard():
            found = self.db.execute("SELECT data FROM remembered WHERE id = ?", (id_,)).fetchone()
            return DownloadRecord.unpack(found[0]) if found else None

    def adopt(self, id_: str, known: Packed, output: str) -> None:
        """Add what is to be remembered of an item that an older argosy has done."""
        with self.guard(), self.transaction():
            (files,) = self.db.execute("SELECT files FROM items WHERE id = ?", (id_,)).fetchone()
            own = tuple(
                PublishedFile(f.name, f.size, f.sha256, f.verification, output) for f in parse_files(files)
            )
            self.db.execute(
                "UPDATE items SET files = ?, outputs = ? WHERE id = ? AND state = 'done'",
                (files_text(own), json.dumps([output]), id_),
            )
            self._remember(id_, known)
            self._changed()

    def record(self, outcome: Outcome) -> None:
        """Write down what became of an item that this run claimed."""
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
            if done and changed.rowcount:  # else it is somebody else's now
                if outcome.known is not None:
                    self._remember(outcome.item, outcome.known)
                self._changed()

    def _merged(self, outcome: Outcome) -> tuple[tuple[PublishedFile, ...], tuple[str, ...]]:
        """Return the files and the outputs of an item, with those that were just made."""
        found = self.db.execute("SELECT files, outputs FROM items WHERE id = ?", (outcome.item,)).fetchone()
        files, outputs = parse_files(found[0]), tuple(json.loads(found[1]))
        if outcome.state is not State.DONE:
            return files, outputs
        # what somebody removed is not missed any more; new ones may take the place of the rest
        names = {file.name for file in outcome.files}
        there = {file.name for file in files if self.storage.size(file.name) is not None}
        gone = {file.output for file in files if file.name not in there}
        if outcome.fresh:  # what the others made is of what the resources were before
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
        """Return a number that is another one after what is done has changed."""
        with self.guard():
            (number,) = self.db.execute("SELECT n FROM changes").fetchone()
            return int(number)

    def finished(self) -> Iterator[FinishedItem]:
        """Yield everything that is done, in the order of the ids."""
        data, more = ("NULL", "") if self.is_old else ("data", "LEFT JOIN remembered USING (id)")
        query = f"SELECT items.id, title, files, updated, {data} FROM items {more} WHERE {_DONE} ORDER BY items.id"
        with self.guard():
            for id_, title, files, updated, data in self.db.execute(query):
                item = DownloadRecord.unpack(data).item if data else Item(id_, title)
                yield FinishedItem(item, parse_files(files), updated)

    def mark_damaged(self, id_: str, problems: Mapping[str, str]) -> None:
        """Say that files of a finished item are not what they were: a run with their outputs makes them again.

        Parameters
        ----------
        id_
            The item.
        problems
            What is wrong, by the name of the file. A file that is gone is forgotten; one that is damaged may be replaced.
        """
        said = "; ".join(f"{name} {problem}" for name, problem in problems.items())
        failure = json.dumps(asdict(Failure("damaged", said)))
        with self.guard(), self.transaction():
            found = self.db.execute(
                "SELECT files, outputs FROM items WHERE id = ? AND state = 'done'", (id_,)
            ).fetchone()
            if found is None:  # a run is at it
                return
            files = parse_files(found[0])
            broken = {file.output for file in files if file.name in problems}
            left = tuple(f for f in files if f.name not in problems or self.storage.size(f.name) is not None)
            outputs = [output for output in json.loads(found[1]) if output not in broken]
            # of an older argosy's files nobody knows which output makes them: the item is downloaded again
            state = "failed" if "" in broken else "done"
            self.db.execute(
                "UPDATE items SET state = ?, files = ?, outputs = ?, failure = ?, updated = ? WHERE id = ?",
                (state, files_text(left), json.dumps(outputs), failure, time.time(), id_),
            )
            self._changed()

    def take_over(self, tidy: Callable[[str], None] = lambda id_: None) -> None:
        """Put the items of runs that died back in the queue.

        Parameters
        ----------
        tidy
            Called with the id of each, before anybody else can claim it.
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
        """Return the runs at work here, and those that died at it, the oldest first."""
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
            who = self._who(run)  # before the look at its lock, which removes what a dead one left
            owner = Owner(run, self.is_alive(run), tuple(items.get(run, ())), **who)
            if owner.alive or owner.items:
                found.append(owner)
        return sorted(found, key=lambda owner: owner.since)

    def _who(self, run: str) -> dict[str, Any]:
        try:
            who = json.loads((self.private / "runs" / f"{run}.lock").read_text("utf-8"))
            return {"pid": int(who["pid"]), "host": str(who["host"]), "since": float(who["since"])}
        except (OSError, ValueError, TypeError, KeyError):
            return {}  # it has just ended, or died before it could say

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
        """Do several writes at once, or none."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _prepare(self, read_only: bool) -> str:
        """Make the tables, and return the columns of a row."""
        found = version_of(self.db)
        if found < VERSION and (not read_only or not self.path.exists()):
            found = prepare(self.db)
        if found > VERSION:
            raise LedgerError(
                f"The ledger {self.path} has version {found}, and this argosy reads version {VERSION}.",
                hint="Use the argosy that wrote it, or another directory.",
            )
        return COLUMNS.replace("outputs", "'[]'") if read_only and found == 1 else COLUMNS

    @property
    def is_old(self) -> bool:
        """Whether an older argosy made it, and it is only read."""
        return self._columns != COLUMNS

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what SQLite raises into an error that says what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if "malformed" in str(error) or "not a database" in str(error):
                raise self._damaged(str(error)) from None
            raise LedgerError(
                f"The ledger {self.path} cannot be used: {error}. Nothing in it was lost.",
                hint="Make room or check the permissions of the target directory, then start again.",
            ) from None
        except (ValueError, TypeError, KeyError):
            raise self._damaged("a row in it is not complete") from None

    def _damaged(self, why: str) -> LedgerError:
        return LedgerError(
            f"The ledger {self.path} is damaged ({why}), so it is left as it is.",
            hint="Restore it from a backup, or move it away: the next run then downloads everything again, "
            "and leaves a file alone that is the same.",
        )


class Collected:
    """The files over all items of a target directory.

    Parameters
    ----------
    ledger
        Its ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def files(self, output: str | None = None) -> dict[str, tuple[PublishedFile | None, int, str]]:
        """Return what was last put into place under each name, which change of the ledger it speaks of, and whose it is.

        Parameters
        ----------
        output
            Those of one output alone.

        Returns
        -------
        dict
            None for a file of which it is not known whether it came into place.
        """
        if self._ledger.is_old:
            return {}
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
        """Write down under which names an output is about to put files: they are its own from then on."""
        with self._ledger.guard():
            self._ledger.db.executemany(
                "INSERT OR IGNORE INTO collected VALUES (?, ?, NULL, NULL, 0)",
                [(output, name) for name in names],
            )

    def mark_damaged(self, names: list[str]) -> None:
        """Say that files are not what they were, so that the next run makes them anew; those that are gone are forgotten."""
        gone = [(name,) for name in names if self._ledger.storage.size(name) is None]
        with self._ledger.guard(), self._ledger.transaction():
            self._ledger.db.executemany(
                "UPDATE collected SET changes = 0 WHERE name = ?", [(name,) for name in names]
            )
            self._ledger.db.executemany("DELETE FROM collected WHERE name = ?", gone)

    def record(self, output: str, files: list[PublishedFile], changes: int) -> None:
        """Write down what an output has put into place, and the change that it speaks of."""
        with self._ledger.guard(), self._ledger.transaction():
            self._ledger.db.execute("DELETE FROM collected WHERE output = ?", (output,))
            self._ledger.db.executemany(
                "DELETE FROM collected WHERE name = ?", [(file.name,) for file in files]
            )
            self._ledger.db.executemany(
                "INSERT INTO collected VALUES (?, ?, ?, ?, ?)",
                [(output, file.name, file.size, file.sha256, changes) for file in files],
            )
