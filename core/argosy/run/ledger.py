"""The ledger of a target directory: what is done, in progress and failed.

One SQLite file. Several runs may use it at once: each claims one item at a time, and holds a lock of the
operating system for as long as it lives, so that the items of a run that died are found and taken over. Only
a run's own process writes; its workers do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from argosy.errors import LedgerError
from argosy.locks import FileLock
from argosy.model import Failure, Item, KeptFile, Outcome, State, Verification
from argosy.reasons import hint_of
from argosy.run.causes import disk_error

#: The folder of everything that is argosy's own in a target directory.
PRIVATE = ".argosy"

#: Raised when the tables change; an older argosy then says so instead of guessing.
VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'done', 'failed')),
    item TEXT,       -- the item itself, until it is done
    owner TEXT,      -- the run that works on it
    files TEXT NOT NULL DEFAULT '[]',
    bytes INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    updated REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_to_do ON items (state, owner) WHERE state != 'done';
"""

_COLUMNS = "id, title, state, fingerprint, files, bytes, failure, owner"


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger knows of an item; `files` are what stands under final names."""

    id: str
    title: str
    state: str
    fingerprint: str
    files: tuple[KeptFile, ...]
    bytes: int
    failure: Failure | None
    owner: str | None

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> Row:
        """Return the row of a query for the usual columns."""
        id_, title, state, fingerprint, files, size, failure, owner = columns
        kept = tuple(KeptFile(n, s, d, Verification(v)) for n, s, d, v in json.loads(files))
        return cls(
            id_,
            title,
            state,
            fingerprint,
            kept,
            size,
            Failure(**json.loads(failure)) if failure else None,
            owner,
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


class Ledger:
    """The ledger of one target directory, opened by one run; used by one thread at a time.

    Parameters
    ----------
    directory
        The target directory.
    read_only
        Change nothing on the disk; a directory without a ledger has an empty one.

    Raises
    ------
    LedgerError
        If it cannot be opened or is damaged; it is left as it is.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.private = directory / PRIVATE
        self.path = self.private / "ledger.sqlite"
        self.run = uuid.uuid4().hex
        self._alive: FileLock | None = None
        with self._guard():
            if read_only:
                uri = f"{self.path.absolute().as_uri()}?mode=ro" if self.path.exists() else "file::memory:"
                self.db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            else:
                self._make()
                self.db = sqlite3.connect(
                    self.path, isolation_level=None, timeout=60.0, check_same_thread=False
                )
                # a commit need not reach the disk at once: an item whose "done" is lost is found whole again
                self.db.execute("PRAGMA journal_mode = WAL")
                self.db.execute("PRAGMA synchronous = NORMAL")
            self._check_version(read_only)
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
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            os.close(os.open(self.path, flags, 0o600))
        except OSError as error:
            raise LedgerError(
                f"The ledger {self.path} cannot be opened: {error.strerror}.",
                hint=hint_of(
                    error,
                    "Check the permissions of the target directory; the ledger is a file, and no link to one.",
                ),
            ) from None

    def close(self) -> None:
        """Give up what this run still claims, and close."""
        with self._guard():
            if self._alive is not None:
                self.db.execute(
                    "UPDATE items SET state = 'pending', owner = NULL WHERE state = 'active' AND owner = ?",
                    (self.run,),
                )
            self.db.close()
        if self._alive is not None:
            self._alive.path.unlink(missing_ok=True)
            self._alive.release()

    def rows(self, ids: list[str]) -> dict[str, Row]:
        """Return what is known of some items (at most a few hundred at once)."""
        marks = ", ".join("?" * len(ids))
        with self._guard():
            found = self.db.execute(f"SELECT {_COLUMNS} FROM items WHERE id IN ({marks})", ids)
            return {row.id: row for row in map(Row.of, found)}

    def all_rows(self) -> Iterator[Row]:
        """Yield everything that is known, in the order of the ids."""
        with self._guard():
            yield from map(Row.of, self.db.execute(f"SELECT {_COLUMNS} FROM items ORDER BY id"))

    def counts(self) -> dict[str, int]:
        """Return how many items are in each state."""
        with self._guard():
            return dict(self.db.execute("SELECT state, count(*) FROM items GROUP BY state").fetchall())

    def requeue(self, items: list[tuple[str, str, str, str]]) -> None:
        """Put items in the queue: (id, fingerprint, title, item as JSON) each."""
        now = time.time()
        with self._guard(), self.transaction():
            self.db.executemany(
                "INSERT INTO items (id, fingerprint, title, state, item, updated) VALUES (?, ?, ?, 'pending', ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET fingerprint = excluded.fingerprint, title = excluded.title, "
                "state = 'pending', owner = NULL, item = excluded.item, failure = NULL, updated = excluded.updated",
                [(*item, now) for item in items],
            )

    def claim(self, id_: str) -> tuple[Item, Row] | None:
        """Take an item that is in the queue for this run; None where another run was first."""
        with self._guard():
            taken = self.db.execute(
                "UPDATE items SET state = 'active', owner = ?, updated = ? WHERE id = ? AND state = 'pending' "
                f"RETURNING item, {_COLUMNS}",
                (self.run, time.time(), id_),
            ).fetchone()
        return None if taken is None else (Item.from_json(taken[0]), Row.of(taken[1:]))

    def record(self, outcome: Outcome) -> None:
        """Write down what became of an item that this run claimed."""
        state = {State.DONE: "done", State.FAILED: "failed", State.REQUEUED: "pending"}[outcome.state]
        failure = json.dumps(asdict(outcome.failure)) if outcome.failure else None
        files = json.dumps([[f.name, f.size, f.sha256, f.verification.value] for f in outcome.files])
        with self._guard():
            self.db.execute(
                "UPDATE items SET state = :state, owner = NULL, failure = :failure, bytes = :bytes, updated = :now, "
                "files = CASE WHEN :state = 'done' THEN :files ELSE files END, "
                "item = CASE WHEN :state = 'done' THEN NULL ELSE item END WHERE id = :id AND owner = :run",
                {
                    "state": state,
                    "failure": failure,
                    "bytes": outcome.bytes,
                    "now": time.time(),
                    "files": files,
                    "id": outcome.item,
                    "run": self.run,
                },
            )

    def mark_damaged(self, id_: str, message: str) -> None:
        """Say that a finished item is not what it was, so that the next run does it again."""
        failure = json.dumps(asdict(Failure("damaged", message)))
        with self._guard():
            self.db.execute(
                "UPDATE items SET state = 'failed', failure = ?, updated = ? WHERE id = ? AND state = 'done'",
                (failure, time.time(), id_),
            )

    def take_over(self) -> None:
        """Put the items of runs that died back in the queue."""
        with self._guard():
            owners = self.db.execute("SELECT DISTINCT owner FROM items WHERE state = 'active'").fetchall()
            for (owner,) in owners:
                if owner != self.run and not self.is_alive(owner):
                    self.db.execute(
                        "UPDATE items SET state = 'pending', owner = NULL WHERE state = 'active' AND owner IS ?",
                        (owner,),
                    )

    def owners(self) -> list[Owner]:
        """Return the runs at work here, and those that died at it, the oldest first."""
        with self._guard():
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

    def _check_version(self, read_only: bool) -> None:
        (found,) = self.db.execute("PRAGMA user_version").fetchone()
        if found not in (0, VERSION):
            raise LedgerError(
                f"The ledger {self.path} has version {found}, and this argosy reads version {VERSION}.",
                hint="Use the argosy that wrote it, or another directory.",
            )
        if found == 0 and (not read_only or not self.path.exists()):
            self.db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
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
