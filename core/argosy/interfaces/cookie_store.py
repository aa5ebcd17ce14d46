"""The interface of cookie stores; the rules of the lease are in `argosy.leasing`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from enum import IntEnum
from typing import ClassVar

from argosy.interfaces.base import Plugin
from argosy.models.session import SessionRecord

#: Ends a hold on a session; may be called from any thread, and more than once.
Release = Callable[[], None]


class Scope(IntEnum):
    """How far the lease of a store reaches, or the workers of a strategy are spread."""

    PROCESS = 1
    HOST = 2
    CLUSTER = 3


class CookieStore(Plugin):
    """Keeps session records, and grants each session to one holder at a time.

    Any thread may call any method. Several processes may open a store of `Scope.HOST`, several machines one of
    `Scope.CLUSTER`.
    """

    scope: ClassVar[Scope]  # how far the lease reaches

    @abstractmethod
    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record of a session, or None; a damaged store raises `StoreDamaged` and never starts empty."""

    @abstractmethod
    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace a session's record if its generation is still the expected one (0: no record).

        The new record has a higher generation. Readers see either record as a whole.

        Raises
        ------
        GenerationMoved
            If the generation differs; nothing was written.
        HoldLapsed
            If the hold has expired, and the record changes what only a holder changes (holder, logins, refreshes).
        StoreError
            If writing fails; the old record remains.
        """

    @abstractmethod
    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Hold a session; return what ends the hold, or None if another holder has it and `wait` is false.

        Serve in about the order of arrival. A holder that dies loses the session.
        """

    @abstractmethod
    def sessions(self) -> list[str]:
        """Return the names of its sessions, sorted."""

    @abstractmethod
    def remove(self, session: str) -> None:
        """Forget a session."""

    @abstractmethod
    def sync(self) -> None:
        """Put everything written so far on stable storage (fsync), if the store has any."""
