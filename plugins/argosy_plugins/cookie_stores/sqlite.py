"""The cookie store that keeps sessions in an SQLite file, safe for threads, processes and terminals of one host."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import GenerationMoved, StoreDamaged
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores._encryption import ENCRYPT, Sealing
from argosy_plugins.cookie_stores._files import is_mark
from argosy_plugins.cookie_stores._locks import StoreLocks
from argosy_plugins.cookie_stores._session_database import SessionDatabase

_READ = "SELECT generation, record, checksum FROM sessions WHERE session = ?"
_READ_ANY = "SELECT session, generation, record, checksum FROM sessions LIMIT 1"
_CREATE = (
    "INSERT INTO sessions (generation, record, checksum, session) VALUES (?, ?, ?, ?) ON CONFLICT (session) DO NOTHING"
)
_REPLACE = "UPDATE sessions SET generation = ?, record = ?, checksum = ? WHERE session = ? AND generation = ?"


class SqliteStore(CookieStore):
    """Keeps each session in a row of an SQLite file of mode 0600, so a change costs one row.

    Holds are lock files beside it: SQLite's own locks are polled for, and are not fair.
    """

    name = "sqlite"
    summary = "Sessions in one SQLite file, shared by threads, processes and terminals of one host"
    scope = Scope.HOST
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "cookies.sqlite",
                "description": "The file, relative to the configuration file.",
            },
            "encrypt": ENCRYPT,
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        # two names of one file must lead to the same lock files
        self.path = Path(os.path.realpath(context.path(options.get("path", "cookies.sqlite"))))
        self._sealing = Sealing(options, context, str(self.path), self.name)
        self._database = SessionDatabase(self.path, context.notice)
        self._locks = StoreLocks(self.path, self.name)
        self._known: dict[str, tuple[Any, SessionRecord]] = {}

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        rows = self._database.rows(_READ, (session,))
        if rows:
            return self._record(session, rows[0])
        self._check_another()
        return None

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one, in one statement."""
        release = self._locks.write()
        try:
            current = self.read(record.session)  # a damaged row is not overwritten
            if (current.generation if current else 0) != expected:
                raise _moved(record.session)
            row = self._row(record)
            if current is None:
                self._database.make()
                done = self._database.change(_CREATE, (*row, record.session))
            else:
                keep = len(row[1]) if is_mark(record, current) else 0
                done = self._database.change(_REPLACE, (*row, record.session, expected), keep=keep)
        finally:
            release()
        if done != 1:  # another process wrote without the lock, whose file was removed
            raise _moved(record.session)
        self._known[record.session] = (row, record)

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process alone."""
        return self._locks.hold(session, wait=wait)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        return [name for (name,) in self._database.rows("SELECT session FROM sessions ORDER BY session") or ()]

    def remove(self, session: str) -> None:
        """Forget a session."""
        release = self._locks.write()
        try:
            if self._database.change("DELETE FROM sessions WHERE session = ?", (session,)):
                self._database.scrub()
        finally:
            release()
        self._known.pop(session, None)

    def sync(self) -> None:
        """Sync SQLite's log and the folder."""
        self._database.sync()

    def close(self) -> None:
        """Close the files; sessions that are still held stay with their holders."""
        self._database.close()
        self._locks.close()

    def _row(self, record: SessionRecord) -> tuple[int, str, str]:
        text = json.dumps(self._sealing.to_value(record), separators=(",", ":"))
        return record.generation, text, _checksum(record.session, text)

    def _check_another(self) -> None:
        """Raise if other sessions of the file are encrypted in another way: a file has one key, or none."""
        for session, *row in self._database.rows(_READ_ANY) or ():
            with contextlib.suppress(StoreDamaged):  # reported when it is read
                self._record(session, tuple(row))

    def _record(self, session: str, row: Any) -> SessionRecord:
        """Return the record of a row; a known one is not parsed again."""
        known = self._known.get(session)
        if known is not None and known[0] == row:
            return known[1]
        try:
            record = self._parsed(session, row)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise self._database.damaged(f"the row of the session {session!r} is not complete") from None
        self._known[session] = (row, record)
        return record

    def _parsed(self, session: str, row: Any) -> SessionRecord:
        generation, text, checksum = row
        if checksum != _checksum(session, text):
            raise self._database.damaged(f"the checksum of the session {session!r} does not fit")
        record = self._sealing.from_value(json.loads(text), session)
        if (record.session, record.generation) != (session, generation):
            raise self._database.damaged(f"the row of the session {session!r} holds another one")
        return record


def _checksum(session: str, text: str) -> str:
    return hashlib.sha256(f"{session}\n{text}".encode()).hexdigest()


def _moved(session: str) -> GenerationMoved:
    return GenerationMoved(f"The session {session!r} was changed by another process first.")


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return SqliteStore
