"""A cookie store with a watch on it: what it raises or returns against its contract is named, whoever calls it.

Every other kind is called in one place or two, which see to that themselves; a store is called in the middle of the
lease, where nothing but a `StoreError` is expected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from argosy.contracts import CookieStore, Release
from argosy.errors import ArgosyError, StoreError
from argosy.mistakes import mistake
from argosy.session.record import SessionRecord

_Result = TypeVar("_Result")


class GuardedStore(CookieStore):
    """Hands every call on to a store.

    Parameters
    ----------
    store
        The store.
    words
        What it is called in messages.
    """

    def __init__(self, store: CookieStore, words: str) -> None:
        super().__init__(store.options, store.context)
        self._store = store
        self._words = words
        for name in ("name", "summary", "scope", "experimental"):  # to others they are the class's
            setattr(self, name, getattr(store, name))

    def __getattr__(self, name: str) -> Any:
        """Return what a store has beside its contract: its `path`, say."""
        if name == "_store":  # not made yet
            raise AttributeError(name)
        return getattr(self._store, name)

    def check(self) -> None:
        """Let the store look at its options."""
        self._call("check", self._store.check)

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        found: object = self._call("read", lambda: self._store.read(session))
        if found is None or isinstance(found, SessionRecord):
            return found
        raise self._returned("read", found, "a SessionRecord, or None")

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record."""
        self._call("write", lambda: self._store.write(record, expected))

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session."""
        release: Any = self._call("acquire", lambda: self._store.acquire(session, wait=wait))
        if release is None:
            return None
        if not callable(release):
            raise self._returned("acquire", release, "what ends the hold, or None")
        return lambda: self._call("the end of a hold", release)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        found: object = self._call("sessions", self._store.sessions)
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return found
        raise self._returned("sessions", found, "a list of names")

    def remove(self, session: str) -> None:
        """Forget a session."""
        self._call("remove", lambda: self._store.remove(session))

    def sync(self) -> None:
        """Put everything on stable storage."""
        self._call("sync", self._store.sync)

    def close(self) -> None:
        """Close it; what it raises then is told by whoever closes it."""
        self._store.close()

    def _call(self, what: str, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except ArgosyError:
            raise
        except (Exception, SystemExit) as error:
            raise self._failed(f"in {what} it raised {mistake(error, self._store)}") from error

    def _returned(self, what: str, found: object, wanted: str) -> StoreError:
        return self._failed(f"{what} returned {type(found).__name__}, where {wanted} is wanted")

    def _failed(self, how: str) -> StoreError:
        return StoreError(
            f"{self._words[0].upper()}{self._words[1:]} broke its contract: {how}. Everything done so far is kept.",
            hint="Tell its author, or go on with another cookie store.",
            plugin=self.name,
        )
