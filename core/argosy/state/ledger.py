"""The ledger of a target directory: which items are done, in progress or failed.

It is one SQLite file. Several runs may share it: a run claims a few items at a time and holds a file lock as long as it
lives, so that others take over the items of a run that died. Only the run's own process writes; workers do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from argosy.errors import StorageError
from argosy.interfaces.storage import Storage
from argosy.models.items import DownloadRecord, Failure, FinishedItem, Item, Outcome, PublishedFile, State, Verification
from argosy.toolkit.failures import disk_error, hint_of
from argosy.toolkit.locks import FileLock
from argosy.toolkit.processes import boot_id

#: The folder for argosy's own files in a target directory; the ledger's file, and the folder for shards in it.
PRIVATE, FILE, SHARDS = ".argosy", "ledger.sqlite", "shards"

#: Seconds to wait for another writer.
PATIENCE = 60.0

#: KiB of the database to keep in memory, so that a long manifest takes no more than a short one.
CACHE = 512

_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'done', 'failed')),
    item TEXT,       -- the item itself until it is done, so an active item without it was done before
    owner TEXT,      -- the run that works on it, or has finished it
    files TEXT NOT NULL DEFAULT '[]',
    bytes INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    updated REAL NOT NULL,
    outputs TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_to_do ON items (state, owner) WHERE state != 'done';
-- downloads, for other outputs; a separate table, because every run scans the items
CREATE TABLE IF NOT EXISTS remembered (id TEXT PRIMARY KEY, data BLOB NOT NULL);
-- aggregated files; size and digest are unknown until they are first published
CREATE TABLE IF NOT EXISTS aggregated (
    output TEXT NOT NULL, name TEXT NOT NULL, size INTEGER, sha256 TEXT, changes INTEGER NOT NULL,
    PRIMARY KEY (output, name)
) WITHOUT ROWID;
-- finished items whose files may not be on the disk yet, and the boot of the machine in which they were written
CREATE TABLE IF NOT EXISTS unsynced (id TEXT PRIMARY KEY, boot TEXT NOT NULL) WITHOUT ROWID;
-- counts changes of finished items
CREATE TABLE IF NOT EXISTS changes (n INTEGER NOT NULL);
INSERT INTO changes SELECT 1 WHERE NOT EXISTS (SELECT * FROM changes);
COMMIT;
"""

#: The columns of a `Row`, in its order.
_COLUMNS = "id, title, state, fingerprint, files, bytes, failure, outputs"

#: The state of an item after an outcome or an interruption: one that was done before stays done.
_STATES = {
    State.DONE: "'done'",
    State.FAILED: "CASE WHEN item IS NULL THEN 'done' ELSE 'failed' END",
    State.REQUEUED: "CASE WHEN item IS NULL THEN 'done' ELSE 'pending' END",
}

#: Counts a change of the finished items.
COUNT_CHANGE = "UPDATE changes SET n = n + 1"


class Row(NamedTuple):
    """An item in the ledger: its published files, and the labels of the outputs that made them."""

    id: str
    title: str
    state: str
    fingerprint: str
    files: tuple[PublishedFile, ...]
    bytes: int
    failure: Failure | None
    outputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: Sequence[Any]) -> Row:
        """Return the row for the `_COLUMNS` of a query."""
        id_, title, state, fingerprint, files, size, failure, outputs = columns
        cause = Failure(**{**json.loads(failure), "id": id_, "title": title}) if failure else None
        made = () if outputs == "[]" else tuple(json.loads(outputs))
        return cls(id_, title, state, fingerprint, _parse_files(files), size, cause, made)


def _parse_files(text: str) -> tuple[PublishedFile, ...]:
    rows = () if text == "[]" else json.loads(text)
    return tuple(PublishedFile(n, s, d, Verification(v), o) for n, s, d, v, o in rows)


def _files_text(files: tuple[PublishedFile, ...]) -> str:
    return json.dumps([[f.name, f.size, f.sha256, f.verification.value, f.output] for f in files])


