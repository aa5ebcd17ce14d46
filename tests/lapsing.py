"""A program that takes a lease step by step, as it is told; a module of its own, as worker processes import it."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

from argosy.errors import GenerationMoved
from argosy.interfaces.cookie_store import Release
from argosy.leasing.lease import ExclusiveLease
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import SessionCallbacks
from argosy.models.session import SessionRecord
from argosy_devkit.contracts.store_processes import SESSION, StoreSpec, obey
from lease_suite.service import URL


class Steps:
    """The orders."""

    def __init__(self, spec: StoreSpec) -> None:
        self._store = spec.make()
        self._told: list[str] = []
        self._manager = SessionManager(self._store, SESSION, callbacks=SessionCallbacks(notice=self._told.append))
        self._lease: Any = None
        self._record = SessionRecord(SESSION)
        self._release: Release = lambda: None

    def ready(self) -> None:
        """Do nothing, so that the answer says that the process is there."""

    def hold(self) -> None:
        """Take the session, and read its record."""
        release = self._store.acquire(SESSION)
        assert release is not None
        self._release = release
        self._record = self._store.read(SESSION) or self._record

    def mark(self) -> str:
        """Mark the record that was read; return what came of it."""
        try:
            self._lease = ExclusiveLease(self._store, self._record, self._release)
        except GenerationMoved as error:
            return type(error).__name__
        return "marked"

    def release(self) -> None:
        self._release()

    def lease(self) -> str | None:
        """Take a lease; return the token that would be sent."""
        self._lease = self._manager.lease(URL)
        header: str | None = self._lease.cookie_header(URL)
        return header

    def settle(self, token: str) -> list[str]:
        """Settle the lease and end it; return what the person was told."""
        self._lease.settle([f"token={token}; Path=/"], URL, None)
        self._lease.end()
        return self._told


def obey_steps(spec: StoreSpec, pipe: Connection) -> None:
    """Take the steps that the orders say until the pipe is closed."""
    obey(Steps(spec), pipe)
