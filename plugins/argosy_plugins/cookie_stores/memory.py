"""The cookie store that keeps sessions for the length of one process."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import argosy
from argosy.errors import GenerationMoved
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.models.session import SessionRecord
from argosy.toolkit.locks import FairLock, once


class MemoryStore(CookieStore):
    """Keeps sessions in memory; they are gone when the process ends."""

    name = "memory"
    summary = "Sessions in memory, for one run in one process"
    scope = Scope.PROCESS

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._mutex = threading.Lock()
        self._records: dict[str, SessionRecord] = {}
        self._holds: defaultdict[str, FairLock] = defaultdict(FairLock)

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        with self._mutex:
            return self._records.get(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one."""
        with self._mutex:
            current = self._records.get(record.session)
            if (current.generation if current else 0) != expected:
                raise GenerationMoved(f"Another thread changed the session {record.session!r} first.")
            self._records[record.session] = record

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread alone."""
        with self._mutex:
            hold = self._holds[session]
        return once(hold.release) if hold.acquire(wait=wait) else None

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        with self._mutex:
            return sorted(self._records)

    def remove(self, session: str) -> None:
        """Forget a session."""
        with self._mutex:
            self._records.pop(session, None)

    def sync(self) -> None:
        """Do nothing: memory has no stable storage."""


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return MemoryStore
