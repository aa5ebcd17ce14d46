"""The cookie store that keeps sessions in one JSON file, safe for threads, processes and terminals of one host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import GenerationMoved
from argosy.interfaces import CookieStore, PluginContext, Release, Scope
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores import _document as document
from argosy_plugins.cookie_stores._encryption import ENCRYPT, Sealing
from argosy_plugins.cookie_stores._files import StoreFile, is_mark
from argosy_plugins.cookie_stores._locks import StoreLocks


class JsonFileStore(CookieStore):
    """Keeps sessions in a file that is always replaced as a whole, with lock files beside it."""

    name = "json-file"
    summary = "Sessions in one JSON file, shared by threads, processes and terminals of one host"
    scope = Scope.HOST
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "cookies.json",
                "description": "The file, relative to the configuration file.",
            },
            "encrypt": ENCRYPT,
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        # two names of one file must lead to the same lock files
        self.path = Path(os.path.realpath(context.path(options.get("path", "cookies.json"))))
        self._sealing = Sealing(options, context, str(self.path), self.name)
        self._locks = StoreLocks(self.path, self.name)
        self._file = StoreFile(self.path, context.notice)
        self._texts: document.Texts = {}  # used only under the write lock
        self._known: tuple[bytes | None, dict[str, SessionRecord]] = (None, {})

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        return self._load().get(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one, in one rename."""
        release = self._locks.write()
        try:
            records = dict(self._load())
            current = records.get(record.session)
            if (current.generation if current else 0) != expected:
                raise GenerationMoved(f"Another process changed the session {record.session!r} first.")
            records[record.session] = record
            self._replace(records, mark=is_mark(record, current))
        finally:
            release()

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process alone."""
        return self._locks.hold(session, self._file.clean, wait=wait)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        return sorted(self._load())

    def remove(self, session: str) -> None:
        """Forget a session."""
        release = self._locks.write()
        try:
            records = dict(self._load())
            if records.pop(session, None) is not None:
                self._replace(records)
                self._texts.pop(session, None)
        finally:
            release()

    def sync(self) -> None:
        """Sync the file and its folder, unless they were not changed since the last time."""
        self._load()
        self._file.sync(self._known[0])

    def close(self) -> None:
        """Close the files; sessions that are still held stay with their holders."""
        self._file.close()
        self._locks.close()

    def _load(self) -> dict[str, SessionRecord]:
        """Return the records; a file with the same bytes is not parsed again."""
        data = self._file.read(document.MAX_BYTES)
        known, records = self._known
        if data is not None and data == known:
            return records
        records = {} if data is None else document.parse(data, str(self.path), self._sealing)
        self._known = data, records
        return records

    def _replace(self, records: dict[str, SessionRecord], *, mark: bool = False) -> None:
        data = document.dump(records, self._sealing, self._texts)
        self._file.write(data, mark=mark)
        self._known = data, records


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return JsonFileStore
