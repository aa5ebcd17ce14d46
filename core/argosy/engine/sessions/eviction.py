"""Detecting that a service ends one session when another one logs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.errors import GenerationMoved
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.lease import changed, put
from argosy.models.session import SessionRecord


@dataclass(slots=True, eq=False)
class _Life:
    """What is known about one session since its last login."""

    logins: int = 0
    logged_in: float = 0.0
    good: float = 0.0  # when the newest accepted request was sent


class EvictionDetector:
    """Suspects sessions that the login of another one ended.

    Some services limit the sessions of an account and end the oldest one when another logs in. Logging that one in
    again would end the next, and so on forever. A session that the service ended is suspect if

    - another one has logged in since it was last known to be good, and
    - it has logged in itself since all sessions were last known to be good together.

    So sessions that all ended for another reason (a restart, their age) are logged in again, once each. The
    suspicion is confirmed if the refused request is accepted on another session.

    The times of logins, and when sessions were good together, are in the store, so all processes know them.

    Parameters
    ----------
    store
        Keeps the sessions' records.
    names
        The names of the sessions.
    since
        When the run began, seconds since the epoch: sessions from before may have ended for any reason.
    """

    def __init__(self, store: CookieStore, names: Sequence[str], since: float) -> None:
        self._store = store
        self._names = names
        self._since = since
        self._proved: tuple[_Life, ...] = ()  # those that were last found good together
        self._lives = {name: _Life() for name in names}
        self._excused: dict[str, int] = {}

    def good(self, name: str, sent_at: float, logins: int) -> None:
        """Report that a request was accepted on a session.

        Parameters
        ----------
        name
            The session.
        sent_at
            When the request was sent, seconds since the epoch.
        logins
            The session's count of logins then.
        """
        life = self._lives.get(name)
        if life is None or logins < life.logins or len(self._names) == 1:
            return
        if logins > life.logins:
            self._lives[name] = life = _Life(logins, self.logged_in(name))
        life.good = max(life.good, sent_at)
        lives = tuple(self._lives.values())
        together = min(other.good for other in lives)
        if lives != self._proved and together > max(other.logged_in for other in lives):
            self._proved = lives
            self._excused.clear()
            for other in tuple(self._lives):
                self._note(other, together)

    def drop(self, name: str) -> None:
        """Report that a session is no longer used."""
        self._lives.pop(name, None)

    def excuse(self, record: SessionRecord) -> None:
        """Report that a session did not end because another one logged in."""
        self._excused[record.session] = record.logins

    def was_excused(self, name: str) -> bool:
        """Return whether a session was excused since all were last known to be good together.

        A session is excused only once: if the service gives fewer sessions, each login that an excuse allows ends the
        next session, whose login would excuse the first one again.
        """
        return name in self._excused

    def is_suspect(self, record: SessionRecord) -> bool:
        """Return whether the login of another session may have ended this one."""
        name = record.session
        proved = record.together >= record.logged_in
        if proved or record.logged_in <= self._since or self._excused.get(name) == record.logins:
            return False
        life = self._lives.get(name)
        last_good = record.logged_in if life is None else max(record.logged_in, life.good)
        return any(self.logged_in(other) > last_good for other in self._names if other != name)

    def logged_in(self, name: str) -> float:
        """Return when a session last logged in, seconds since the epoch."""
        record = self._store.read(name)
        return record.logged_in if record is not None else 0.0

    def _note(self, name: str, together: float) -> None:
        """Note in a session's record when it was good together with the others, once per login."""
        while True:
            record = self._store.read(name)
            if record is None or record.together >= record.logged_in or record.logged_in > together:
                return  # the last condition: it has logged in meanwhile
            try:
                put(self._store, changed(record, together=together), record)
            except GenerationMoved:
                continue
            return
