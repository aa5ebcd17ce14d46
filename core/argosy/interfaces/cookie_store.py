"""The contract of a cookie store.

The rules of the lease live in the core (`argosy.leasing`), once. A store only keeps records, changes one
by compare-and-set on its generation, and lets one holder at a time have a session to itself.
"""

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
    """How far the lease of a store reaches, and how far the workers of a strategy are spread.

    .. versionadded:: 0.1
    """

    PROCESS = 1
    HOST = 2
    CLUSTER = 3


class CookieStore(Plugin):
    """Keeps session records, and grants one holder at a time a session of its own.

    All methods may be called from any thread. A store of `Scope.HOST` may be opened by several processes
    at once, one of `Scope.CLUSTER` by several machines.

    .. versionadded:: 0.1
    """

    #: How far the lease reaches.
    scope: ClassVar[Scope]

    @abstractmethod
    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record of a session, or None where there never was one.

        Raises
        ------
        StoreDamaged
            If what the store holds cannot be read. It never starts empty over it.
        """

    @abstractmethod
    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace a session's record if its generation is still the expected one (0: there is none).

        The new record has a higher generation. Readers see the old record or the new one, whole.

        Raises
        ------
        GenerationMoved
            If the generation is another one; nothing was written.
        HoldLapsed
            Where holds have a time to live: if this process held the session for longer than that, somebody else has
            held it since, and the record changes in what only a holder changes (holder, logins, refreshes).
        StoreError
            If it cannot be written; the old record stands.
        """

    @abstractmethod
    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this holder alone, first come first served within reason.

        A holder that dies loses it by itself.

        Parameters
        ----------
        session
            Its name.
        wait
            Whether to wait for it (without polling, where that can be had).

        Returns
        -------
        Release or None
            What ends the hold; None where it is taken and `wait` is false.
        """

    @abstractmethod
    def sessions(self) -> list[str]:
        """Return the names of the sessions it keeps, sorted."""

    @abstractmethod
    def remove(self, session: str) -> None:
        """Forget a session."""

    @abstractmethod
    def sync(self) -> None:
        """Return when everything written so far is on stable storage (fsync), as far as the store has any."""
