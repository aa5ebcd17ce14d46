"""Finding out whether a service ends one session when another one logs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.contracts import CookieStore
from argosy.session.record import SessionRecord


@dataclass(slots=True)
class _Life:
    """What is known of one session since its last login."""

    logins: int = 0
    logged_in: float = 0.0
    good: float = 0.0  # when the newest request was sent that was accepted


class Rivals:
    """Suspects sessions that were ended by the login of another one.

    Some services allow an account so many sessions, and end the oldest one when one more logs in. Were that one
    logged in again, it would end the next, and so on for ever. A session that the service ended is suspected
    to be such a case where

    - another one has logged in since it was last known to be good, and
    - it has logged in itself since all sessions were last known to be good together.

    So sessions that all ended for another reason (a restart, their age) are logged in again, once each. A
    suspicion is confirmed where the request that was refused is accepted on another session.

    Parameters
    ----------
    store
        Says when each session was logged in, by whichever process.
    names
        The names of the sessions.
    since
        When the run began, seconds since the epoch: what was logged in before may have ended for any reason.
    """

    def __init__(self, store: CookieStore, names: Sequence[str], since: float) -> None:
        self._store = store
        self._names = names
        self._together = since  # when all sessions were last known to be good at once
        self._lives = {name: _Life() for name in names}
        self._excused: dict[str, int] = {}

    def good(self, name: str, sent_at: float, logins: int) -> None:
        """Say that a request was accepted on a session.

        Parameters
        ----------
        name
            The session.
        sent_at
            When the request was sent, seconds since the epoch.
        logins
            The session's count of logins then.
        """
        lives = self._lives
        life = lives.get(name)
        if life is None or logins < life.logins:
            return
        if logins > life.logins:
            lives[name] = life = _Life(logins, self.logged_in(name))
        life.good = max(life.good, sent_at)
        together = min(other.good for other in tuple(lives.values()))
        if together > max(other.logged_in for other in tuple(lives.values())):
            self._together = max(self._together, together)

    def drop(self, name: str) -> None:
        """Say that a session is not used any more."""
        self._lives.pop(name, None)

    def excuse(self, record: SessionRecord) -> None:
        """Say that a session did not end because another one logged in."""
        self._excused[record.session] = record.logins

    def is_suspect(self, record: SessionRecord) -> bool:
        """Return whether a session that the service ended may have been ended by the login of another one."""
        name = record.session
        if record.logged_in <= self._together or self._excused.get(name) == record.logins:
            return False
        life = self._lives.get(name)
        last_good = record.logged_in if life is None else max(record.logged_in, life.good)
        return any(self.logged_in(other) > last_good for other in self._names if other != name)

    def logged_in(self, name: str) -> float:
        """Return when a session was logged in last, seconds since the epoch."""
        record = self._store.read(name)
        return record.logged_in if record is not None else 0.0