class Ledger:
    """The ledger of one target directory, opened by one run; its threads take turns.

    `directory` is the `home` of the settings. `read_only` changes nothing on the disk; without a ledger, it opens an empty
    one. That of a shard has no shared memory: other machines read it. All methods raise `StorageError` if they cannot use it.
    """

    storage: Storage  # of the published files; set it before the ledger has to look at them

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.private = directory / PRIVATE
        self.path = self.private / FILE
        self.run = uuid.uuid4().hex
        self.notices: list[str] = []  # for the user
        self._lock: FileLock | None = None
        self._turn = threading.RLock()
        self._had_files: set[str] = set()  # claimed items with files of an earlier run
        is_new = not self.path.exists()
        url = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        target = ":memory:" if read_only and is_new else url
        if not read_only:
            self._make_private()
        with self.guard():
            self.db = sqlite3.connect(target, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=True)
            try:
                if read_only and self.db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                    self.copy()
                if not read_only:
                    _use_journal(self.db, "TRUNCATE" if directory.parent.name == SHARDS else "WAL")
                    # a commit may reach the disk later: if "done" is lost, the next run finds the complete files
                    self.db.execute("PRAGMA synchronous = NORMAL")
                    self.db.execute(f"PRAGMA cache_size = -{CACHE}")
                if is_new or not read_only:
                    self.db.executescript(_TABLES)
                if not read_only:
                    self._lock = self._show_alive()
            except BaseException:
                self.db.close()
                raise

    def copy(self) -> None:
        """Go on with a copy in memory: without shared memory, a reader who takes its time stops the writer."""
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, uri=True)
        with contextlib.closing(self.db) as db:
            db.backup(copy)
        self.db = copy

    def _make_private(self) -> None:
        """Make the file, for this user only: URLs may contain secrets, and the ledger says which files may be replaced."""
        hint = "Check the permissions of the target directory; the ledger must be a file of yours, no link."
        try:
            # a shard's is below the private folder of the target directory
            above = self.private.parents[:3] if self.private.parent.parent.name == SHARDS else ()
            folders = [(path, os.O_DIRECTORY) for path in (*above, self.private)]
            for path, kind in (*folders, (self.path, os.O_RDWR | os.O_CREAT)):
                fd = os.open(path, kind | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                try:
                    self._take_back(path, fd)
                finally:
                    os.close(fd)
        except OSError as error:
            message = f"The ledger {self.path} cannot be opened: {error.strerror}."
            raise StorageError(message, hint=hint_of(error, hint)) from None

    def _take_back(self, path: Path, fd: int) -> None:
        """Let only this user write to a path."""
        found = os.fstat(fd)
        mode = stat.S_IMODE(found.st_mode)
        if not mode & 0o022:
            return
        with contextlib.suppress(OSError):  # another user's, or on a file system without modes
            os.fchmod(fd, mode & 0o700)
        if not os.fstat(fd).st_mode & 0o022:
            self.notices.append(
                f"Others could change {path} (mode {mode:03o}); now only you can. "
                f"If it may have been changed, move {self.private} away."
            )
        elif found.st_uid != os.geteuid():
            message = f"Others may change {path} (mode {mode:03o}), so it is not trusted."
            raise StorageError(message, hint=f"Ask its owner to run: chmod go-w {path}")

    def lock_of(self, run: str) -> FileLock:
        """Return the lock that a run holds; its file has the ``pid`` and ``host``, and ``since`` when it works."""
        return FileLock(self.private / "runs" / f"{run}.lock")

    def _show_alive(self) -> FileLock:
        """Hold the lock that shows that this run lives."""
        lock = self.lock_of(self.run)
        try:
            lock.path.parent.mkdir(exist_ok=True)
            lock.acquire()
            who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
            lock.path.write_text(json.dumps(who), "utf-8")
        except OSError as error:
            lock.path.unlink(missing_ok=True)
            lock.release()
            raise disk_error(lock.path, error) from None
        return lock

    def close(self) -> None:
        """Give back claimed items, and close."""
        with self.guard():
            if self._lock is not None:
                self._give_back(self.run)
            self.db.close()
        if self._lock is not None:
            self._lock.path.unlink(missing_ok=True)
            self._lock.release()

    # -- runs

    def take_over(self, tidy: Callable[[Row], None] = lambda row: None) -> None:
        """Requeue the items of dead runs; call `tidy` with each row before another run can claim the item."""
        for run, ids in self.runs().items():
            if ids and run != self.run and not self.is_alive(run):
                with self.guard(), self.transaction():
                    for id_ in self.runs().get(run, ()):  # another run may have taken them meanwhile
                        tidy(self.rows([id_])[id_])
                    self._give_back(run)

    def runs(self) -> dict[str, list[str]]:
        """Return the ids of their active items by run, of living runs and of dead ones that left items."""
        runs: dict[str, list[str]] = {path.stem: [] for path in (self.private / "runs").glob("*.lock")}
        query = "SELECT owner, id FROM items WHERE state = 'active' ORDER BY id"
        with self.guard():
            for run, id_ in self.db.execute(query):
                runs.setdefault(run, []).append(id_)
        return runs

    def _give_back(self, run: str) -> None:
        query = "UPDATE items SET state = {}, owner = NULL WHERE state = 'active' AND owner = ?"
        self.db.execute(query.format(_STATES[State.REQUEUED]), (run,))

    def is_alive(self, run: str) -> bool:
        """Return whether a run still holds its lock."""
        lock = self.lock_of(run)
        if not lock.path.exists():
            return False
        if not lock.acquire(wait=False):
            return True
        lock.path.unlink(missing_ok=True)
        lock.release()
        return False

    # -- items

    def rows(self, ids: list[str]) -> dict[str, Row]:
        """Return the rows of some items, at most a few hundred, by id."""
        marks = ", ".join("?" * len(ids))
        with self.guard():
            found = self.db.execute(f"SELECT {_COLUMNS} FROM items WHERE id IN ({marks})", ids)
            return {row.id: row for row in map(Row.of, found)}

    def states(self, ids: list[str]) -> dict[str, tuple[str, bool]]:
        """Return the states of some items by id, and whether this run has them."""
        marks = ", ".join("?" * len(ids))
        with self.guard():
            found = self.db.execute(f"SELECT id, state, owner FROM items WHERE id IN ({marks})", ids)
            return {id_: (state, owner == self.run) for id_, state, owner in found}

    def all_rows(self) -> Iterator[Row]:
        """Yield all rows, sorted by id."""
        with self.guard():
            yield from map(Row.of, self.db.execute(f"SELECT {_COLUMNS} FROM items ORDER BY id"))

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
                [item[:2] for item in items],
            )
            self.db.executemany(
                "INSERT INTO items (id, fingerprint, title, state, item, updated) VALUES (?, ?, ?, 'pending', ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET fingerprint = excluded.fingerprint, title = excluded.title, "
                "state = 'pending', owner = NULL, item = excluded.item, failure = NULL, updated = excluded.updated",
                [(*item, now) for item in items],
            )
            self.db.execute(COUNT_CHANGE)

    def claim(self, ids: Sequence[str], state: str = "pending") -> dict[str, tuple[Row, DownloadRecord | None, str]]:
        """Claim items in a state; return by id the row, download and queued JSON of those that no other run has.

        A done item is claimed to make more outputs. It stays done even if this run dies.
        """
        marks = ", ".join("?" * len(ids))
        query = f"UPDATE items SET state = 'active', owner = ? WHERE id IN ({marks}) AND state = ?"
        claimed = {}
        with self.guard():
            taken = self.db.execute(f"{query} RETURNING item, {_COLUMNS}", (self.run, *ids, state)).fetchall()
            for queued, *columns in taken:
                row = Row.of(columns)
                record = None
                if row.files or state != "pending":
                    self._had_files.add(row.id)
                    record = self.remembered(row.id)
                claimed[row.id] = (row, record, queued or "")
        return claimed

    def remembered(self, id_: str) -> DownloadRecord | None:
        """Return the record of an item's download."""
        with self.guard():
            found = self.db.execute("SELECT data FROM remembered WHERE id = ?", (id_,)).fetchone()
            return DownloadRecord.unpack(found[0]) if found else None

    def record(self, outcomes: Iterable[Outcome], *, synced: bool = True) -> None:
        """Record the outcomes of items that this run claimed, all or none; note if their files are not `synced`."""
        with self.guard(), self.transaction():
            done = [outcome.item for outcome in outcomes if self._record(outcome)]
            if done:
                self.db.execute(COUNT_CHANGE)
            if not synced:
                rows = [(id_, boot_id()) for id_ in done]
                self.db.executemany("INSERT OR REPLACE INTO unsynced VALUES (?, ?)", rows)

    def _record(self, outcome: Outcome) -> bool:
        """Record one outcome; return whether the item is done."""
        done = outcome.state is State.DONE
        failure = json.dumps(asdict(outcome.failure)) if outcome.failure else None
        query = (
            f"UPDATE items SET state = {_STATES[outcome.state]}, owner = iif(?, owner, NULL), failure = ?, updated = ?, "
            "bytes = iif(?, ?, bytes), files = coalesce(?, files), outputs = coalesce(?, outputs), "
            "item = iif(?, NULL, item) WHERE id = ? AND owner = ?"
        )
        if done and outcome.item in self._had_files:
            outcome = self._merge(outcome)
        self._had_files.discard(outcome.item)
        made = (_files_text(outcome.files), json.dumps(outcome.outputs)) if done else (None, None)
        size = (outcome.fresh, outcome.bytes)
        values = (done, failure, time.time(), *size, *made, done, outcome.item, self.run)
        if not self.db.execute(query, values).rowcount:  # another run has it now
            return False
        if done and outcome.known is not None:
            self.db.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (outcome.item, outcome.known))
        return done

    def _merge(self, outcome: Outcome) -> Outcome:
        """Add the older files and outputs of an item to its outcome, without files that were removed."""
        old = self.rows([outcome.item])[outcome.item]
        remade = {file.name for file in outcome.files}
        present = [file for file in old.files if self.storage.size(file.name) is not None]
        outdated = {file.output for file in old.files if file not in present} | {*outcome.outputs}
        if outcome.fresh:  # the other outputs were made from older resources
            outdated |= {*old.outputs}
        outputs = (output for output in old.outputs if output not in outdated)
        files = (file for file in present if file.output not in outcome.outputs and file.name not in remade)
        return replace(outcome, files=(*files, *outcome.files), outputs=(*outputs, *outcome.outputs))

    def unsynced(self) -> dict[str, str]:
        """Return the items whose files may not be on the disk, with the boot in which they were written."""
        with self.guard():
            return dict(self.db.execute("SELECT id, boot FROM unsynced").fetchall())

    def synced(self, ids: Iterable[str]) -> None:
        """Record that the files of items are on the disk."""
        with self.guard(), self.transaction():
            self.db.executemany("DELETE FROM unsynced WHERE id = ?", [(id_,) for id_ in ids])

    def distrust(self, ids: Iterable[str]) -> None:
        """Record that syncing the files of items has failed, so that the next run reads them."""
        with self.guard(), self.transaction():
            self.db.executemany("UPDATE unsynced SET boot = '' WHERE id = ?", [(id_,) for id_ in ids])

    def done(self) -> Iterator[str]:
        """Yield the ids of the items that are done and not claimed."""
        with self.guard():
            yield from (id_ for (id_,) in self.db.execute("SELECT id FROM items WHERE state = 'done'"))

    def changes(self) -> int:
        """Return a number that changes whenever the finished items do."""
        with self.guard():
            (number,) = self.db.execute("SELECT n FROM changes").fetchone()
            return int(number)

    def finished(self) -> Iterator[FinishedItem]:
        """Yield all finished items, sorted by id, including those for which another output is being made."""
        query = (
            "SELECT items.id, title, files, updated, data FROM items LEFT JOIN remembered USING (id) "
            "WHERE state = 'done' OR (state = 'active' AND item IS NULL) ORDER BY items.id"
        )
        with self.guard():
            for id_, title, files, updated, data in self.db.execute(query):
                item = DownloadRecord.unpack(data).item if data else Item(id_, title)
                yield FinishedItem(item, _parse_files(files), updated)

    def mark_damaged(self, id_: str, problems: Mapping[str, str]) -> None:
        """Let the next run remake files of a finished item, given the problem of each; forget missing ones."""
        text = "; ".join(f"{name} {problem}" for name, problem in problems.items())
        with self.guard(), self.transaction():
            row = self.rows([id_]).get(id_)
            if row is None or row.state != "done":  # a run works on it
                return
            damaged = [file for file in row.files if file.name in problems]
            missing = [file for file in damaged if self.storage.size(file.name) is None]
            left = tuple(file for file in row.files if file not in missing)
            outputs = [output for output in row.outputs if output not in {file.output for file in damaged}]
            failure = json.dumps(asdict(Failure("damaged", text)))
            self.db.execute(
                "UPDATE items SET files = ?, outputs = ?, failure = ?, updated = ? WHERE id = ?",
                (_files_text(left), json.dumps(outputs), failure, time.time(), id_),
            )
            self.db.execute(COUNT_CHANGE)

    # -- aggregated files

    def aggregated(self, output: str | None = None) -> dict[str, tuple[PublishedFile | None, int, str]]:
        """Return by name the file (None if its publication was not recorded), its change number and its output."""
        query = "SELECT * FROM aggregated WHERE ? IN (output, '') ORDER BY name"
        found = {}
        with self.guard():
            for of, name, size, digest, changes in self.db.execute(query, (output or "",)):
                file = PublishedFile(name, size, digest, Verification.DIGEST, of) if digest else None
                found[name] = (file, changes, of)
        return found

    def claim_aggregated(self, output: str, names: list[str]) -> None:
        """Record the names that an output is about to publish; they belong to it from now on."""
        query = "INSERT OR IGNORE INTO aggregated VALUES (?, ?, NULL, NULL, 0)"
        with self.guard():
            self.db.executemany(query, [(output, name) for name in names])

    def record_aggregated(self, output: str, files: list[PublishedFile], changes: int) -> None:
        """Record the published files of an output, and the change number they reflect."""
        with self.guard(), self.transaction():
            self.db.execute("DELETE FROM aggregated WHERE output = ?", (output,))
            self.db.executemany("DELETE FROM aggregated WHERE name = ?", [(file.name,) for file in files])
            self.db.executemany(
                "INSERT INTO aggregated VALUES (?, ?, ?, ?, ?)",
                [(output, file.name, file.size, file.sha256, changes) for file in files],
            )

    def mark_aggregated_damaged(self, names: list[str]) -> None:
        """Let the next run remake damaged files; forget missing ones."""
        with self.guard(), self.transaction():
            for name in names:
                self.db.execute("UPDATE aggregated SET changes = 0 WHERE name = ?", (name,))
                if self.storage.size(name) is None:
                    self.db.execute("DELETE FROM aggregated WHERE name = ?", (name,))

    # -- SQLite

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
        """Take a turn; turn errors of SQLite, and rows that make no sense, into a StorageError with a hint."""
        try:
            with self._turn:
                yield
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError) as error:
            is_sqlite = isinstance(error, sqlite3.DatabaseError)
            if not is_sqlite or "malformed" in str(error) or "not a database" in str(error):
                hint = "Restore it from a backup, or move it away: the next run then downloads everything again."
                raise StorageError(f"The ledger {self.path} is damaged and was not changed.", hint=hint) from None
            message = f"The ledger {self.path} cannot be used: {error}. Nothing in it was lost."
            hint = "Free some space, or check the permissions of the target directory, then start again."
            raise StorageError(message, hint=hint) from None


def _use_journal(db: sqlite3.Connection, mode: str) -> None:
    """Set the journal mode; SQLite does not wait here for another process that does the same."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute(f"PRAGMA journal_mode = {mode}")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.005)
