"""The tables of the ledger, and what becomes of older ones."""

from __future__ import annotations

import sqlite3
import time

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
